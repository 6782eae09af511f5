/** A first-in first-out queue: amortised O(1) at both ends, no cost while empty beyond the object. */
export class Fifo<T> {
  private items: T[] = [];
  private first = 0;

  get length(): number {
    return this.items.length - this.first;
  }

  push(item: T): void {
    this.items.push(item);
  }

  peek(): T | undefined {
    return this.items[this.first];
  }

  shift(): T | undefined {
    if (this.first >= this.items.length) return undefined;
    const item = this.items[this.first] as T;
    this.items[this.first] = undefined as T;
    this.first++;
    if (this.first === this.items.length) {
      this.items = [];
      this.first = 0;
    } else if (this.first > 256 && this.first * 2 > this.items.length) {
      this.items = this.items.slice(this.first);
      this.first = 0;
    }
    return item;
  }

  /** Puts `item` before all others. */
  unshift(item: T): void {
    if (this.first > 0) this.items[--this.first] = item;
    else this.items.unshift(item);
  }

  /** Removes and returns the first item that `matches`; O(n). */
  remove(matches: (item: T) => boolean): T | undefined {
    for (let i = this.first; i < this.items.length; i++) {
      const item = this.items[i] as T;
      if (matches(item)) {
        this.items.splice(i, 1);
        return item;
      }
    }
    return undefined;
  }

  find(matches: (item: T) => boolean): T | undefined {
    for (let i = this.first; i < this.items.length; i++) if (matches(this.items[i] as T)) return this.items[i];
    return undefined;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = this.first; i < this.items.length; i++) yield this.items[i] as T;
  }
}
