import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeBatch } from '../../chaos/decode-batch.js';
import { Monitor } from '../../chaos/monitor.js';
import { StoreLog } from '../../chaos/store-log.js';
import { History, type HistoryEvent } from '../../sim/history.js';
import { MACHINE } from '../../sim/machine.js';
import { Observer } from '../../sim/observer.js';
import type { JoinOp } from '../../src/core/log/control-operations.js';
import { type Batch, type NewMessage, SCHEMA_VERSION, type SessionOp } from '../../src/core/log/operations.js';
import { PartitionState } from '../../src/core/log/state.js';
import { encodeBatch } from '../../src/redis/codec.js';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';

const ENTITY = 'plain:a "quoted" é';

const message = (id: string, more: Partial<NewMessage> = {}): NewMessage => ({
  ...{ id, given: false, digest: '', name: 'PlainJob', payload: `{"c":"${id}","x":"\\n\\"é"}`, headers: '', chain: '' },
  ...{ waiter: 0, replayOf: '', ...more },
});

const append = (id: string, begin: boolean, more: Partial<NewMessage> = {}): SessionOp => ({
  ...{ op: 'append', entity: ENTITY, message: message(id, more), depthMax: 0, begin },
});
const finish = (seq: number, next: number, state: 'completed' | 'failed', sends: readonly string[] = []): SessionOp => ({
  ...{ op: 'finish', entity: ENTITY, fence: 1, seq, attempt: 1, next },
  outcome: {
    state,
    result: state === 'completed' ? '7' : '',
    error: state === 'failed' ? '{"name":"Error","message":"no"}' : '',
  },
  sends: sends.map((id, i) => ({ entity: `plain:b${i}`, message: message(id), depthMax: 0 })),
});

/** Every kind of operation, in batches: what the scripts apply by their short way and what by their long one. */
const BATCHES: readonly (readonly SessionOp[])[] = [
  [{ op: 'claim', entity: ENTITY }, append('m1', true)],
  [append('m2', false), append('m3', false), finish(1, 0, 'completed')],
  [finish(2, 0, 'failed', []), append('given', false, { given: true, digest: 'd' })],
  [append('given', false, { given: true, digest: 'd' })],
  [{ op: 'retry', entity: ENTITY, fence: 1, seq: 3, attempt: 1, delayMs: 0, error: '{"name":"Error","message":"again"}' }],
  [{ op: 'begin', entity: ENTITY, fence: 1, have: 0 }],
  [{ op: 'withdraw', entity: ENTITY, id: 'given', seq: 4 }],
  [{ ...finish(3, -1, 'completed', ['m3/0', 'm3/1']), attempt: 2 } as SessionOp],
  [
    { op: 'release', entity: ENTITY, fence: 1, handoff: false },
    { op: 'expire', max: 10 },
  ],
];

const JOIN: JoinOp = {
  ...{
    op: 'join',
    serverId: 'n1',
    group: 'default',
    address: '',
    token: 't',
    schema: SCHEMA_VERSION,
    generation: 'g',
    workersMax: 0,
  },
  settings: {
    ...{ leaseTtlMs: 60_000, takeoverHoldMs: 100, entryTtlMs: 60_000, resultTtlMs: 60_000, depthMax: 0, leaderTtlMs: 1000 },
    leaderDebounceMs: 0,
  },
  contracts: [{ type: 'plain', maxAttempts: 2, onInterrupt: 'retry', depthMax: 0, names: ['PlainJob'] }],
};

const bare = (events: readonly HistoryEvent[]) => events.map(({ index: _, atMs: __, ...event }) => event);

describeRedis('what MONITOR tells of Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  it('is what the simulator records of its own store for the same batches, a repeated one included', async () => {
    const seen: HistoryEvent[] = [];
    const log = new StoreLog('chaos:{0}:', (atMs, event) => void seen.push({ ...event, index: 0, atMs } as HistoryEvent));
    const monitor = await Monitor.open(
      '127.0.0.1',
      redis.port,
      (line) => log.take(line, line.wallMs),
      () => undefined,
    );
    const store = new RedisStore({
      ...{ connection: { url: redis.url }, keyPrefix: 'chaos', storeCallTimeoutMs: 5000, clock: new SystemClock() },
    });
    await store.open();

    const history = new History(() => 0);
    const observer = new Observer(history);
    const state = new PartitionState();
    const joined = await store.control(JOIN);
    if (!joined.ok) throw new Error(joined.code);
    MACHINE.applyControl(state, JOIN, Date.now());
    const me = { generation: joined.generation, incarnation: joined.incarnation, token: JOIN.token };
    for (const [i, ops] of BATCHES.entries()) {
      const batch: Batch = { ...me, n: i + 1, ops };
      const real = await store.apply(batch);
      expect(real.status).toBe('applied');
      // A copy that comes late is answered from what is kept, and is nothing new.
      await store.apply(batch);
      const reply = MACHINE.applyBatch(state, { ...batch, generation: state.generation }, Date.now());
      observer.batch(state, 'n1', batch, reply);
    }
    const led = await store.control({ op: 'lead', ...me });
    const answer = MACHINE.applyControl(state, { op: 'lead', ...me }, Date.now());
    observer.control(state, 'n1', { op: 'lead', ...me }, answer, Date.now());
    expect(led.ok).toBe(true);

    await sleep(200);
    monitor.close();
    await store.close();
    expect(bare(seen)).toEqual(bare(history.events));
    expect(seen.map((e) => e.kind)).toEqual(expect.arrayContaining(['append', 'transition', 'own', 'letter', 'epoch']));
    const ends = seen.flatMap((e) => (e.kind === 'transition' ? [e.to] : []));
    expect(ends).toEqual(expect.arrayContaining(['dispatched', 'completed', 'failed', 'enqueued', 'withdrawn']));
    expect(log.depth).toBe(state.depth);
    expect(log.copies).toBe(BATCHES.length);
  });
});

it('reads every operation of a batch from the arguments of the script', () => {
  const ops: SessionOp[] = [
    ...BATCHES.flat(),
    { op: 'takeover', entity: ENTITY, incarnation: 3 },
    { op: 'late', entity: ENTITY, seq: 3, attempt: 1, incarnation: 3, outcome: 'failed', detail: '{}' },
  ];
  const batch: Batch = { generation: 'g', incarnation: 9, token: 't', n: 4, ops };
  expect(decodeBatch(encodeBatch(batch, ''))).toEqual(batch);
});
