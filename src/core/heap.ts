/** A binary min-heap ordered by a number. Items of equal rank leave in no defined order. */
export class MinHeap<T> {
  private readonly items: T[] = [];

  constructor(private readonly rank: (item: T) => number) {}

  get size(): number {
    return this.items.length;
  }

  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    const { items } = this;
    const rank = this.rank(item);
    let i = items.length;
    items.push(item);
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (this.rank(items[up] as T) <= rank) break;
      items[i] = items[up] as T;
      i = up;
    }
    items[i] = item;
  }

  pop(): T | undefined {
    const { items } = this;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    const rank = this.rank(last);
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.rank(items[child + 1] as T) < this.rank(items[child] as T)) child++;
      if (this.rank(items[child] as T) >= rank) break;
      items[i] = items[child] as T;
      i = child;
    }
    items[i] = last;
    return top;
  }
}
