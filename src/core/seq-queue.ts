import { Fifo } from './fifo.js';

/** Minimum number of removed entries before the list is compacted. It is compacted once they exceed half of the list. */
const GONE_MIN = 32;

/**
 * A first-in first-out queue of entries with rising sequences. Finds an entry by its sequence in O(log n). Removing the found
 * entry from any position adds amortised O(1).
 */
export class SeqQueue<T extends { readonly seq: number }> extends Fifo<T> {
  /** Sequences of entries that were removed from behind the head, but are still in the list. */
  private gone: Set<number> | undefined;

  override get length(): number {
    return super.length - (this.gone?.size ?? 0);
  }

  override shift(): T | undefined {
    const item = super.shift();
    const { gone } = this;
    if (gone === undefined) return item;
    for (let head = this.peek(); head !== undefined && gone.delete(head.seq); head = this.peek()) super.shift();
    if (gone.size === 0) this.gone = undefined;
    return item;
  }

  get(seq: number): T | undefined {
    const head = this.peek();
    // The head is looked up most often.
    if (head?.seq === seq) return head;
    const item = this.at(seq);
    return item === undefined || this.gone?.has(seq) === true ? undefined : item;
  }

  /** Removes and returns the entry with that sequence. */
  take(seq: number): T | undefined {
    const item = this.get(seq);
    if (item === undefined) return undefined;
    if (item === this.peek()) return this.shift();
    this.gone ??= new Set();
    const { gone } = this;
    gone.add(seq);
    if (gone.size >= GONE_MIN && gone.size * 2 > super.length) {
      this.retain((it) => !gone.has(it.seq));
      this.gone = undefined;
    }
    return item;
  }

  override *[Symbol.iterator](): IterableIterator<T> {
    for (const item of this.entries()) if (this.gone?.has(item.seq) !== true) yield item;
  }

  private at(seq: number): T | undefined {
    let [low, high] = [0, super.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.nth(middle).seq < seq) low = middle + 1;
      else high = middle;
    }
    return low < super.length && this.nth(low).seq === seq ? this.nth(low) : undefined;
  }
}
