import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { compileCli, startCli } from '../cli/support.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { isShown, SERVICES, typedIn } from './consoles.js';
import { compileExamples, examplesOf, needsService, programOf, runExample } from './examples.js';

const OUT = 'build/docs-consoles';

const pageOf = (name: string): string => readFileSync(`docs/${name}.md`, 'utf8');

/** What they import, and what talks to them. */
const NEEDED = ['guide', 'contracts']
  .flatMap((name) => examplesOf(`docs/${name}.md`, pageOf(name)))
  .filter((example) => example.file !== undefined || needsService(example));

describeRedis(
  'what the pages show of the command line',
  () => {
    let redis: RedisServer;
    let dir = '';

    beforeAll(async () => {
      const faults = compileExamples([...NEEDED, ...SERVICES], OUT);
      expect([...faults.values()].flat()).toEqual([]);
      compileCli();
    });
    beforeEach(async () => {
      redis = await startRedis();
      dir = mkdtempSync(join(tmpdir(), 'aq-pages-'));
      return async () => {
        await redis.stop();
        rmSync(dir, { recursive: true, force: true });
      };
    });
    afterAll(() => rmSync(OUT, { recursive: true, force: true }));

    async function startServiceOf(page: string): Promise<void> {
      const example = SERVICES.find((one) => one.page === page);
      if (example === undefined) return;
      const env = { ...process.env, AQ_REDIS_URL: redis.url };
      const child = spawn(process.execPath, [programOf(example, OUT)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
      onTestFinished(() => void child.kill('SIGKILL'));
      expect(String((await once(child.stdout, 'data'))[0])).toBe('ready\n');
    }

    it.each(['cli', 'contracts', 'migrating'])('docs/%s.md', async (page) => {
      await startServiceOf(page);
      const typed = typedIn(pageOf(page));
      expect(typed.length).toBeGreaterThan(0);
      for (const { args, answer } of typed) {
        const { stdout, stderr } = await startCli(args, { AQ_REDIS_URL: redis.url }, [], dir).ended;
        if (!isShown(stdout + stderr, answer)) expect(stdout + stderr, args.join(' ')).toBe(answer);
      }
    });

    it('and of the files that it writes', async () => {
      await startServiceOf('contracts');
      await startCli(['generate', '--classes', '-o', dir], { AQ_REDIS_URL: redis.url }).ended;
      const shown = examplesOf('docs/contracts.md', pageOf('contracts')).find(({ file }) => file === 'order');
      expect(shown?.code).toBe(`// order.ts\n${readFileSync(join(dir, 'order.ts'), 'utf8')}`);
    });

    it('and of calls with those files', async () => {
      await startServiceOf('contracts');
      const callers = NEEDED.filter(needsService);
      expect(callers.map(({ page }) => page)).toEqual(['docs/contracts.md']);
      for (const caller of callers)
        expect(await runExample(caller, OUT, { ...process.env, REDIS_URL: redis.url })).toEqual(caller.prints);
    });
  },
  { own: true },
);

describe('the reader of commands', () => {
  it('takes each with its answer', () => {
    const page =
      'a\n\n```console\n$ npx atomic-queues status --json\n{}\n$ npx atomic-queues dlq list\na\nb\n```\n\n```sh\nls\n```\n';
    expect(typedIn(page)).toEqual([
      { args: ['status', '--json'], answer: '{}\n' },
      { args: ['dlq', 'list'], answer: 'a\nb\n' },
    ]);
    expect(() => typedIn('```console\n$ rm -r x\n```\n')).toThrow('none of ours: rm -r x');
  });

  it('takes another time or duration for the same, and nothing else', () => {
    const shown = 'ID  DIED\n1   2026-01-31T12:00:00.000Z  1.2 s\n...\nlast\n';
    expect(isShown('ID  DIED\n1   2027-11-30T01:02:03.456Z    900 ms\nx\ny\nlast\n', shown)).toBe(true);
    expect(isShown('ID  DIED\n1   2027-11-30T01:02:03.456Z  900 ms\nlast\n', shown)).toBe(false);
    expect(isShown('ID  DIED\n2   2027-11-30T01:02:03.456Z  900 ms\nx\nlast\n', shown)).toBe(false);
    expect(isShown('a+b\n', 'aab\n')).toBe(false);
  });
});
