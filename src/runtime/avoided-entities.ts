import { Fifo } from '../core/fifo.js';
import type { Clock } from '../ports/clock.js';

/** How long in ms this node avoids an entity whose next message it has no handler for. */
const AVOIDED_MS = 10_000;

/** Entities that this node handed off because it has no handler for their next message. Each is avoided for the same time. */
export class AvoidedEntities {
  private readonly untilMs = new Map<string, number>();
  /** The same entities in the order in which their times end. */
  private readonly ends = new Fifo<readonly [entity: string, untilMs: number]>();

  /** Entities whose hints were passed on to the next node since the last sweep. */
  private readonly passedOn = new Set<string>();

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.untilMs.size;
  }

  has(entity: string): boolean {
    return (this.untilMs.get(entity) ?? 0) > this.clock.monotonicMs();
  }

  add(entity: string): void {
    const untilMs = this.clock.monotonicMs() + AVOIDED_MS;
    this.untilMs.set(entity, untilMs);
    this.ends.push([entity, untilMs]);
  }

  /**
   * Returns whether a hint of work is to go on to the next node: once per entity between two sweeps. Without that limit it would
   * circulate forever where no node has a handler.
   */
  passesOn(entity: string): boolean {
    if (!this.has(entity) || this.passedOn.has(entity)) return false;
    this.passedOn.add(entity);
    return true;
  }

  /** Called at the end of a sweep: forgets the entities whose time is over. */
  swept(): void {
    this.passedOn.clear();
    const nowMs = this.clock.monotonicMs();
    for (let first = this.ends.peek(); first !== undefined && first[1] <= nowMs; first = this.ends.peek()) {
      this.ends.shift();
      if (this.untilMs.get(first[0]) === first[1]) this.untilMs.delete(first[0]);
    }
  }
}
