/** A first-in first-out queue: amortised O(1) for `push` and `shift`. An empty queue costs no memory beyond the object. */
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

  /** Adds `item` in front of all others. */
  unshift(item: T): void {
    if (this.first > 0) this.items[--this.first] = item;
    else this.items.unshift(item);
  }

  /** Removes all items for which `keep` returns false; O(n). */
  retain(keep: (item: T) => boolean): void {
    this.items = this.items.slice(this.first).filter(keep);
    this.first = 0;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    yield* this.entries();
  }

  protected *entries(): IterableIterator<T> {
    for (let i = this.first; i < this.items.length; i++) yield this.items[i] as T;
  }

  /** Returns the item behind `n` others. `n` is below the number of items. */
  protected nth(n: number): T {
    return this.items[this.first + n] as T;
  }
}
