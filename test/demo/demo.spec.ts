import { describe, expect, it } from 'vitest';
import type { Audit } from '../../demo/audit.js';
import type { Killed } from '../../demo/cluster.js';
import { type Ended, lastLine, runCommand } from '../support/command.js';
import { describeRedis } from '../support/redis-server.js';

/** A compilation comes first. */

interface Summary extends Audit {
  readonly store: string;
  readonly nodes: number;
  readonly naive: { readonly lostUpdates: number; readonly overdrafts: number };
  readonly runsByNode: Readonly<Record<string, number>>;
  readonly killed?: Killed;
}

const demo = (...args: string[]): Promise<Ended> => runCommand('demo', 'demo/main', ...args);

function expectHeld({ code, stderr }: Ended, found: Summary): void {
  expect(found.violations).toEqual([]);
  expect(code, stderr).toBe(0);
  expect(found).toMatchObject({ balanceHeld: true, lostUpdates: 0, overdrafts: 0 });
  expect(found.messages).toBe(found.completed + found.failed + found.interrupted + found.withdrawn);
  expect(found.deadLetters).toBe(found.failed + found.interrupted);
  expect(found.naive.lostUpdates).toBeGreaterThan(0);
}

describe('the demo', () => {
  it('holds on the memory store, and shows what is lost without the library', async () => {
    const ended = await demo('--messages', '2000', '--json');
    const found = lastLine<Summary>(ended);
    expectHeld(ended, found);
    expect(found).toMatchObject({ store: 'memory', nodes: 1, interrupted: 0 });
  });

  it('refuses several nodes on the memory store, and a kill that nobody would survive', async () => {
    const memory = await demo('--nodes', '3', '--store', 'memory');
    expect(memory).toMatchObject({ code: 2, stdout: '' });
    expect(memory.stderr).toBe('demo: --nodes 3 needs --store redis: the memory store lives within one process\n');
    const alone = await demo('--kill');
    expect(alone).toMatchObject({ code: 2, stdout: '' });
    expect(alone.stderr).toBe('demo: --kill needs --nodes of at least 2: somebody has to go on\n');
  });
});

// Here, since it is of the same compilation.
describeRedis(
  'the example of two services that call each other',
  () => {
    it('pays, reserves and refunds, and its sums hold', async () => {
      const { code, stdout, stderr } = await runCommand('demo', 'examples/bank-and-warehouse/main');
      expect(stdout.trim().split('\n'), stderr).toEqual([
        '15 orders of one tea each were paid, and there are 9',
        ...[expect.stringMatching(/^ann has/), expect.stringMatching(/^bob has/), expect.stringMatching(/^cleo has/)],
        '9 teas are reserved, 0 are left; 6 orders were refunded',
        'Held: money and tea add up.',
      ]);
      expect(code).toBe(0);
    });
  },
  { own: true },
);

describeRedis('the demo on three nodes', () => {
  it('holds through kill -9 of one: what ran there is dead letters, the rest completes', async () => {
    const ended = await demo('--nodes', '3', '--kill', '--messages', '3000', '--json');
    const found = lastLine<Summary>(ended);
    expectHeld(ended, found);
    expect(found).toMatchObject({ store: 'redis', nodes: 3 });
    expect(Object.keys(found.runsByNode)).toEqual(['node-1', 'node-2', 'node-3']);
    expect(Math.min(...Object.values(found.runsByNode))).toBeGreaterThan(0);
    expect(found.killed?.running).toBeGreaterThan(0);
    expect(found.interrupted).toBeGreaterThanOrEqual(found.killed?.running ?? 0);
  });
});
