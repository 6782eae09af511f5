/**
 * The master's view of which incarnation owns which entity. The table only advises: the log decides. A wrong row costs a hop,
 * never an invariant.
 *   (1) Every row names an incarnation. The row of a dead incarnation does not count, and `sweep` deletes it.
 *   (2) A list from an older epoch may add a row, but never changes one.
 */
export class AssignmentTable {
  private readonly rows = new Map<string, number>();
  private readonly loads = new Map<number, number>();

  get size(): number {
    return this.rows.size;
  }

  ownerOf(entity: string): number | undefined {
    return this.rows.get(entity);
  }

  /** Returns the number of entities assigned to that incarnation. */
  loadOf(incarnation: number): number {
    return this.loads.get(incarnation) ?? 0;
  }

  set(entity: string, incarnation: number): void {
    const before = this.rows.get(entity);
    if (before === incarnation) return;
    if (before !== undefined) this.count(before, -1);
    this.rows.set(entity, incarnation);
    this.count(incarnation, 1);
  }

  /** Adds a row from a list that may be old. Has no effect if the entity has a row. */
  add(entity: string, incarnation: number): void {
    if (!this.rows.has(entity)) this.set(entity, incarnation);
  }

  remove(entity: string): void {
    const before = this.rows.get(entity);
    if (before === undefined) return;
    this.rows.delete(entity);
    this.count(before, -1);
  }

  /** Deletes every row of an incarnation for which `isLive` returns false. */
  sweep(isLive: (incarnation: number) => boolean): void {
    const dead = new Set([...this.loads.keys()].filter((incarnation) => !isLive(incarnation)));
    if (dead.size === 0) return;
    for (const [entity, owner] of this.rows) if (dead.has(owner)) this.rows.delete(entity);
    for (const incarnation of dead) this.loads.delete(incarnation);
  }

  /** Deletes the oldest rows until at most `max` are left. */
  trim(max: number): void {
    if (this.rows.size <= max) return;
    for (const entity of this.rows.keys()) {
      if (this.rows.size <= max) return;
      this.remove(entity);
    }
  }

  clear(): void {
    this.rows.clear();
    this.loads.clear();
  }

  *entries(): IterableIterator<[entity: string, incarnation: number]> {
    yield* this.rows;
  }

  private count(incarnation: number, by: number): void {
    const load = this.loadOf(incarnation) + by;
    if (load === 0) this.loads.delete(incarnation);
    else this.loads.set(incarnation, load);
  }
}
