/**
 * What one item costs may not grow with how many there are. Measured in CPU time of this process, so that the load of the
 * machine does not count, and as a ratio, so that its speed does not.
 */
import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/core/config.js';
import { Fifo } from '../../src/core/fifo.js';
import { applyBatch, applyControl } from '../../src/core/log/apply.js';
import type { SessionOp } from '../../src/core/log/operations.js';
import { PartitionState } from '../../src/core/log/state.js';
import { AssignmentTable } from '../../src/core/placement/assignment-table.js';
import { SeqQueue } from '../../src/core/seq-queue.js';
import { MemoryStore } from '../../src/memory/store.js';
import { DueTimes } from '../../src/runtime/due-times.js';
import { type Idle, IdleList } from '../../src/runtime/idle-list.js';
import { Replies } from '../../src/runtime/replies.js';
import { SystemClock } from '../../src/system/clock.js';
import { append, message } from '../redis/support.js';
import { FlakyStore } from './flaky-store.js';
import { msg, world } from './harness.js';
import { start } from './started.js';

const SIZES = [1000, 10_000, 100_000] as const;
/** A hundred times as many may cost this much more for each: caches and collections, not a walk over the others. */
const GROWTH_MAX = 8;
/** Less than this for an item is not looked at: what is measured then is noise. */
const FLOOR_US = 2;

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

type Run = (n: number) => unknown;

/** Microseconds of CPU for each of n items, the least of three runs where they are few. `prepare` is not counted. */
async function costUs(n: number, prepare: (n: number) => Run | Promise<Run>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < (n < 100_000 ? 3 : 1); i++) {
    const run = await prepare(n);
    const before = cpuUs();
    await run(n);
    least = Math.min(least, (cpuUs() - before) / n);
  }
  return least;
}

async function expectLinear(name: string, prepare: (n: number) => Run | Promise<Run>): Promise<void> {
  const costs: number[] = [];
  for (const n of SIZES) costs.push(await costUs(n, prepare));
  console.log(`${name}: ${SIZES.map((n, i) => `${n}: ${costs[i]?.toFixed(2)} us`).join(', ')} each`);
  // What is paid once, for a node for instance, makes few items dear.
  const least = Math.min(...costs.slice(0, -1));
  expect((costs.at(-1) ?? 0) / Math.max(least, FLOOR_US), name).toBeLessThan(GROWTH_MAX);
}

const config = resolveConfig({ store: 'memory' }, { nodeEnv: 'test', hostname: 'test', generateServerId: () => 'n' });

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

describe('what one item costs does not grow with their number', () => {
  it('messages of one entity that are withdrawn, the newest first', async () => {
    await expectLinear('withdraw', (n) => {
      const { apply, state } = log(n);
      const entity = append('').entity;
      const first = state.entities.get(entity)?.pending.peek()?.seq ?? 0;
      const ops = Array.from({ length: n - 1 }, (_, i): SessionOp => {
        const k = n - 1 - i;
        return { op: 'withdraw', entity, id: `m${k}`, seq: first + k };
      });
      return () => apply(ops);
    });
  });

  it('messages of one entity that are looked up', async () => {
    await expectLinear('lookup', (n) => {
      const { state, generation } = log(n);
      const { entity } = append('');
      const first = state.entities.get(entity)?.pending.peek()?.seq ?? 0;
      return () => {
        for (let i = 0; i < n; i++) applyControl(state, { op: 'lookup', generation, entity, id: `m${i}`, seq: first + i }, 1);
      };
    });
  });

  it('callers that wait for one message and give up, the first one first', async () => {
    await expectLinear('callers of one message', (n) => {
      const clock = new SystemClock();
      const replies = new Replies(clock, new DueTimes(clock), new MemoryStore(clock), { generation: 'g' });
      const waiters = Array.from({ length: n }, () => replies.wait('account:a', 'one', { timeoutMs: 600_000 }));
      for (const { promise } of waiters) promise.catch(() => undefined);
      return () => {
        for (const waiter of waiters) replies.giveUp(waiter, 'late', undefined);
      };
    });
  });

  it('calls that wait with one signal, and its abort', async () => {
    await expectLinear('calls with one signal', () => async (n: number) => {
      const clock = new SystemClock();
      const replies = new Replies(clock, new DueTimes(clock), new MemoryStore(clock), { generation: 'g' });
      const abort = new AbortController();
      const wait = { timeoutMs: 600_000, signal: abort.signal };
      const calls = Array.from({ length: n }, (_, i) => replies.wait('account:a', `${i}`, wait).promise);
      abort.abort();
      expect((await Promise.allSettled(calls)).every(({ status }) => status === 'rejected')).toBe(true);
      expect(replies.size).toBe(0);
    });
  });

  it('deadlines that are scheduled and cancelled', async () => {
    await expectLinear('deadlines', () => (n: number) => {
      const times = new DueTimes(new SystemClock());
      const dues = Array.from({ length: n }, () => ({ dueAtMs: 0, onDue: () => undefined }));
      for (const [i, due] of dues.entries()) times.schedule(due, 100_000 + i, 1);
      for (const due of dues) times.cancel(due);
    });
  });

  it('entities that become idle while the one that was idle longest is released', async () => {
    await expectLinear('idle entities', (n) => {
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
    });
  });

  it('rows of the master for members that died', async () => {
    await expectLinear('rows of the dead', (n) => {
      const table = new AssignmentTable();
      for (let i = 0; i < n; i++) table.set(`account:${i}`, i >> 2);
      return () => table.sweep(() => false);
    });
  });

  it('appends that expire unsent', async () => {
    await expectLinear('appends that expire', async () => {
      const w = world();
      const store = new FlakyStore(w.store);
      const limits = { maxTotalWorkers: 0, maxTotalQueueDepth: 0, enqueueTimeoutMs: 400, storeCallTimeoutMs: 400 };
      const node = await start({ ...w, store }, () => 'ok', limits);
      return async (n: number) => {
        store.cut = true;
        const calls = Array.from({ length: n }, (_, i) => node.enqueue(msg(`e${i}`)).catch((error) => error.code));
        const codes = await Promise.all(calls);
        store.cut = false;
        expect(codes.filter((code) => code === 'STORE_UNAVAILABLE').length).toBeGreaterThan(n - 1100);
      };
    });
  });
});

describe('a queue by sequence', () => {
  it('keeps order and number, whatever is taken from it', () => {
    const queue = new SeqQueue<{ readonly seq: number }>();
    let model: number[] = [];
    let random = 7;
    const next = (n: number): number => {
      random = (random * 48271) % 2147483647;
      return random % n;
    };
    for (let i = 1; i < 20_000; i++) {
      const what = next(10);
      if (what < 5) {
        queue.push({ seq: i });
        model.push(i);
      } else if (what < 7) expect(queue.shift()?.seq).toBe(model.shift());
      else {
        const seq = model.length > 0 && what < 9 ? (model[next(model.length)] as number) : next(i);
        expect(queue.get(seq)?.seq).toBe(model.includes(seq) ? seq : undefined);
        expect(queue.take(seq)?.seq).toBe(model.includes(seq) ? seq : undefined);
        model = model.filter((other) => other !== seq);
      }
      expect([queue.length, queue.peek()?.seq]).toEqual([model.length, model[0]]);
    }
    expect([...queue].map(({ seq }) => seq)).toEqual(model);
    expect(queue).toBeInstanceOf(Fifo);
  });
});
