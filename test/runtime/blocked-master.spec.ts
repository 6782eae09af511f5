/**
 * A master whose main loop is blocked, while its lease is kept from elsewhere: it loses the role and nothing else
 * (docs/decisions/026).
 */
import { expect, it } from 'vitest';
import type { ControlAnswerOf, ControlOp, Identity } from '../../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import { LoopbackNetwork } from '../../src/memory/network.js';
import type { Timer } from '../../src/ports/clock.js';
import type { HeartbeatListener } from '../../src/ports/heartbeats.js';
import type { PeerMessage } from '../../src/ports/network.js';
import type { Store } from '../../src/ports/store.js';
import { PlainHeartbeatSender } from '../../src/runtime/heartbeats.js';
import type { Node } from '../../src/runtime/node.js';
import { SystemClock } from '../../src/system/clock.js';
import { msg, node, until, type World, world } from './harness.js';
import { fast, started } from './started.js';

const FAST = fast({ deadlines: { syncMs: 60, forwardMs: 2000 } });

/** The main loop of one node: while it is blocked, nothing that it is due happens; then all of it, in order. */
class MainLoop {
  private due: (() => void)[] | undefined;

  get isBlocked(): boolean {
    return this.due !== undefined;
  }

  run(what: () => void): void {
    if (this.due === undefined) what();
    else this.due.push(what);
  }

  turn(): Promise<void> {
    return new Promise((resolve) => this.run(resolve));
  }

  block(): void {
    this.due ??= [];
  }

  goOn(): void {
    const due = this.due ?? [];
    this.due = undefined;
    for (const what of due) what();
  }
}

class LoopClock extends SystemClock {
  constructor(private readonly loop: MainLoop) {
    super();
  }

  override setTimer(delayMs: number, fire: () => void): Timer {
    let isCancelled = false;
    const timer = super.setTimer(delayMs, () => this.loop.run(() => isCancelled || fire()));
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  override defer(run: () => void): void {
    super.defer(() => this.loop.run(run));
  }
}

class LoopStore implements Store {
  constructor(
    private readonly inner: Store,
    private readonly loop: MainLoop,
  ) {}

  apply(batch: Batch): Promise<BatchReply> {
    return this.inner.apply(batch).finally(() => this.loop.turn());
  }

  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    return this.inner.control(op).finally(() => this.loop.turn());
  }

  onReplaced(): void {}
  async open(): Promise<void> {}
  async close(): Promise<void> {}
}

/** Blocks its node's loop as the first command of a master is about to leave. */
class LoopNetwork extends LoopbackNetwork {
  blocksAtAssign = false;

  constructor(
    w: World,
    clock: LoopClock,
    private readonly loop: MainLoop,
  ) {
    super(w.hub, clock);
  }

  override send(to: number, message: PeerMessage): void {
    if (this.blocksAtAssign && message.kind === 'assign') this.loop.block();
    super.send(to, message);
  }

  override listen(incarnation: number, receive: (message: PeerMessage, from: number) => void): void {
    super.listen(incarnation, (message, from) => this.loop.run(() => receive(message, from)));
  }
}

/** Beats as the thread does: whatever the main loop does, but tells of it only there. */
class ThreadHeartbeatSender extends PlainHeartbeatSender {
  constructor(
    store: Store,
    private readonly loop: MainLoop,
  ) {
    super(store, new SystemClock(), FAST.grpc.heartbeatMs);
  }

  override begin(member: Identity, listener: HeartbeatListener): void {
    super.begin(member, {
      answered: (...told) => this.loop.run(() => listener.answered(...told)),
      ended: (why) => this.loop.run(() => listener.ended(why)),
      failed: (error) => this.loop.run(() => listener.failed(error)),
    });
  }
}

it('a blocked master keeps its lease, is replaced, and what it had ordered is refused as stale when it wakes', async () => {
  const w = world();
  const loop = new MainLoop();
  const clock = new LoopClock(loop);
  const network = new LoopNetwork(w, clock, loop);
  const parts = { clock, network, heartbeats: new ThreadHeartbeatSender(w.store, loop) };
  const nodes = ['n1', 'n2', 'n3'].map((serverId, i) => {
    const own = { ...w, store: i === 0 ? new LoopStore(w.store, loop) : w.store };
    return node(own, () => serverId, { ...FAST, serverId }, undefined, undefined, i === 0 ? parts : {});
  });
  for (const n of nodes) {
    started.push(n);
    await n.start();
  }
  const [master, second] = nodes as [Node, Node, Node];
  await until('the first leads', () => master.status().role === 'master');
  await until('all know', () => nodes.every((n) => n.status().peers.length === 2));
  const { incarnation, epoch } = master.status();
  network.blocksAtAssign = true;
  const calls: Promise<string>[] = [];
  // Some entity that is neither the caller's nor the master's.
  await until('it is blocked in the middle of an assignment', () => {
    calls.push(second.enqueueAndWait(msg(`e${calls.length}`), { timeoutMs: 8000 }));
    return loop.isBlocked;
  });
  await until('the second leads', () => second.status().role === 'master', 3000);
  // The store lists it as living, and it may start handlers: only the role is gone.
  expect((await w.store.control({ op: 'members' })).members.find((m) => m.incarnation === incarnation)?.dead).toBe(false);
  expect(master.status()).toMatchObject({ role: 'replica', incarnation, suspended: false });
  w.events.length = 0;
  loop.goOn();
  const refused = (): boolean =>
    w.events.some(({ event, data }) => {
      const told = data as { epoch?: number; accepted?: boolean };
      return event === 'commanded' && told.epoch === epoch && told.accepted === false;
    });
  await until('its order is refused', refused);
  const results = await Promise.all(calls);
  expect(results.every((result) => /^"n[123]"$/.test(result))).toBe(true);
  expect(master.status()).toMatchObject({ state: 'running', role: 'replica', incarnation });
  expect(second.status().role).toBe('master');
  expect(w.events.map(({ event }) => event)).not.toContain('lease-lost');
  expect((await w.store.control({ op: 'counts' })).letters).toBe(0);
});
