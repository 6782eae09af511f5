/** The ```console blocks of a page: commands as somebody types them, each with what it answers. */

import type { Example } from './examples.js';

const service = (page: string, code: string): Example => ({
  ...{ page, line: 0, file: `service-of-${page}`, prints: [] },
  code: `${code}\nconsole.log('ready');\nsetInterval(() => undefined, 1000);\n`,
});

/** What runs while the commands of a page are typed; with leases and owners that outlast a busy machine. */
export const SERVICES: readonly Example[] = [
  service(
    'cli',
    `import { QueueBus } from 'atomic-queues';
    import { Deposit, startBank } from './bank.js';
    const redis = { url: process.env.AQ_REDIS_URL ?? '' };
    const names = { serverId: 'bank-0', serviceGroup: 'bank' };
    const slow = { grpc: { nodeTTLMs: 60_000 }, entities: { account: { workerIdleTimeout: 300_000 } } };
    const app = await startBank({ store: 'redis', redis, ...names, ...slow });
    const bus: QueueBus = app.get(QueueBus);
    for (const id of ['a-1', 'a-2']) await bus.enqueueAndWait(new Deposit(id, -5)).catch(() => undefined);
    while (bus.health().role !== 'master') await new Promise((resolve) => setTimeout(resolve, 10));`,
  ),
  service(
    'contracts',
    `import { startOrders } from './orders.js';
    const redis = { url: process.env.AQ_REDIS_URL ?? '' };
    await startOrders({ store: 'redis', redis, serviceGroup: 'orders', grpc: { nodeTTLMs: 60_000 } });`,
  ),
];

export interface Typed {
  readonly args: readonly string[];
  readonly answer: string;
}

/** The commands of a page in their order; each begins with "$ npx atomic-queues". */
export function typedIn(markdown: string): readonly Typed[] {
  const blocks = [...markdown.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
  return blocks.flatMap((text) =>
    text
      .split(/^\$ /m)
      .filter((part) => part !== '')
      .map((part) => {
        const [command = '', ...lines] = part.split('\n');
        const [npx, bin, ...args] = command.split(' ');
        if (npx !== 'npx' || bin !== 'atomic-queues') throw new Error(`a page has a command that is none of ours: ${command}`);
        return { args, answer: lines.join('\n') };
      }),
  );
}

/** The same text for the same answer: times and durations are others in each run, and with them the width of columns. */
export const masked = (text: string): string =>
  text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\b[\d.]+ (?:ms|s|min)\b/g, 'DURATION')
    .replace(/ +/g, ' ');

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Whether the page shows that answer; a line "..." stands for any lines. */
export function isShown(answer: string, shown: string): boolean {
  const lines = masked(shown).split('\n');
  const pattern = lines.map((line) => (line === '...' ? '(?:.*\\n)*?.*' : escaped(line))).join('\n');
  return new RegExp(`^${pattern}$`).test(masked(answer));
}
