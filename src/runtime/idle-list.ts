import { OrderedSet } from '../core/ordered-set.js';
import type { Clock, Timer } from '../ports/clock.js';

export interface Idle {
  /** When it became idle, monotonic ms. Belongs to the list. */
  idleSinceMs: number;
  readonly idleTimeoutMs: number;
  /** It was idle for its whole timeout: the list has let it go. */
  onIdleTimeout(): void;
}

/**
 * What is idle, longest first, on one clock timer. One ordered set per timeout, since within one the order of idling is the
 * order of timing out: adding, removing and finding the oldest are O(1) (kinds of timeouts are few).
 */
export class IdleList {
  private readonly byTimeout = new Map<number, OrderedSet<Idle>>();
  private timer: Timer | undefined;
  private timerAtMs = 0;

  constructor(private readonly clock: Clock) {}

  add(item: Idle): void {
    item.idleSinceMs = this.clock.monotonicMs();
    let set = this.byTimeout.get(item.idleTimeoutMs);
    if (set === undefined) {
      set = new OrderedSet();
      this.byTimeout.set(item.idleTimeoutMs, set);
    }
    set.add(item);
    const endsMs = item.idleSinceMs + item.idleTimeoutMs;
    if (this.timer === undefined || endsMs < this.timerAtMs) this.arm(endsMs);
  }

  remove(item: Idle): void {
    this.byTimeout.get(item.idleTimeoutMs)?.delete(item);
  }

  get size(): number {
    let n = 0;
    for (const set of this.byTimeout.values()) n += set.size;
    return n;
  }

  /** The one that has been idle longest. */
  oldest(): Idle | undefined {
    let oldest: Idle | undefined;
    for (const { first } of this.byTimeout.values())
      if (first !== undefined && (oldest === undefined || first.idleSinceMs < oldest.idleSinceMs)) oldest = first;
    return oldest;
  }

  clear(): void {
    this.byTimeout.clear();
    this.timer?.cancel();
    this.timer = undefined;
  }

  private arm(atMs: number): void {
    this.timer?.cancel();
    this.timerAtMs = atMs;
    this.timer = this.clock.setTimer(Math.max(1, atMs - this.clock.monotonicMs()), () => this.turn());
  }

  private turn(): void {
    this.timer = undefined;
    const nowMs = this.clock.monotonicMs();
    let next = Number.POSITIVE_INFINITY;
    for (const [timeoutMs, set] of this.byTimeout) {
      for (let item = set.first; item !== undefined; item = set.first) {
        if (item.idleSinceMs + timeoutMs > nowMs) {
          next = Math.min(next, item.idleSinceMs + timeoutMs);
          break;
        }
        set.delete(item);
        item.onIdleTimeout();
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.arm(next);
  }
}
