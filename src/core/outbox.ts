import { Fifo } from './fifo.js';

export interface OutboxLimits {
  /** A frame is cut at whichever comes first; a larger item travels alone. */
  readonly frameItemsMax: number;
  readonly frameBytesMax: number;
  /** What may wait for one target; beyond it the oldest go, since a newer hint is worth more. */
  readonly targetItemsMax: number;
  readonly targetBytesMax: number;
  /** What may wait for all targets together; beyond it the newest are not taken. */
  readonly totalBytesMax: number;
}

export interface OutgoingFrame<T> {
  readonly to: number;
  readonly items: readonly T[];
  readonly bytes: number;
}

interface Box<T> {
  readonly items: Fifo<T>;
  bytes: number;
}

/** Messages that wait for a link, by target: bounded, first in first out, the targets in turn. */
export class Outbox<T> {
  readonly #limits: OutboxLimits;
  readonly #sizeOf: (item: T) => number;
  readonly #boxes = new Map<number, Box<T>>();
  #bytes = 0;
  #dropped = 0;

  /** `sizeOf` answers the same for an item each time. */
  constructor(limits: OutboxLimits, sizeOf: (item: T) => number) {
    this.#limits = limits;
    this.#sizeOf = sizeOf;
  }

  /** Items that were given up for want of room, or by `drop` and `clear`. */
  get dropped(): number {
    return this.#dropped;
  }

  /** For whom something waits. */
  targets(): readonly number[] {
    return [...this.#boxes.keys()];
  }

  /** What has waited longest for that target. */
  oldest(to: number): T | undefined {
    return this.#boxes.get(to)?.items.peek();
  }

  /** Answers whether there is a whole frame for that target. */
  push(to: number, item: T): boolean {
    const limits = this.#limits;
    const bytes = this.#sizeOf(item);
    if (bytes > limits.targetBytesMax || this.#bytes + bytes > limits.totalBytesMax) {
      this.#dropped++;
      return false;
    }
    let box = this.#boxes.get(to);
    if (box === undefined) {
      box = { items: new Fifo(), bytes: 0 };
      this.#boxes.set(to, box);
    }
    box.items.push(item);
    this.#count(box, bytes);
    while (box.items.length > limits.targetItemsMax || box.bytes > limits.targetBytesMax) {
      this.#count(box, -this.#sizeOf(box.items.shift() as T));
      this.#dropped++;
    }
    return box.items.length >= limits.frameItemsMax || box.bytes >= limits.frameBytesMax;
  }

  /** The next frame, of whoever's turn it is; undefined if nothing waits. */
  take(): OutgoingFrame<T> | undefined {
    for (const to of this.#boxes.keys()) return this.takeFor(to);
    return undefined;
  }

  /** The next frame for that target; undefined if nothing waits for it. */
  takeFor(to: number): OutgoingFrame<T> | undefined {
    const box = this.#boxes.get(to);
    if (box === undefined) return undefined;
    const { frameItemsMax, frameBytesMax } = this.#limits;
    const items: T[] = [];
    let bytes = 0;
    for (let item = box.items.peek(); item !== undefined; item = box.items.peek()) {
      const size = this.#sizeOf(item);
      if (items.length === frameItemsMax || (items.length > 0 && bytes + size > frameBytesMax)) break;
      box.items.shift();
      items.push(item);
      bytes += size;
    }
    this.#count(box, -bytes);
    // To the end of the line, or out.
    this.#boxes.delete(to);
    if (box.items.length > 0) this.#boxes.set(to, box);
    return { to, items, bytes };
  }

  /** Gives up what waits for that target. */
  drop(to: number): void {
    const box = this.#boxes.get(to);
    if (box === undefined) return;
    this.#dropped += box.items.length;
    this.#bytes -= box.bytes;
    this.#boxes.delete(to);
  }

  /** Gives up all that waits. */
  clear(): void {
    for (const { items } of this.#boxes.values()) this.#dropped += items.length;
    this.#boxes.clear();
    this.#bytes = 0;
  }

  #count(box: Box<T>, bytes: number): void {
    box.bytes += bytes;
    this.#bytes += bytes;
  }
}
