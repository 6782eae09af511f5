/** What an id that was seen before answers: the message that has it, and what became of that. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import type { Store } from '../../src/ports/store.js';
import { EntityContext } from '../../src/runtime/context.js';
import { DeadLetterBox } from '../../src/runtime/dead-letters.js';
import { redisStore } from '../redis/support.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { type Handle, msg, node, until, world } from './harness.js';
import { started } from './started.js';

const WAIT = { timeoutMs: 5000 };
/** With a character that is escaped in the log. */
const payment = msg('a', { amount: 1, to: { iban: 'x', name: 'y' } }, { id: 'pay%1' });

/** A node, its dead letters, and what ran. */
async function running(handle: Handle, config: Record<string, unknown> = {}, store?: Store) {
  const w = world(store);
  const ran: string[] = [];
  const run: Handle = (...args) => {
    ran.push(EntityContext.current().messageId);
    return handle(...args);
  };
  const n = node(w, run, { ...config, grpc: { reconcileIntervalMs: 60, heartbeatMs: 40, nodeTTLMs: 400 } });
  started.push(n);
  await n.start();
  return { w, n, ran, box: new DeadLetterBox(w.store, w.clock) };
}

const errorOf = (call: Promise<unknown>): Promise<AtomicQueuesError> =>
  call.then(
    () => Promise.reject(new Error('it went well')),
    (error) => (error instanceof AtomicQueuesError ? error : Promise.reject(error)),
  );

/** Fails as long as told. */
function failing() {
  const state = { fails: true };
  const handle: Handle = () => {
    if (state.fails) throw new Error('no funds');
    return 'paid';
  };
  return { state, handle };
}

describe('the receipt of an id that was seen before', () => {
  it('says so, and where its message stands', async () => {
    let end: () => void = () => undefined;
    const { n } = await running(() => new Promise<string>((resolve) => (end = () => resolve('paid'))));
    const first = await n.enqueue(payment);
    expect(first).toEqual({ id: 'pay%1', sequence: 1, duplicate: false });
    expect(await n.enqueue(payment)).toEqual({ id: 'pay%1', sequence: 1, duplicate: true, state: 'live' });
    await until('it runs', () => n.status().running === 1);
    end();
    await until('it has ended', async () => (await n.enqueue(payment)).state === 'completed');
    const bulk = await n.enqueueBulk([payment, msg('a', {}, { id: 'pay-2' }), msg('a', {}, { id: 'pay-2' })]);
    expect(bulk.map((one) => one.ok && [one.receipt.duplicate, one.receipt.state])).toEqual([
      [true, 'completed'],
      [false, undefined],
      [true, 'live'],
    ]);
    await until('the second one runs', () => n.status().running === 1);
    end();
  });

  it('is of the same payload with its keys in another order, and of no other one', async () => {
    const { n, ran } = await running(() => 'paid');
    await n.enqueueAndWait(payment, WAIT);
    const reordered = { to: { name: 'y', iban: 'x' }, amount: 1 };
    expect(await n.enqueue(msg('a', reordered, { id: 'pay%1' }))).toMatchObject({ duplicate: true, state: 'completed' });
    const other = await errorOf(n.enqueue(msg('a', { ...reordered, amount: 2 }, { id: 'pay%1' })));
    expect(other.message).toContain('another payload');
    expect((await errorOf(n.enqueue(msg('a', { list: [1, 2] }, { id: 'pay%1' })))).code).toBe('SCHEMA_VIOLATION');
    await n.enqueueAndWait(msg('a', { list: [1, 2] }, { id: 'list' }), WAIT);
    expect((await errorOf(n.enqueue(msg('a', { list: [2, 1] }, { id: 'list' })))).code).toBe('SCHEMA_VIOLATION');
    expect(ran).toEqual(['pay%1', 'list']);
  });

  it('takes a payload that is nested as deep as a call allows', async () => {
    const { n } = await running(() => 'paid');
    const deep = `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`;
    const message = { ...msg('a', {}, { id: 'deep' }), payload: deep };
    expect(await n.enqueue(message)).toMatchObject({ duplicate: false });
    expect(await n.enqueue(message)).toMatchObject({ duplicate: true });
  });
});

describe('an id whose message failed', () => {
  it('answers the failure, and after a replay what became of that', async () => {
    const { state, handle } = failing();
    const { n, ran, box } = await running(handle);
    expect((await errorOf(n.enqueueAndWait(payment, WAIT))).code).toBe('HANDLER_FAILED');
    expect(await n.enqueue(payment)).toMatchObject({ sequence: 1, duplicate: true, state: 'failed' });

    state.fails = false;
    expect(await box.replay('1')).toMatchObject({ ok: true, messageId: 'pay%1', sequence: 2 });
    expect(await n.enqueue(payment)).toMatchObject({ sequence: 2, duplicate: true });
    expect(await n.enqueueAndWait(payment, WAIT)).toBe('"paid"');
    expect(await n.enqueue(payment)).toMatchObject({ sequence: 2, duplicate: true, state: 'completed' });
    expect(ran).toEqual(['pay%1', 'pay%1']);
  });

  it('answers the last of several replays', async () => {
    const { state, handle } = failing();
    const { n, box, ran } = await running(handle);
    await errorOf(n.enqueueAndWait(payment, WAIT));
    await box.replay('1');
    expect((await errorOf(n.enqueueAndWait(payment, WAIT))).code).toBe('HANDLER_FAILED');
    await until('the second dead letter is there', async () => (await box.count()) === 2);
    state.fails = false;
    expect((await box.show('2'))?.replayOf).toBe('1');
    await box.replay('2');
    expect(await n.enqueueAndWait(payment, WAIT)).toBe('"paid"');
    expect(ran).toHaveLength(3);
  });

  it('answers after a purge that it failed and will not run under this id', async () => {
    const { state, handle } = failing();
    const { n, ran, box } = await running(handle);
    await errorOf(n.enqueueAndWait(payment, WAIT));
    state.fails = false;
    await box.purge('1');
    expect(await n.enqueue(payment)).toMatchObject({ sequence: 1, duplicate: true, state: 'purged' });
    const error = await errorOf(n.enqueueAndWait(payment, WAIT));
    expect(error).toMatchObject({ code: 'HANDLER_FAILED', definite: false, details: { purged: true } });
    expect(error.message).toMatch(/no funds; its dead letter was purged, so it will not run again under this id/);
    expect(ran).toHaveLength(1);
  });

  it('keeps to the replay if the first dead letter is purged after it', async () => {
    const { state, handle } = failing();
    const { n, box } = await running(handle);
    await errorOf(n.enqueueAndWait(payment, WAIT));
    state.fails = false;
    await box.replay('1');
    await box.purge('1');
    expect(await n.enqueueAndWait(payment, WAIT)).toBe('"paid"');
    expect(await n.enqueue(payment)).toMatchObject({ state: 'completed' });
  });

  it('has a replay of another id where a later message has taken it', async () => {
    const { state, handle } = failing();
    const { w, n, box } = await running(handle, { wal: { entryTTL: 1, cleanupInterval: 50 } });
    await errorOf(n.enqueueAndWait(payment, WAIT));
    const lookup = { op: 'lookup', entity: 'account:a', id: 'pay%251', seq: 1 } as const;
    await until('the id is forgotten', async () => !(await w.store.control(lookup)).ok);
    expect(await n.enqueue(payment)).toMatchObject({ duplicate: false, sequence: 2 });
    state.fails = false;
    const replayed = await box.replay('1');
    expect(replayed).toMatchObject({ ok: true, messageId: expect.stringMatching(/replay-1$/) });
  });
});

describeRedis('an id whose message failed, on Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  it('goes on with the replay, and is marked by the purge', async () => {
    const { state, handle } = failing();
    const { n, box } = await running(handle, {}, redisStore(redis.port, { storeCallTimeoutMs: 5000 }));
    for (const id of ['pay%1', 'pay-2']) await errorOf(n.enqueueAndWait({ ...payment, id }, WAIT));
    state.fails = false;
    expect(await box.replay('1')).toMatchObject({ ok: true, messageId: 'pay%1', sequence: 3 });
    expect(await n.enqueueAndWait(payment, WAIT)).toBe('"paid"');
    expect(await box.purge('2')).toBe(true);
    expect(await n.enqueue({ ...payment, id: 'pay-2' })).toMatchObject({ sequence: 2, duplicate: true, state: 'purged' });
    const error = await errorOf(n.enqueueAndWait({ ...payment, id: 'pay-2' }, WAIT));
    expect(error).toMatchObject({ code: 'HANDLER_FAILED', details: { purged: true } });
    expect(await box.purge('1')).toBe(true);
    expect(await n.enqueue(payment)).toMatchObject({ sequence: 3, state: 'completed' });
  });
});
