/** A stream after its handshake: carries batches both ways, with a bounded amount on its way. */
import type { Batch } from './cluster.gen.js';
import { decodeFrame, encodeFrame } from './frames.js';
import type { Stream } from './streams.js';

export interface LinkEvents {
  batch(batch: Batch): void;
  /** Whatever came was sound. */
  heard(): void;
  garbage(): void;
  /** Some of what was on its way has left. */
  drained(): void;
  closed(why: string): void;
}

/** What may be written and not yet taken by the connection; more waits in the outbox, where the old makes way. */
const FLIGHT_BYTES_MAX = 2 * 1024 * 1024;
const FLIGHT_FRAMES_MAX = 64;

export class Link {
  readonly #stream: Stream;
  #flyingFrames = 0;
  #flyingBytes = 0;
  #pings = 0;
  #isClosed = false;

  constructor(
    stream: Stream,
    /** Incarnation of the node that opened it. */
    readonly openedBy: number,
    /** The largest frame that the other end takes. */
    readonly frameBytesMax: number,
    events: LinkEvents,
  ) {
    this.#stream = stream;
    this.#events = events;
    stream.handlers = {
      data: (bytes) => this.#take(bytes),
      closed: (why) => {
        this.#isClosed = true;
        events.closed(why);
      },
    };
  }

  readonly #events: LinkEvents;

  get isFull(): boolean {
    return this.#isClosed || this.#flyingFrames >= FLIGHT_FRAMES_MAX || this.#flyingBytes >= FLIGHT_BYTES_MAX;
  }

  get isFlying(): boolean {
    return !this.#isClosed && this.#flyingFrames > 0;
  }

  /** `landed` says whether the connection took it, which is not to say that the peer did. */
  send(bytes: Buffer, landed: (isTaken: boolean) => void): void {
    this.#flyingFrames++;
    this.#flyingBytes += bytes.length;
    let isOpen = true;
    this.#stream.write(bytes, (error) => {
      if (!isOpen) return;
      isOpen = false;
      this.#flyingFrames--;
      this.#flyingBytes -= bytes.length;
      landed(error === undefined || error === null);
      this.#events.drained();
    });
  }

  ping(): void {
    this.send(encodeFrame({ case: 'ping', value: ++this.#pings }), () => undefined);
  }

  /** What was sent still leaves. */
  end(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  #take(bytes: Buffer): void {
    const frame = decodeFrame(bytes);
    switch (frame?.case) {
      case 'batch':
        this.#events.heard();
        this.#events.batch(frame.value);
        return;
      case 'ping':
        this.#events.heard();
        // An answer that finds no room is not missed more than any other.
        if (!this.isFull) this.send(encodeFrame({ case: 'pong', value: frame.value }), () => undefined);
        return;
      case 'pong':
        this.#events.heard();
        return;
      default:
        this.#events.garbage();
    }
  }
}
