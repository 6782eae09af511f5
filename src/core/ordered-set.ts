interface Link<T> {
  readonly item: T;
  before: Link<T> | undefined;
  after: Link<T> | undefined;
}

/**
 * A set in the order of insertion whose first item is found in O(1). A `Set` walks over what was deleted before its first item:
 * one that is used as a queue of 100,000 takes 100 us for each look at it.
 */
export class OrderedSet<T> {
  private readonly links = new Map<T, Link<T>>();
  private head: Link<T> | undefined;
  private tail: Link<T> | undefined;

  get size(): number {
    return this.links.size;
  }

  get first(): T | undefined {
    return this.head?.item;
  }

  /** Adds the item at the end, if it is not in the set. */
  add(item: T): void {
    if (this.links.has(item)) return;
    const link: Link<T> = { item, before: this.tail, after: undefined };
    if (this.tail === undefined) this.head = link;
    else this.tail.after = link;
    this.tail = link;
    this.links.set(item, link);
  }

  delete(item: T): boolean {
    const link = this.links.get(item);
    if (link === undefined) return false;
    this.links.delete(item);
    if (link.before === undefined) this.head = link.after;
    else link.before.after = link.after;
    if (link.after === undefined) this.tail = link.before;
    else link.after.before = link.before;
    return true;
  }
}
