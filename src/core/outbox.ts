import { Fifo } from './fifo.js';

export interface OutboxLimits {
  /** Maximum number of items and bytes of one frame. An item that is larger than `frameBytesMax` gets its own frame. */
  readonly frameItemsMax: number;
  readonly frameBytesMax: number;
  /** Maximum number of items and bytes that wait for one target. Above it the oldest are dropped: a newer hint is worth more. */
  readonly targetItemsMax: number;
  readonly targetBytesMax: number;
  /** Maximum number of bytes that wait for all targets together. Above it new items are dropped. */
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

/** Bounded queues of messages that wait for a link, one per target. Each queue is first in first out; targets take turns. */
export class Outbox<T> {
  readonly #limits: OutboxLimits;
  readonly #sizeOf: (item: T) => number;
  readonly #boxes = new Map<number, Box<T>>();
  #bytes = 0;
  #dropped = 0;

  /** `sizeOf` returns the size of an item in bytes. It must return the same size for the same item each time. */
  constructor(limits: OutboxLimits, sizeOf: (item: T) => number) {
    this.#limits = limits;
    this.#sizeOf = sizeOf;
  }

  /** Number of items that were dropped for lack of room, or by `drop` and `clear`. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Returns the targets with waiting items. */
  targets(): readonly number[] {
    return [...this.#boxes.keys()];
  }

  /** Returns the item that has waited longest for that target. */
  oldest(to: number): T | undefined {
    return this.#boxes.get(to)?.items.peek();
  }

  /** Adds an item. Returns whether a whole frame waits for that target. */
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

  /** Removes and returns a frame of the target whose turn it is; undefined if nothing waits. */
  take(): OutgoingFrame<T> | undefined {
    for (const to of this.#boxes.keys()) return this.takeFor(to);
    return undefined;
  }

  /** Removes and returns the next frame for that target; undefined if nothing waits for it. */
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
    // Moves the target behind all others, or removes it if nothing waits for it.
    this.#boxes.delete(to);
    if (box.items.length > 0) this.#boxes.set(to, box);
    return { to, items, bytes };
  }

  /** Drops all items that wait for that target. */
  drop(to: number): void {
    const box = this.#boxes.get(to);
    if (box === undefined) return;
    this.#dropped += box.items.length;
    this.#bytes -= box.bytes;
    this.#boxes.delete(to);
  }

  /** Drops all items. */
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
