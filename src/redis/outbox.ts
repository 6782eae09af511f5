import { Fifo } from '../core/fifo.js';

/** A frame is cut at whichever comes first; a larger message travels alone. */
const FRAME_MESSAGES_MAX = 512;
const FRAME_BYTES_MAX = 512 * 1024;

/** What may wait for one target; beyond it the oldest go, since a newer hint is worth more. */
export const TARGET_MESSAGES_MAX = 10_000;
export const TARGET_BYTES_MAX = 4 * 1024 * 1024;
/** What may wait for all targets together; beyond it the newest are not taken. */
const TOTAL_BYTES_MAX = 64 * 1024 * 1024;

export interface OutgoingFrame {
  readonly to: number;
  /** The messages as JSON. */
  readonly texts: readonly string[];
  readonly bytes: number;
}

interface Box {
  readonly texts: Fifo<string>;
  bytes: number;
}

/** Messages that wait for the link, by target: bounded, first in first out, the targets in turn. */
export class Outbox {
  readonly #boxes = new Map<number, Box>();
  #bytes = 0;
  #dropped = 0;

  /** Messages that were given up for want of room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Answers whether there is a whole frame for that target. */
  push(to: number, text: string): boolean {
    const bytes = Buffer.byteLength(text);
    if (bytes > TARGET_BYTES_MAX || this.#bytes + bytes > TOTAL_BYTES_MAX) {
      this.#dropped++;
      return false;
    }
    let box = this.#boxes.get(to);
    if (box === undefined) {
      box = { texts: new Fifo(), bytes: 0 };
      this.#boxes.set(to, box);
    }
    box.texts.push(text);
    this.#count(box, bytes);
    while (box.texts.length > TARGET_MESSAGES_MAX || box.bytes > TARGET_BYTES_MAX) {
      this.#count(box, -Buffer.byteLength(box.texts.shift() as string));
      this.#dropped++;
    }
    return box.texts.length >= FRAME_MESSAGES_MAX || box.bytes >= FRAME_BYTES_MAX;
  }

  /** The next frame; undefined if nothing waits. */
  take(): OutgoingFrame | undefined {
    for (const [to, box] of this.#boxes) {
      const texts: string[] = [];
      let bytes = 0;
      for (let text = box.texts.peek(); text !== undefined; text = box.texts.peek()) {
        const size = Buffer.byteLength(text);
        if (texts.length === FRAME_MESSAGES_MAX || (texts.length > 0 && bytes + size > FRAME_BYTES_MAX)) break;
        box.texts.shift();
        texts.push(text);
        bytes += size;
      }
      this.#count(box, -bytes);
      // To the end of the line, or out.
      this.#boxes.delete(to);
      if (box.texts.length > 0) this.#boxes.set(to, box);
      return { to, texts, bytes };
    }
    return undefined;
  }

  /** Gives up all that waits. */
  clear(): void {
    for (const { texts } of this.#boxes.values()) this.#dropped += texts.length;
    this.#boxes.clear();
    this.#bytes = 0;
  }

  #count(box: Box, bytes: number): void {
    box.bytes += bytes;
    this.#bytes += bytes;
  }
}
