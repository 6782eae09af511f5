import { afterEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/core/log/control-operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import type { HeartbeatListener, HeartbeatSender } from '../../src/ports/heartbeats.js';
import type { Store } from '../../src/ports/store.js';
import type { Node } from '../../src/runtime/node.js';
import { SystemClock } from '../../src/system/clock.js';
import { msg, node, sleep, until, world } from './harness.js';

const TIMING = { nodeTTLMs: 400, heartbeatMs: 100, leaseMarginMs: 20 };

/** Sends a heartbeat when the test says so. */
class HeartbeatsByHand implements HeartbeatSender {
  private heartbeats = 0;
  private run: { member: Identity; listener: HeartbeatListener } | undefined;

  constructor(
    private readonly store: Store,
    private readonly clock: SystemClock,
  ) {}

  begin(member: Identity, listener: HeartbeatListener): void {
    this.run = { member, listener };
  }
  end(): void {
    this.run = undefined;
  }
  lastProvedMs(): number {
    return Number.NEGATIVE_INFINITY;
  }
  close(): Promise<void> {
    return Promise.resolve();
  }

  async heartbeat(): Promise<void> {
    const { run } = this;
    if (run === undefined) throw new Error('no incarnation to send a heartbeat for');
    const sentMs = this.clock.monotonicMs();
    const heartbeat = ++this.heartbeats;
    const answer = await this.store.control({ op: 'heartbeat', ...run.member, heartbeat, acknowledged: 0 });
    run.listener.answered(answer, heartbeat, sentMs, this.clock.monotonicMs());
  }
}

const blockLoop = (ms: number): void => {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
};

describe('a node whose lease is proved again', () => {
  let started: Node | undefined;
  afterEach(() => started?.stop());

  it('asks for the lease before each attempt that waited, not once for all of them', async () => {
    const clock = new SystemClock();
    const store = new MemoryStore(clock);
    const heartbeats = new HeartbeatsByHand(store, clock);
    const leaseLeftMs: number[] = [];
    const replies: (() => void)[] = [];
    let holdsReplies = false;
    const apply = store.apply.bind(store);
    store.apply = async (batch) => {
      const reply = await apply(batch);
      if (holdsReplies) await new Promise<void>((resolve) => replies.push(resolve));
      return reply;
    };
    const w = world(store);
    started = node(
      w,
      () => {
        leaseLeftMs.push((started as Node).status().leaseLeftMs);
        blockLoop(TIMING.nodeTTLMs);
      },
      { grpc: TIMING },
      undefined,
      undefined,
      { heartbeats },
    );
    await started.start();
    await heartbeats.heartbeat();
    holdsReplies = true;
    const calls = ['a', 'b', 'c'].map((id) => (started as Node).enqueue(msg(id)));
    await until('the batch is applied', () => replies.length > 0);
    await sleep(TIMING.nodeTTLMs);
    holdsReplies = false;
    for (const release of replies.splice(0)) release();
    await Promise.all(calls);
    expect(started.status()).toMatchObject({ suspended: true });
    expect(leaseLeftMs).toEqual([]);

    for (let i = 1; i <= calls.length; i++) {
      await heartbeats.heartbeat();
      await until(`${i} of them have started`, () => leaseLeftMs.length >= i);
      await sleep(10);
      expect(leaseLeftMs).toHaveLength(i);
    }
    expect(leaseLeftMs.every((ms) => ms > 0)).toBe(true);
  });
});
