/** A stream after its handshake. Carries batches in both directions, and limits how much is in flight. */
import type { Batch } from './cluster.gen.js';
import { decodeFrame, encodeFrame } from './frames.js';
import type { Stream } from './streams.js';

export interface LinkEvents {
  batch(batch: Batch): void;
  /** Called for each valid frame. */
  heard(): void;
  garbage(): void;
  /** Called when the connection has taken a frame, so that there may be room again. */
  drained(): void;
  closed(why: string): void;
}

/** Limits for what is written but not yet taken by the connection. More waits in the outbox, where the oldest are dropped. */
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
    /** Incarnation of the node that opened the link. */
    readonly openedBy: number,
    /** The largest frame that the other end accepts, in bytes. */
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

  /** Sends a frame. `landed` says whether the connection took it, which does not mean that the peer received it. */
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

  /** Ends the link; frames that were sent are still delivered. */
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
        // A pong without room is dropped like any other frame; losing it does no more harm.
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
