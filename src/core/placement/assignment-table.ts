/**
 * The master's view of who owns what. It is advice: the log decides, and a wrong row costs a hop, never an invariant.
 *   (1) Every row names an incarnation; a row of a dead one is no row.
 *   (2) What an older epoch says may add a row, never change one.
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

  /** Entities assigned to that incarnation. */
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

  /** From a list that may be old: fills a gap, changes nothing. */
  add(entity: string, incarnation: number): void {
    if (!this.rows.has(entity)) this.set(entity, incarnation);
  }

  remove(entity: string): void {
    const before = this.rows.get(entity);
    if (before === undefined) return;
    this.rows.delete(entity);
    this.count(before, -1);
  }

  /** Forgets every row of incarnations that `isLive` denies. */
  sweep(isLive: (incarnation: number) => boolean): void {
    const dead = new Set([...this.loads.keys()].filter((incarnation) => !isLive(incarnation)));
    if (dead.size === 0) return;
    for (const [entity, owner] of this.rows) if (dead.has(owner)) this.rows.delete(entity);
    for (const incarnation of dead) this.loads.delete(incarnation);
  }

  /** Forgets the oldest rows until `max` are left. */
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
