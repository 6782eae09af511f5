import { describe, expect, it } from 'vitest';
import type { Node } from '../../src/runtime/node.js';
import { type Handle, msg, node, sleep, until, type World, world } from './harness.js';
import { codeOf, fast, started } from './started.js';
import { type CallName, WatchedClock, WatchedNetwork, WatchedStore } from './watched.js';

interface Watched {
  readonly n: Node;
  readonly w: World;
  readonly clock: WatchedClock;
  readonly store: WatchedStore;
  readonly network: WatchedNetwork;
}

/** A node whose timers, store calls and messages are watched. */
function watched(w: World, config: Record<string, unknown> = {}, handle: Handle = () => 'done'): Watched {
  const clock = new WatchedClock();
  const store = new WatchedStore(w.store);
  const network = new WatchedNetwork(w, clock);
  const n = node({ ...w, store, clock }, handle, { serverId: 'n1', ...fast(), ...config }, undefined, undefined, { network });
  return { n, w, clock, store, network };
}

async function expectNoTimers({ clock }: Watched): Promise<void> {
  await sleep(0);
  expect([...clock.pending.values()]).toEqual([]);
}

/** Nothing is left of the node in this process, and its members are the given ones. */
async function expectSilence(one: Watched, isMember = false): Promise<void> {
  const { n, w, store, network } = one;
  await expectNoTimers(one);
  const before = { calls: store.calls.length, sent: network.sent };
  await sleep(100);
  expect(store.calls.slice(before.calls)).toEqual([]);
  expect(network.sent).toBe(before.sent);
  await expectNoTimers(one);
  expect({ store: store.isClosed, network: network.isClosed }).toEqual({ store: true, network: true });
  const { members } = await w.store.control({ op: 'members' });
  expect(members.map(({ serverId }) => serverId)).toEqual(isMember ? ['n1'] : []);
  const error = await codeOf(n.enqueue(msg('a')));
  expect(error).toMatchObject({ code: 'SHUTTING_DOWN', definite: true });
  await codeOf(n.enqueueAndWait(msg('a'), { timeoutMs: 1000 })).then(({ code }) => expect(code).toBe('SHUTTING_DOWN'));
  expect(n.status()).toMatchObject({ isReady: false, suspended: false, incarnation: 0, waiting: 0 });
}

/** Another node of the same serverId works. */
async function expectSuccessor(w: World): Promise<void> {
  const next = node(w, () => 'next', { serverId: 'n1', ...fast() });
  started.push(next);
  await next.start();
  expect(await next.enqueueAndWait(msg('a'), { timeoutMs: 2000 })).toBe('"next"');
}

/** What a node has that publishes the schemas of its messages. */
const PUBLISHES = {
  contracts: [{ type: 'account', maxAttempts: 1, onInterrupt: 'dead-letter', names: ['Do'], depthMax: 0, version: 'v1' }],
  schemas: [{ type: 'account', text: '{}' }],
} as const;

const START_CALLS: readonly CallName[] = ['open', 'join', 'members'];

describe('a node that is stopped while it starts', () => {
  it.each(START_CALLS)('ends with SHUTTING_DOWN and leaves nothing behind: at %s, whose answer comes', async (call) => {
    const one = watched(world());
    one.store.held = call;
    const starting = codeOf(one.n.start());
    await until('the call is made', () => one.store.waiting > 0);
    const stopping = one.n.stop();
    await sleep(20);
    one.store.release();
    expect(await starting).toMatchObject({ code: 'SHUTTING_DOWN' });
    await stopping;
    await expectSilence(one);
    await expectSuccessor(one.w);
  });

  it.each(START_CALLS)('and where the store is gone: at %s, which fails', async (call) => {
    const one = watched(world());
    one.store.held = call;
    const starting = codeOf(one.n.start());
    await until('the call is made', () => one.store.waiting > 0);
    const stopping = one.n.stop();
    one.store.isCut = true;
    one.store.release();
    expect(['SHUTTING_DOWN', 'STORE_UNAVAILABLE']).toContain((await starting).code);
    await stopping;
    await expectSilence(one, call === 'members');
  });

  it('while it waits for the lease of its predecessor', async () => {
    const w = world();
    const twin = node(w, () => 'twin', { serverId: 'n1', ...fast() });
    started.push(twin);
    await twin.start();
    const one = watched(w);
    const starting = codeOf(one.n.start());
    await until('it waits', () => one.store.calls.filter((call) => call === 'members').length > 1);
    const startMs = performance.now();
    await one.n.stop();
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(await starting).toMatchObject({ code: 'SHUTTING_DOWN' });
    await expectSilence(one, true);
  });

  it('as it finds that the lease of its predecessor is over, which it leaves to others', async () => {
    const w = world();
    const twin = watched(w);
    started.push(twin.n);
    await twin.n.start();
    twin.store.isCut = true;
    const one = watched(w);
    const starting = codeOf(one.n.start());
    await until('it waits', () => one.store.calls.filter((call) => call === 'members').length > 1);
    one.store.held = 'members';
    await until('the lease is over', async () => {
      const { members, nowMs } = await w.store.control({ op: 'members' });
      return members[0] !== undefined && members[0].leaseUntilMs < nowMs && one.store.waiting > 0;
    });
    await sleep(2 * fast().grpc.nodeTTLMs);
    const stopping = one.n.stop();
    one.store.release();
    expect(await starting).toMatchObject({ code: 'SHUTTING_DOWN' });
    await stopping;
    expect(one.store.calls).not.toContain('evict');
    await expectSilence(one, true);
    twin.store.isCut = false;
  });

  it('right away, before its first call', async () => {
    const one = watched(world());
    const starting = codeOf(one.n.start());
    await one.n.stop();
    expect(await starting).toMatchObject({ code: 'SHUTTING_DOWN' });
    await expectSilence(one);
  });

  it('before its start, which is refused then', async () => {
    const one = watched(world());
    await one.n.stop();
    await codeOf(one.n.start());
    await expectSilence(one);
  });

  it('in the first turn of its duties', async () => {
    const one = watched(world());
    await one.n.start();
    await one.n.stop();
    await expectSilence(one);
    await expectSuccessor(one.w);
  });
});

/** Declares the node dead, as another node would. */
async function evict({ n, w, store }: Watched): Promise<void> {
  store.isCut = true;
  const { generation, members } = await w.store.control({ op: 'members' });
  const { incarnation, heartbeat } = members[0] ?? { incarnation: n.status().incarnation, heartbeat: 0 };
  const evict = { op: 'evict', generation, incarnation, heartbeatSeen: heartbeat } as const;
  await until('it is evicted', async () => (await w.store.control(evict)).ok);
  store.isCut = false;
}

describe('a node that joined and has not read the members yet', () => {
  async function joined(): Promise<{ one: Watched; starting: Promise<void> }> {
    const one = watched(world());
    one.store.held = 'members';
    const starting = one.n.start();
    started.push(one.n);
    await until('it reads the members', () => one.store.waiting > 0);
    return { one, starting };
  }

  it('is evicted: joins again', async () => {
    const { one, starting } = await joined();
    const first = one.n.status().incarnation;
    await evict(one);
    const heartbeats = one.store.calls.length;
    await until('it hears of that', () => one.store.calls.slice(heartbeats).includes('heartbeat'));
    one.store.release();
    await starting;
    await until('it is ready', () => one.n.status().isReady, 2000);
    expect(one.n.status().incarnation).toBeGreaterThan(first);
  });

  it('loses its store: does not start', async () => {
    const { one, starting } = await joined();
    const { generation } = await one.w.store.control({ op: 'members' });
    await one.w.store.control({ op: 'closeStore', generation });
    await until('it hears of that', () => one.n.status().state === 'closed');
    one.store.release();
    expect(await codeOf(starting)).toMatchObject({ code: 'STORE_LOST' });
    expect(one.n.status().state).toBe('closed');
    await one.n.stop();
    await expectNoTimers(one);
  });
});

describe('a node that is stopped while it rejoins', () => {
  async function rejoining(call: 'join' | undefined): Promise<Watched> {
    const one = watched(world());
    await one.n.start();
    one.store.held = call;
    await evict(one);
    await until('it rejoins', () => one.n.status().state === 'rejoining');
    return one;
  }

  it('with a join on its way that succeeds during the stop', async () => {
    const one = await rejoining('join');
    await until('it joins', () => one.store.waiting > 0);
    const stopping = one.n.stop();
    one.store.release();
    await stopping;
    await expectSilence(one);
    await expectSuccessor(one.w);
  });

  it('with a join on its way that gets no answer before the end of the stop', async () => {
    const one = await rejoining('join');
    await until('it joins', () => one.store.waiting > 0);
    await one.n.stop();
    one.store.release();
    // Its lease ends soon; until then it is a member without a process.
    await expectSilence(one, true);
    await expectSuccessor(one.w);
  });

  it('with a store that does not answer its joins', async () => {
    const one = await rejoining('join');
    one.store.isCut = true;
    one.store.release();
    await sleep(100);
    await one.n.stop();
    await expectSilence(one);
  });
});

describe('a node that has stopped', () => {
  it('is silent, after work of all kinds', async () => {
    const w = world();
    const other = node(w, () => 'other', { serverId: 'n2', ...fast() });
    started.push(other);
    await other.start();
    let tries = 0;
    const one = watched(w, { entities: { account: { retry: { maxAttempts: 3, backoffDelay: 20 } } } }, (_p, name) => {
      if (name === 'Query' && tries++ < 2) throw new Error('once more');
      return 'done';
    });
    await one.n.start();
    const calls = Array.from({ length: 100 }, (_, i) =>
      one.n.enqueueAndWait(msg(`e${i % 20}`, {}, { name: i % 9 === 0 ? 'Query' : 'Do' }), { timeoutMs: 3000 }),
    );
    await sleep(5);
    const stopping = one.n.stop();
    await Promise.allSettled(calls);
    await stopping;
    await other.stop();
    await expectSilence(one);
  });

  const DUTY_CALLS: readonly CallName[] = ['members', 'ready', 'audit', 'lead', 'report', 'heartbeat', 'counts'];

  it.each(DUTY_CALLS)('is silent although a call of a duty was under way: %s', async (call) => {
    const one = watched(world(), { storeCallTimeoutMs: 100, shutdownGraceMs: 100 });
    await one.n.start();
    await until('it leads', () => one.n.status().role === 'master');
    one.store.held = call;
    const stopping = call === 'counts' || call === 'report' ? one.n.stop() : undefined;
    await until('the call is made', () => one.store.waiting > 0);
    await (stopping ?? one.n.stop());
    await expectSilence(one);
  });

  it.each(['members', 'counts', 'letters', 'ready', 'audit', 'lead'] as const)(
    'goes on with no duty when the answer to a call of it is read after that: %s',
    async (call) => {
      const w = world();
      const deadLetters = { max: 1 };
      const one = watched(w, { storeCallTimeoutMs: 100, shutdownGraceMs: 100, deadLetters, wal: { cleanupInterval: 20 } }, () => {
        throw new Error('as it is meant to');
      });
      await one.n.start();
      for (const id of ['a', 'b', 'c']) await codeOf(one.n.enqueueAndWait(msg(id), { timeoutMs: 2000 }));
      await until('it leads', () => one.n.status().role === 'master');
      one.store.held = call;
      one.store.answersAfterClose = true;
      const other = node(w, () => 'other', { serverId: 'n2', ...fast() }, undefined, undefined, PUBLISHES);
      started.push(other);
      await other.start();
      await until('the call is made', () => one.store.waiting > 0);
      await one.n.stop();
      const before = one.store.calls.length;
      one.store.release();
      await sleep(50);
      expect(one.store.calls.slice(before)).toEqual([]);
      await expectNoTimers(one);
    },
  );

  it.each(['leave', 'batch', 'heartbeat'] as const)('reports nothing when a call fails after that: %s', async (call) => {
    const w = world();
    const { grpc } = fast();
    const one = watched(w, { storeCallTimeoutMs: 100, shutdownGraceMs: 100, grpc: { ...grpc, redisHealthFailureThreshold: 1 } });
    await one.n.start();
    one.store.held = call;
    one.store.answersAfterClose = true;
    const calling = one.n.enqueue(msg('a')).catch((error: unknown) => error);
    const stopping = call === 'leave' ? one.n.stop() : undefined;
    await until('the call is made', () => one.store.waiting > 0);
    await (stopping ?? one.n.stop());
    await calling;
    const reported = w.events.length;
    one.store.isCut = true;
    one.store.release();
    await sleep(50);
    expect(w.events.slice(reported)).toEqual([]);
  });

  it('is silent although a handler never ends, and hears of its end without a word', async () => {
    let end = (_: string): void => {};
    const config = { entities: { account: { handlerTimeout: 30 } } };
    const one = watched(world(), config, () => new Promise((resolve) => (end = resolve)));
    await one.n.start();
    const call = codeOf(one.n.enqueueAndWait(msg('a'), { timeoutMs: 10_000 }));
    await until('it is reported as blocked', () => one.n.status().blocked.length === 1);
    await one.n.stop();
    expect(await call).toMatchObject({ code: 'OUTCOME_UNKNOWN', definite: false });
    const reported = one.w.events.length;
    end('late');
    await expectNoTimers(one);
    const before = one.store.calls.length;
    await sleep(100);
    expect(one.store.calls.slice(before)).toEqual([]);
    expect(one.w.events.slice(reported)).toEqual([]);
  });

  it('is silent although the store answered nothing while it stopped', async () => {
    const one = watched(world(), { storeCallTimeoutMs: 100 });
    await one.n.start();
    one.store.isCut = true;
    const call = one.n.enqueueAndWait(msg('a'), { timeoutMs: 10_000 }).catch((error: unknown) => error);
    await sleep(100);
    await one.n.stop();
    await call;
    await expectSilence(one, true);
  });

  it('is silent although a call waits for its deadline, and one to be withdrawn', async () => {
    const one = watched(world(), { storeCallTimeoutMs: 100 }, () => new Promise(() => {}));
    await one.n.start();
    const calls = [
      one.n.enqueueAndWait(msg('a'), { timeoutMs: 10_000 }),
      one.n.enqueueAndWait(msg('a'), { timeoutMs: 60, onTimeout: 'withdraw' }),
      one.n.enqueueAndWait(msg('b'), { timeoutMs: 60, signal: new AbortController().signal }),
    ].map((call) => call.catch((error: unknown) => error));
    await sleep(80);
    await one.n.stop();
    await Promise.all(calls);
    await expectNoTimers(one);
  });

  it('is silent although a message was to be withdrawn whose append had no answer', async () => {
    const one = watched(world(), { storeCallTimeoutMs: 2000 });
    await one.n.start();
    one.store.held = 'batch';
    const call = codeOf(one.n.enqueueAndWait(msg('a'), { timeoutMs: 30, onTimeout: 'withdraw' }));
    await sleep(100);
    await one.n.stop();
    expect(await call).toMatchObject({ definite: false });
    await expectNoTimers(one);
  });
});
