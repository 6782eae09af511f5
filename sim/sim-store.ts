/**
 * The store as a node reaches it, over an unreliable network. Every call is three events: the request leaves (an event of the
 * caller's life), the store applies it (an event of no life: it happens whether or not the caller lives), and the reply arrives
 * (an event of the caller's life). So a crash can fall between any two of them.
 */
import type { ControlAnswer, ControlAnswerOf, ControlOp } from '../src/core/log/control-operations.js';
import type { Batch, BatchReply, SessionOp } from '../src/core/log/operations.js';
import { type Store, StoreCallError } from '../src/ports/store.js';
import type { Applied } from './applied-log.js';
import type { Stream } from './sim-random.js';
import { Arrival, type Direction, StorePath } from './store-path.js';
import type { StoreServer } from './store-server.js';
import { type Life, never, SimEvent } from './world.js';

/** Copies what travels. The sender may change its own object later. */
export const copyOf = (batch: Batch): Batch => ({
  ...batch,
  ops: batch.ops.map((op): SessionOp => (op.op === 'append' || op.op === 'begin' || op.op === 'finish' ? { ...op } : op)),
});

type Settle = (value: BatchReply | ControlAnswer) => void;

/** One call to the store, with its request and its reply. */
class StoreCall extends SimEvent {
  private stage: 'leaving' | 'back' = 'leaving';
  private sentMs = 0;
  private runId = 0;
  private reply: BatchReply | ControlAnswer | undefined;
  private applied: Applied | undefined;
  private failure: StoreCallError | undefined;

  constructor(
    readonly store: SimStore,
    readonly batch: Batch | undefined,
    readonly op: ControlOp | undefined,
    private readonly resolve: Settle,
    private readonly reject: (error: StoreCallError) => void,
    /** Deadline of this try, in ms. */
    private readonly timeoutMs: number,
  ) {
    super(store.life);
  }

  fire(): void {
    if (this.stage === 'leaving') this.leave();
    else if (this.failure !== undefined) this.reject(this.failure);
    else {
      if (this.applied !== undefined) this.applied.acknowledged = true;
      this.resolve(this.reply as BatchReply | ControlAnswer);
    }
  }

  private leave(): void {
    const { store } = this;
    const { server, chance, life } = store;
    const { world, conditions, hits } = server;
    this.sentMs = world.nowMs;
    this.stage = 'back';
    if (!store.connect()) {
      this.fail(chance.between(0, 2), 'the connection is being made anew; nothing was sent', true);
      return;
    }
    this.runId = server.runId;
    if (!conditions.reachesStore(life.host)) {
      hits.unreachable++;
      // A refused connection fails at once. A silent network fails only at the deadline, after the bytes have left.
      if (chance.chance(0.3)) this.fail(chance.between(0, 20), 'connection refused; nothing was sent', true);
      else this.lose();
      return;
    }
    if (conditions.hit('lateCopy', life.host, chance)) {
      // The socket stalls: the caller abandons this try, and the bytes arrive later. A call that was answered has no other copy.
      this.lose();
      world.push(new LateCopy(this), chance.logBetween(5, 8000));
      return;
    }
    if (conditions.hit('requestLost', life.host, chance)) {
      hits.requestLost++;
      this.lose();
      return;
    }
    const delayMs = store.delayMs('out', this.batch ?? this.op, this.isHeartbeat);
    if (store.isThin && delayMs >= this.timeoutMs) {
      hits.tooSlow++;
      this.lose();
      world.push(new LateCopy(this), delayMs);
    } else world.push(new Arrival(this), delayMs);
  }

  private get isHeartbeat(): boolean {
    return this.op?.op === 'heartbeat';
  }

  /** Makes the call fail at its deadline. No reply arrives before. */
  lose(): void {
    const { timeoutMs } = this;
    const { server } = this.store;
    this.fail(this.sentMs + timeoutMs - server.world.nowMs, `no answer within ${timeoutMs} ms`, false);
  }

  private fail(delayMs: number, why: string, refused: boolean, kind?: StoreCallError['kind']): void {
    this.failure = new StoreCallError(why, refused, false, undefined, kind);
    this.store.server.world.push(this, Math.max(0, delayMs));
  }

  /** Is called when the request has reached the store. */
  arrived(): void {
    const { store, batch, op } = this;
    const { server, chance, life } = store;
    const { conditions, hits, world } = server;
    if (this.runId !== server.runId || !conditions.reachesStore(life.host)) {
      hits.unreachable++;
      this.lose();
      return;
    }
    const outcome = server.receive(life, chance, { batch, op });
    if (outcome === undefined) return;
    if ('refusal' in outcome) {
      const { refusal, isFull } = outcome;
      this.fail(store.delayMs('in', refusal, this.isHeartbeat), refusal, true, isFull ? 'full' : '');
      return;
    }
    this.reply = outcome.reply;
    this.applied = outcome.step;
    const backMs = store.delayMs('in', this.reply, this.isHeartbeat);
    const isLost = conditions.hit('replyLost', life.host, chance);
    if (isLost) hits.replyLost++;
    if (isLost || world.nowMs + backMs >= this.sentMs + this.timeoutMs) this.lose();
    else world.push(this, backMs);
  }
}

/** A copy of a request that a stalled socket delivers late. No caller waits for its reply. */
class LateCopy extends SimEvent {
  private readonly store: SimStore;
  private readonly batch: Batch | undefined;
  private readonly op: ControlOp | undefined;

  constructor(call: StoreCall) {
    super(undefined);
    this.store = call.store;
    this.batch = call.batch;
    this.op = call.op;
  }

  fire(): void {
    const { store, batch, op } = this;
    const { server, life } = store;
    if (server.conditions.reachesStore(life.host)) server.receiveLate(life, { batch, op });
  }
}

/** The connection of one life to the store. */
export class SimStore implements Store {
  private runIdSeen = 0;
  /** Generation of the batches that this connection has carried. */
  private generation = '';
  private readonly path: StorePath;
  private replaced: (why: string) => void = () => undefined;

  constructor(
    readonly server: StoreServer,
    readonly life: Life,
    readonly chance: Stream,
    readonly timeoutMs: number,
  ) {
    this.path = new StorePath(server, life, chance);
  }

  /** Sends a batch. `patience` multiplies the timeout of a large batch, and counts only if bytes take time. */
  apply(batch: Batch, patience = 1): Promise<BatchReply> {
    this.generation = batch.generation;
    const timeoutMs = this.isThin ? this.timeoutMs * patience : this.timeoutMs;
    return this.call(copyOf(batch), undefined, timeoutMs) as Promise<BatchReply>;
  }

  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    return this.call(undefined, op, this.timeoutMs) as Promise<ControlAnswerOf[O['op']]>;
  }

  private call(batch: Batch | undefined, op: ControlOp | undefined, timeoutMs: number): Promise<BatchReply | ControlAnswer> {
    if (!this.life.alive) return never();
    if (this.life.isStopped) this.life.onLateAct(`calls the store (${op?.op ?? 'batch'})`);
    return new Promise((resolve, reject) => this.path.leaveLater(new StoreCall(this, batch, op, resolve, reject, timeoutMs)));
  }

  /** Whether the time of a call depends on its bytes. */
  get isThin(): boolean {
    return this.path.isThin;
  }

  /** Returns the delay of one way in ms. Calls of one connection stay in order, unless the fault `storeReorder` hits. */
  delayMs(direction: Direction, content: unknown, isHeartbeat: boolean): number {
    const { conditions, hits } = this.server;
    const delayMs = this.path.drawDelayMs();
    if (conditions.hit('storeReorder', this.life.host, this.chance)) {
      hits.storeReorder++;
      const laterMs = this.chance.between(0, 100);
      return laterMs + (this.isThin ? this.path.inTurnMs(delayMs, direction, content, isHeartbeat) : delayMs);
    }
    return this.path.inTurnMs(delayMs, direction, content, isHeartbeat);
  }

  /**
   * Returns false if the server is another one than before. This call is not sent then. Like the adapter for Redis, a changed
   * server of the same generation counts as restarted, and a server of another generation is reported as replaced.
   */
  connect(): boolean {
    const { server } = this;
    if (this.runIdSeen === server.runId) return true;
    const isFirst = this.runIdSeen === 0;
    if (!isFirst && !server.conditions.reachesStore(this.life.host)) return true;
    this.runIdSeen = server.runId;
    if (isFirst) return true;
    if (this.generation !== '' && server.state.generation !== this.generation)
      server.world.after(0, this.life, () => this.replaced('its run id and its generation changed'));
    return false;
  }

  onReplaced(listener: (why: string) => void): void {
    this.replaced = listener;
  }

  open(): Promise<void> {
    if (!this.life.alive) return never();
    return new Promise((resolve, reject) => {
      this.path.dial((isReached) => {
        if (isReached) {
          this.connect();
          resolve();
        } else reject(new StoreCallError('connection refused', true));
      });
    });
  }

  close(): Promise<void> {
    this.replaced = () => undefined;
    return Promise.resolve();
  }
}
