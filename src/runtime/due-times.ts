import { MinHeap } from '../core/heap.js';
import type { Clock, Timer } from '../ports/clock.js';

/** Something that falls due. `dueAtMs` (monotonic ms) belongs to the wheel: 0 while nothing is scheduled. */
export interface Due {
  dueAtMs: number;
  onDue(): void;
}

/** Times without a bucket that the heap may hold beyond the number of buckets. */
const STALE_MIN = 64;

/**
 * A timer wheel: any number of deadlines on one clock timer. Deadlines are rounded up to a resolution, so that many share one
 * bucket; scheduling and cancelling are O(1). (Varghese and Lauck 1987, scheme 6, with a heap of buckets instead of a hand.)
 */
export class DueTimes {
  private readonly buckets = new Map<number, Set<Due>>();
  /** The times of the buckets, and of some buckets that were emptied since. */
  private times = new MinHeap<number>((t) => t);
  private timer: Timer | undefined;
  private timerAtMs = 0;

  constructor(private readonly clock: Clock) {}

  /** Number of scheduled deadlines. */
  get size(): number {
    let n = 0;
    for (const bucket of this.buckets.values()) n += bucket.size;
    return n;
  }

  /** Calls `due.onDue` once, between `delayMs` and `delayMs + resolutionMs` from now. Replaces an earlier schedule of it. */
  schedule(due: Due, delayMs: number, resolutionMs: number): void {
    if (due.dueAtMs !== 0) this.cancel(due);
    const at = Math.ceil((this.clock.monotonicMs() + Math.max(delayMs, 1)) / resolutionMs) * resolutionMs;
    due.dueAtMs = at;
    const bucket = this.buckets.get(at);
    if (bucket !== undefined) {
      bucket.add(due);
      return;
    }
    this.buckets.set(at, new Set([due]));
    this.times.push(at);
    if (this.times.size > 2 * this.buckets.size + STALE_MIN) this.forgetStale();
    this.arm();
  }

  /** Rebuilds the heap without stale times. Each emptied bucket leaves one, which an early deadline would keep in the heap. */
  private forgetStale(): void {
    this.times = new MinHeap((t) => t);
    for (const at of this.buckets.keys()) this.times.push(at);
  }

  cancel(due: Due): void {
    const bucket = this.buckets.get(due.dueAtMs);
    if (bucket?.delete(due) === true && bucket.size === 0) {
      this.buckets.delete(due.dueAtMs);
      if (this.buckets.size === 0) this.arm();
    }
    due.dueAtMs = 0;
  }

  private arm(): void {
    let next = this.times.peek();
    while (next !== undefined && !this.buckets.has(next)) {
      this.times.pop();
      next = this.times.peek();
    }
    if (next === undefined) {
      this.timer?.cancel();
      this.timer = undefined;
      return;
    }
    if (this.timer !== undefined && this.timerAtMs <= next) return;
    this.timer?.cancel();
    this.timerAtMs = next;
    this.timer = this.clock.setTimer(Math.max(0, next - this.clock.monotonicMs()), () => this.turn());
  }

  private turn(): void {
    this.timer = undefined;
    const nowMs = this.clock.monotonicMs();
    for (let at = this.times.peek(); at !== undefined && at <= nowMs; at = this.times.peek()) {
      this.times.pop();
      const bucket = this.buckets.get(at);
      if (bucket === undefined) continue;
      this.buckets.delete(at);
      for (const due of bucket) {
        if (due.dueAtMs !== at) continue;
        due.dueAtMs = 0;
        due.onDue();
      }
    }
    this.arm();
  }
}
