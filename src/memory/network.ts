import type { Clock } from '../ports/clock.js';
import type { Network, PeerMessage } from '../ports/network.js';

type Receive = (message: PeerMessage, from: number) => void;

/** Passes messages between the nodes of one process. These nodes must share a store, because the store numbers incarnations. */
export class LoopbackHub {
  readonly #listeners = new Map<number, Receive>();

  attach(incarnation: number, receive: Receive): void {
    this.#listeners.set(incarnation, receive);
  }

  detach(incarnation: number): void {
    this.#listeners.delete(incarnation);
  }

  deliver(to: number, message: PeerMessage, from: number): void {
    this.#listeners.get(to)?.(message, from);
  }
}

/** The network of the nodes in one process. It loses no message, and delivers after `send` has returned, as a real one does. */
export class LoopbackNetwork implements Network {
  #incarnation: number | undefined;
  readonly #hub: LoopbackHub;
  readonly #clock: Clock;

  constructor(hub: LoopbackHub, clock: Clock) {
    this.#hub = hub;
    this.#clock = clock;
  }

  send(to: number, message: PeerMessage): void {
    const from = this.#incarnation;
    if (from !== undefined) this.#clock.defer(() => this.#hub.deliver(to, message, from));
  }

  listen(incarnation: number, receive: Receive): void {
    this.#leave();
    this.#incarnation = incarnation;
    this.#hub.attach(incarnation, receive);
  }

  close(): Promise<void> {
    this.#leave();
    return Promise.resolve();
  }

  #leave(): void {
    if (this.#incarnation !== undefined) this.#hub.detach(this.#incarnation);
    this.#incarnation = undefined;
  }
}
