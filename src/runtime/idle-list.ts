import type { Clock, Timer } from '../ports/clock.js';

export interface Idle {
  /** Its place in the list, which only the list changes. */
  idlePlace: Place | undefined;
  readonly idleTimeoutMs: number;
  /** Called when the item was idle for its whole timeout; the list has removed it. */
  onIdleTimeout(): void;
}

/** The place of one item: created once, then linked and unlinked as the item becomes idle and busy. */
interface Place {
  readonly item: Idle;
  readonly queue: Queue;
  /** When the item became idle, monotonic ms. */
  sinceMs: number;
  isLinked: boolean;
  before: Place | undefined;
  after: Place | undefined;
}

/** The places of one timeout, longest idle first. Not a `Set`: that scans the entries deleted before its first item. */
class Queue {
  size = 0;
  first: Place | undefined;
  private last: Place | undefined;

  constructor(readonly timeoutMs: number) {}

  add(place: Place): void {
    place.isLinked = true;
    place.before = this.last;
    if (this.last === undefined) this.first = place;
    else this.last.after = place;
    this.last = place;
    this.size++;
  }

  remove(place: Place): void {
    place.isLinked = false;
    if (place.before === undefined) this.first = place.after;
    else place.before.after = place.after;
    if (place.after === undefined) this.last = place.before;
    else place.after.before = place.before;
    place.before = place.after = undefined;
    this.size--;
  }
}

/**
 * Idle items, longest idle first, on one clock timer. One queue per timeout, since within one the items time out in the order in
 * which they became idle. Adding, removing and finding the oldest are O(1), as there are few different timeouts.
 */
export class IdleList {
  private readonly queues = new Map<number, Queue>();
  private timer: Timer | undefined;
  private timerAtMs = 0;

  constructor(private readonly clock: Clock) {}

  add(item: Idle): void {
    item.idlePlace ??= this.placeOf(item);
    const place = item.idlePlace;
    if (place.isLinked) return;
    place.sinceMs = this.clock.monotonicMs();
    place.queue.add(place);
    const endsMs = place.sinceMs + item.idleTimeoutMs;
    if (this.timer === undefined || endsMs < this.timerAtMs) this.arm(endsMs);
  }

  private placeOf(item: Idle): Place {
    const { idleTimeoutMs } = item;
    let queue = this.queues.get(idleTimeoutMs);
    if (queue === undefined) {
      queue = new Queue(idleTimeoutMs);
      this.queues.set(idleTimeoutMs, queue);
    }
    return { item, queue, sinceMs: 0, isLinked: false, before: undefined, after: undefined };
  }

  remove({ idlePlace }: Idle): void {
    if (idlePlace?.isLinked === true) idlePlace.queue.remove(idlePlace);
  }

  get size(): number {
    let n = 0;
    for (const queue of this.queues.values()) n += queue.size;
    return n;
  }

  /** Returns the item that has been idle longest. */
  oldest(): Idle | undefined {
    let oldest: Place | undefined;
    for (const { first } of this.queues.values())
      if (first !== undefined && (oldest === undefined || first.sinceMs < oldest.sinceMs)) oldest = first;
    return oldest?.item;
  }

  /** Removes all items: none times out any more. */
  clear(): void {
    for (const queue of this.queues.values()) while (queue.first !== undefined) queue.remove(queue.first);
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
    for (const queue of this.queues.values()) {
      for (let place = queue.first; place !== undefined; place = queue.first) {
        const endsMs = place.sinceMs + queue.timeoutMs;
        if (endsMs > nowMs) {
          next = Math.min(next, endsMs);
          break;
        }
        queue.remove(place);
        place.item.onIdleTimeout();
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.arm(next);
  }
}
