/** A clock, a store and a network that show what a node still does, and a store that holds calls back. */
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import { LoopbackNetwork } from '../../src/memory/network.js';
import type { Clock, Timer } from '../../src/ports/clock.js';
import type { Network, PeerMessage } from '../../src/ports/network.js';
import { type Store, StoreCallError } from '../../src/ports/store.js';
import { SystemClock } from '../../src/system/clock.js';
import type { World } from './harness.js';

/** Knows the timers that were set and have neither fired nor been cancelled, by the place that set them. */
export class WatchedClock extends SystemClock {
  readonly pending = new Map<Timer, string>();

  override setTimer(delayMs: number, fire: () => void): Timer {
    const inner = super.setTimer(delayMs, () => {
      this.pending.delete(timer);
      fire();
    });
    const timer: Timer = {
      cancel: () => {
        this.pending.delete(timer);
        inner.cancel();
      },
    };
    this.pending.set(timer, placeOf(new Error('set')));
    return timer;
  }
}

const placeOf = ({ stack = '' }: Error): string =>
  stack
    .split('\n')
    .slice(2)
    .map((line) => /src\/\w+\/[\w-]+\.ts:\d+/.exec(line)?.[0])
    .filter((place) => place !== undefined)
    .slice(0, 2)
    .join(' < ');

/** 'open', or the name of an operation. */
export type CallName = 'open' | 'batch' | ControlOp['op'];

/** One node's link to a store that others use too. */
export class WatchedStore implements Store {
  readonly calls: CallName[] = [];
  /** Calls of this name wait until `release`. */
  held: CallName | undefined;
  /** Calls fail without an answer, and are not applied. */
  isCut = false;
  isClosed = false;
  /** What was asked before `close` is answered at the `release` after it, as by an answer that is read late. */
  answersAfterClose = false;
  #waiting: (() => void)[] = [];

  constructor(private readonly inner: Store) {}

  get waiting(): number {
    return this.#waiting.length;
  }

  release(): void {
    this.held = undefined;
    for (const go of this.#waiting.splice(0)) go();
  }

  apply(batch: Batch): Promise<BatchReply> {
    return this.#call('batch', () => this.inner.apply(batch));
  }

  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    return this.#call(op.op, () => this.inner.control(op));
  }

  onReplaced(): void {}

  async open(): Promise<void> {
    this.isClosed = false;
    await this.#call('open', () => this.inner.open());
  }

  /** As a connection, which refuses what comes after. A call that is held was sent, and is applied unless the link is cut. */
  async close(): Promise<void> {
    this.isClosed = true;
    if (!this.answersAfterClose) this.release();
  }

  async #call<T>(name: CallName, run: () => Promise<T>): Promise<T> {
    this.calls.push(name);
    if (this.isClosed) throw new StoreCallError('there is no connection', true);
    if (this.held === name) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.isCut) throw new StoreCallError('no answer', false);
    const answer = await run();
    if (this.isClosed && !this.answersAfterClose) throw new StoreCallError('the connection was closed', false);
    return answer;
  }
}

export class WatchedNetwork implements Network {
  sent = 0;
  isClosed = false;
  readonly #inner: LoopbackNetwork;

  constructor(w: World, clock: Clock) {
    this.#inner = new LoopbackNetwork(w.hub, clock);
  }

  send(to: number, message: PeerMessage): void {
    this.sent++;
    this.#inner.send(to, message);
  }

  listen(incarnation: number, receive: (message: PeerMessage, from: number) => void): void {
    this.isClosed = false;
    this.#inner.listen(incarnation, receive);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.#inner.close();
  }
}
