/**
 * Measures what one of n items costs in the data structures of a node and in the state machine of the log: CPU time of this
 * process, without store or network. Each case prepares n items, which is not measured, and returns the work on them.
 */
import { resolveConfig } from '../../src/core/config.js';
import { applyBatch, applyControl } from '../../src/core/log/apply.js';
import type { SessionOp } from '../../src/core/log/operations.js';
import { PartitionState } from '../../src/core/log/state.js';
import { AssignmentTable } from '../../src/core/placement/assignment-table.js';
import { MemoryStore } from '../../src/memory/store.js';
import { DueTimes } from '../../src/runtime/due-times.js';
import { type Idle, IdleList } from '../../src/runtime/idle-list.js';
import { Replies } from '../../src/runtime/replies.js';
import { SystemClock } from '../../src/system/clock.js';
import { append, message } from '../../test/redis/support.js';

type Run = () => unknown;

export interface CoreCase {
  readonly name: string;
  readonly prepare: (n: number) => Run;
}

const config = resolveConfig({ store: 'memory' }, { nodeEnv: 'test', hostname: 'test', generateServerId: () => 'n' });

/** Returns a log with n messages of one entity that wait. */
function log(n: number): { state: PartitionState; apply: (ops: SessionOp[]) => void; generation: string } {
  const state = new PartitionState();
  const { timing, wal } = config;
  const joined = applyControl(
    state,
    {
      ...{ op: 'join', serverId: 's', group: 'g', address: 'h:1', token: 't', schema: 1, generation: 'g', workersMax: 0 },
      settings: {
        ...{ leaseTtlMs: 60_000, takeoverHoldMs: 0, entryTtlMs: wal.entryTTLMs, resultTtlMs: wal.resultTTLMs, depthMax: 0 },
        ...{ leaderTtlMs: timing.leaderTTLMs, leaderDebounceMs: 0 },
      },
      contracts: [{ type: 'account', maxAttempts: 2, onInterrupt: 'dead-letter', names: ['Deposit'], depthMax: 0 }],
    },
    1,
  );
  if (!joined.ok || !('incarnation' in joined)) throw new Error('the join was refused');
  let batches = 0;
  const apply = (ops: SessionOp[]): void => {
    for (let i = 0; i < ops.length; i += 1000) {
      const reply = applyBatch(
        state,
        { generation: 'g', incarnation: joined.incarnation, token: 't', n: ++batches, ops: ops.slice(i, i + 1000) },
        1,
      );
      if (reply.status !== 'applied' || reply.answers.some(({ ok }) => !ok)) throw new Error(JSON.stringify(reply));
    }
  };
  apply(Array.from({ length: n }, (_, i) => append(`m${i}`, { message: message(`m${i}`) })));
  return { state, apply, generation: 'g' };
}

function replies(): Replies {
  const clock = new SystemClock();
  return new Replies(clock, new DueTimes(clock), new MemoryStore(clock), { generation: 'g' });
}

export const CORE_CASES: readonly CoreCase[] = [
  {
    name: 'message withdrawn, the newest of its entity first',
    prepare: (n) => {
      const { apply, state } = log(n);
      const entity = append('').entity;
      const first = state.entities.get(entity)?.pending.peek()?.seq ?? 0;
      const ops = Array.from({ length: n - 1 }, (_, i): SessionOp => {
        const k = n - 1 - i;
        return { op: 'withdraw', entity, id: `m${k}`, seq: first + k };
      });
      return () => apply(ops);
    },
  },
  {
    name: 'message of one entity looked up',
    prepare: (n) => {
      const { state, generation } = log(n);
      const { entity } = append('');
      const first = state.entities.get(entity)?.pending.peek()?.seq ?? 0;
      return () => {
        for (let i = 0; i < n; i++) applyControl(state, { op: 'lookup', generation, entity, id: `m${i}`, seq: first + i }, 1);
      };
    },
  },
  {
    name: 'caller of one message that gives up',
    prepare: (n) => {
      const all = replies();
      const waiters = Array.from({ length: n }, () => all.wait('account:a', 'one', { timeoutMs: 600_000 }));
      for (const { promise } of waiters) promise.catch(() => undefined);
      return () => {
        for (const waiter of waiters) all.giveUp(waiter, 'late', undefined);
      };
    },
  },
  {
    name: 'call with a signal that all share, and its abort',
    prepare: (n) => async () => {
      const all = replies();
      const abort = new AbortController();
      const wait = { timeoutMs: 600_000, signal: abort.signal };
      const calls = Array.from({ length: n }, (_, i) => all.wait('account:a', `${i}`, wait).promise);
      abort.abort();
      const settled = await Promise.allSettled(calls);
      if (all.size > 0 || settled.some(({ status }) => status !== 'rejected')) throw new Error('a call outlived its signal');
    },
  },
  {
    name: 'deadline scheduled and cancelled',
    prepare: (n) => () => {
      const times = new DueTimes(new SystemClock());
      const dues = Array.from({ length: n }, () => ({ dueAtMs: 0, onDue: () => undefined }));
      for (const [i, due] of dues.entries()) times.schedule(due, 100_000 + i, 1);
      for (const due of dues) times.cancel(due);
    },
  },
  {
    name: 'entity becomes idle while the longest idle one is released',
    prepare: (n) => {
      const list = new IdleList(new SystemClock());
      const idle = (): Idle => ({ idlePlace: undefined, idleTimeoutMs: 600_000, onIdleTimeout: () => undefined });
      for (let i = 0; i < n; i++) list.add(idle());
      return () => {
        for (let i = 0; i < n; i++) {
          list.remove(list.oldest() as Idle);
          list.add(idle());
        }
        list.clear();
      };
    },
  },
  {
    name: "master's row of a member that died",
    prepare: (n) => {
      const table = new AssignmentTable();
      for (let i = 0; i < n; i++) table.set(`account:${i}`, i >> 2);
      return () => table.sweep(() => false);
    },
  },
];

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/**
 * Returns microseconds of CPU for each of n items: the least of some runs, so that a garbage collection in one of them does not
 * count.
 */
export async function coreCost({ prepare }: CoreCase, n: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < (n < 100_000 ? 3 : 2); i++) {
    const run = prepare(n);
    const before = cpuUs();
    await run();
    least = Math.min(least, (cpuUs() - before) / n);
  }
  return least;
}
