import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/core/config.js';
import type { ControlAnswerOf, ControlOp, Identity, Member } from '../../src/core/log/control-operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import type { Clock, Timer } from '../../src/ports/clock.js';
import type { Ending, HeartbeatListener, HeartbeatSender } from '../../src/ports/heartbeats.js';
import { StoreCallError } from '../../src/ports/store.js';
import { PlainHeartbeatSender } from '../../src/runtime/heartbeats.js';
import { Membership } from '../../src/runtime/membership.js';

/** Time that passes only when told to; with `block`, without its timers, as under a handler that blocks the loop. */
class ManualClock implements Clock {
  #nowMs = 1000;
  #timers: { atMs: number; fire: () => void }[] = [];

  get armed(): number {
    return this.#timers.length;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((t) => t !== timer);
      },
    };
  }

  defer(run: () => void): void {
    this.setTimer(0, run);
  }

  block(ms: number): void {
    this.#nowMs += ms;
  }

  /** Lets what is due happen, one timer after another, and its promises after each. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settled();
    for (;;) {
      const next = this.#timers.filter((t) => t.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
      await settled();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Heartbeat = Extract<ControlOp, { op: 'heartbeat' }>;
type Answer = ControlAnswerOf['heartbeat'];

/** A store whose answers to beats the test gives, when it likes. */
class BeatenStore extends MemoryStore {
  readonly heartbeats: { readonly op: Heartbeat; answer(answer: Answer): void; fail(error: unknown): void }[] = [];

  override control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    if (op.op !== 'heartbeat') return super.control(op);
    return new Promise((resolve, reject) => {
      this.heartbeats.push({ op, answer: (answer) => resolve(answer as ControlAnswerOf[O['op']]), fail: reject });
    });
  }
}

class Heard implements HeartbeatListener {
  readonly news: string[] = [];
  answered(answer: Answer, _heartbeat: number, sentMs: number, receivedMs: number): void {
    this.news.push(`${answer.ok ? 'ok' : answer.code} ${sentMs}-${receivedMs}`);
  }
  ended(why: Ending): void {
    this.news.push(why);
  }
  failed(error: StoreCallError): void {
    this.news.push(`failed: ${error.message}`);
  }
}

const TTL_MS = 1000;
const COUNTERS = { incarnation: 1, fence: 0, epoch: 0, letter: 0 };
const OK = { ok: true, nowMs: 0, leaseUntilMs: TTL_MS, counters: COUNTERS } as const;
const member = (incarnation: number): Identity => ({ generation: 'g', incarnation, token: 't' });

describe('heartbeats from the main loop', () => {
  const EVERY_MS = 100;

  function begun() {
    const clock = new ManualClock();
    const store = new BeatenStore(clock);
    const heartbeats = new PlainHeartbeatSender(store, clock, EVERY_MS);
    const heard = new Heard();
    heartbeats.begin(member(7), heard);
    return {
      clock,
      store,
      heartbeats,
      heard,
      news: heard.news,
      counters: () => store.heartbeats.map(({ op }) => op.heartbeat),
    };
  }

  it('has one heartbeat in flight, counts up, and knows when the newest that was acknowledged left', async () => {
    const { clock, store, heartbeats, news, counters } = begun();
    expect(heartbeats.lastProvedMs()).toBe(Number.NEGATIVE_INFINITY);
    await clock.pass(5 * EVERY_MS);
    expect(counters()).toEqual([1]);
    store.heartbeats[0]?.answer(OK);
    await clock.pass(EVERY_MS);
    store.heartbeats[1]?.fail(new StoreCallError('gone', false));
    await clock.pass(EVERY_MS);
    expect(store.heartbeats.map(({ op }) => op)).toEqual(
      [1, 2, 3].map((heartbeat) => ({ op: 'heartbeat', ...member(7), heartbeat, acknowledged: heartbeat === 1 ? 0 : 1 })),
    );
    expect(news).toEqual(['ok 1100-1500', 'failed: gone']);
    expect(heartbeats.lastProvedMs()).toBe(1100);
  });

  it('goes on after an answer that proves nothing, and after what is no StoreCallError', async () => {
    const { clock, store, heartbeats, news, counters } = begun();
    await clock.pass(EVERY_MS);
    store.heartbeats[0]?.answer({ ok: false, code: 'STALE_HEARTBEAT', at: 9 });
    await clock.pass(EVERY_MS);
    store.heartbeats[1]?.fail(new TypeError('odd'));
    await clock.pass(EVERY_MS);
    expect(news).toEqual(['STALE_HEARTBEAT 1100-1100', 'failed: TypeError: odd']);
    expect(counters()).toEqual([1, 2, 3]);
    expect(heartbeats.lastProvedMs()).toBe(Number.NEGATIVE_INFINITY);
  });

  it.each(['FENCED', 'LOST', 'UNKNOWN'] as const)('is silent after %s', async (code) => {
    const { clock, store, news, counters } = begun();
    await clock.pass(EVERY_MS);
    store.heartbeats[0]?.answer({ ok: false, code, at: 0 });
    await clock.pass(10 * EVERY_MS);
    expect(news).toEqual([code]);
    expect(counters()).toEqual([1]);
    expect(clock.armed).toBe(0);
  });

  it('tells and proves nothing of a former incarnation, and starts each with a counter of its own', async () => {
    const { clock, store, heartbeats, news } = begun();
    await clock.pass(EVERY_MS);
    const next = new Heard();
    heartbeats.begin(member(8), next);
    store.heartbeats[0]?.answer(OK);
    await clock.pass(EVERY_MS);
    expect(news).toEqual([]);
    expect(heartbeats.lastProvedMs()).toBe(Number.NEGATIVE_INFINITY);
    expect(store.heartbeats[1]?.op).toEqual({ op: 'heartbeat', ...member(8), heartbeat: 1, acknowledged: 0 });
    heartbeats.end();
    store.heartbeats[1]?.fail(new StoreCallError('late', false));
    await clock.pass(10 * EVERY_MS);
    expect(next.news).toEqual([]);
    expect(store.heartbeats).toHaveLength(2);
  });

  it('leaves no timer once closed, also for a join that succeeds afterwards', async () => {
    const { clock, store, heartbeats, heard } = begun();
    await heartbeats.close();
    heartbeats.begin(member(9), heard);
    await heartbeats.close();
    expect(clock.armed).toBe(0);
    expect(store.heartbeats).toEqual([]);
  });
});

/** A sender of heartbeats. The test sets what it knows and what it reports separately, as with a thread and a blocked loop. */
class ThreadLike implements HeartbeatSender {
  listener: HeartbeatListener | undefined;
  provedMs = Number.NEGATIVE_INFINITY;
  begin(_member: Identity, listener: HeartbeatListener): void {
    this.listener = listener;
  }
  end(): void {
    this.listener = undefined;
    this.provedMs = Number.NEGATIVE_INFINITY;
  }
  lastProvedMs(): number {
    return this.provedMs;
  }
  close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }
}

const LEASE_MS = TTL_MS - 100;

async function joined() {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  const heartbeats = new ThreadLike();
  const events: string[] = [];
  const config = resolveConfig(
    { store: 'memory', grpc: { nodeTTLMs: TTL_MS, leaseMarginMs: TTL_MS - LEASE_MS, heartbeatMs: 100 } },
    { nodeEnv: 'test', hostname: 'test', generateServerId: () => 'n' },
  );
  const membership = new Membership(store, heartbeats, clock, { next: () => 0.5, token: () => 't' }, config, [], {
    suspended: () => events.push('suspended'),
    resumed: () => events.push('resumed'),
    fenced: (why) => events.push(`fenced: ${why}`),
    lost: (why) => events.push(`lost: ${why}`),
    heartbeat: () => 0,
    health: (error) => events.push(error === undefined ? 'well' : `ill: ${error.message}`),
  });
  await membership.join(false);
  const told = (sentMs: number, receivedMs = sentMs, nowMs = 0): void =>
    heartbeats.listener?.answered({ ok: true, nowMs, leaseUntilMs: nowMs + TTL_MS, counters: COUNTERS }, 1, sentMs, receivedMs);
  // That the join was answered.
  expect(events.splice(0)).toEqual(['well']);
  return { clock, store, heartbeats, events, membership, told };
}

describe('the lease of a node whose heartbeats leave elsewhere', () => {
  it('is in force after a blocked loop that the heartbeats outlived: no suspension, whatever the order of what happens then', async () => {
    const { clock, heartbeats, events, membership, told } = await joined();
    clock.block(5 * TTL_MS);
    heartbeats.provedMs = 1000 + 5 * TTL_MS - 50;
    expect(membership.leaseValid()).toBe(true);
    expect(membership.leaseLeftMs()).toBe(LEASE_MS - 50);
    // The news of all those beats, oldest first; the timer of the lapse, long due, comes in between.
    for (let ms = 1000; ms < 1000 + 2 * TTL_MS; ms += 100) told(ms);
    await clock.pass(1);
    for (let ms = 1000 + 2 * TTL_MS; ms <= 1000 + 5 * TTL_MS - 100; ms += 100) told(ms);
    expect(membership.leaseLeftMs()).toBe(LEASE_MS - 51);
    expect(new Set(events)).toEqual(new Set(['well']));
    await clock.pass(LEASE_MS);
    expect(events.at(-1)).toBe('suspended');
    expect(membership.leaseValid()).toBe(false);
  });

  it('has lapsed after a blocked loop that the heartbeats did not outlive', async () => {
    const { clock, heartbeats, events, membership } = await joined();
    heartbeats.provedMs = 1000 + TTL_MS;
    clock.block(TTL_MS + LEASE_MS);
    expect(membership.leaseValid()).toBe(false);
    expect(membership.leaseLeftMs()).toBe(0);
    await clock.pass(0);
    expect(events).toEqual(['suspended']);
  });

  it('counts as lapsed once a start was refused, also if it is proved before the lapse is noticed: what waits is resumed', async () => {
    const { clock, heartbeats, events, membership, told } = await joined();
    clock.block(LEASE_MS);
    expect(membership.leaseValid()).toBe(false);
    heartbeats.provedMs = 1000 + LEASE_MS - 10;
    expect(membership.leaseValid()).toBe(false);
    told(heartbeats.provedMs);
    expect(events).toEqual(['well', 'suspended', 'resumed']);
    expect(membership.leaseValid()).toBe(true);
  });

  it('learns the store time from when the answer came, not from when this loop heard of it', async () => {
    const { clock, membership, told } = await joined();
    clock.block(500);
    told(1100, 1120, 70_110);
    expect(membership.storeNowMs()).toBe(70_110 + 390);
  });

  it('hears of its death, and nothing of a former incarnation', async () => {
    const { heartbeats, events, membership } = await joined();
    const { listener } = heartbeats;
    listener?.failed(new StoreCallError('down', false));
    listener?.ended('FENCED');
    expect(events).toEqual(['ill: down', 'well', 'fenced: the store has evicted this incarnation']);
    membership.forget(0);
    expect(heartbeats.listener).toBeUndefined();
    expect(membership.leaseValid()).toBe(false);
  });

  it('gives the others a whole TTL again after an outage of the store that passed while the loop was blocked', async () => {
    const { clock, store, heartbeats, membership, told } = await joined();
    const other = await store.control({
      ...{ op: 'join', serverId: 'other', group: 'g', address: 'h:1', token: 'o', schema: 1, generation: 'x', workersMax: 0 },
      settings: {
        ...{ leaseTtlMs: TTL_MS, takeoverHoldMs: 0, entryTtlMs: 1, resultTtlMs: 1, depthMax: 0 },
        ...{ leaderTtlMs: 1, leaderDebounceMs: 0 },
      },
      contracts: [],
    });
    if (!other.ok) throw new Error(other.code);
    const evict = async (): Promise<readonly Member[]> => membership.evictTheDead(await store.control({ op: 'members' }));
    const isEvicted = async (): Promise<boolean> =>
      (await store.control({ op: 'members' })).members.every(({ incarnation }) => incarnation !== other.incarnation);
    await evict();
    clock.block(3 * TTL_MS);
    heartbeats.provedMs = 1000 + 3 * TTL_MS - 10;
    told(heartbeats.provedMs);
    await evict();
    expect(await isEvicted()).toBe(false);
    clock.block(TTL_MS);
    await evict();
    expect(await isEvicted()).toBe(true);
  });
});
