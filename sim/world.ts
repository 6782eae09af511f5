/**
 * The world: one seed, one thread, one queue of events ordered by (time, seeded tie, sequence).
 *   (1) Time passes only from event to event. All microtasks of an event run before the next event.
 *   (2) An event may belong to a life, that is, one run of one process. Events of a dead life are dropped. Events of a paused
 *       life wait. So a crash falls between two events, and every call through a port consists of several (sim-store,
 *       sim-network).
 *   (3) The trace hash covers every event in order. Two runs of one seed that differ anywhere have different hashes.
 */
import { Stream } from './sim-random.js';

/** Times are multiples of 1/1024 ms, so that sums of them are exact. */
const GRID_PER_MS = 1024;
/** A run that needs more events is stuck at one point of time. */
const EVENTS_MAX = 3_000_000;

export const onGrid = (ms: number): number => Math.ceil(ms * GRID_PER_MS) / GRID_PER_MS;

/** One run of one process, from its start to its crash or end. */
export class Life {
  alive = true;
  paused = false;
  /** Set when the node has stopped. The process goes on for a while, and its runtime must do nothing any more. */
  isStopped = false;
  /** Number of timers that the runtime has set. Checks that idle nodes return to their baseline. */
  timers = 0;
  /** Is called with a description of what the runtime does after it has stopped. */
  onLateAct: (what: string) => void = () => undefined;
  readonly backlog: SimEvent[] = [];

  constructor(
    readonly host: string,
    readonly number: number,
  ) {}
}

export abstract class SimEvent {
  declare atMs: number;
  declare tie: number;
  declare sequence: number;
  declare cancelled: boolean;
  declare readonly life: Life | undefined;

  // Set by hand: field initializers are the largest cost here, and a hundred thousand events are made a second.
  constructor(life: Life | undefined) {
    this.life = life;
    this.atMs = 0;
    this.tie = 0;
    this.sequence = 0;
    this.cancelled = false;
  }

  abstract fire(): void;
}

class Callback extends SimEvent {
  constructor(
    life: Life | undefined,
    private readonly run: () => void,
  ) {
    super(life);
  }

  fire(): void {
    this.run();
  }
}

const isBefore = (a: SimEvent, b: SimEvent): boolean => {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  if (a.tie !== b.tie) return a.tie < b.tie;
  return a.sequence < b.sequence;
};

export class World {
  nowMs = 0;
  /** Number of events that have run. */
  events = 0;
  /** Number of dropped events of dead lives. */
  dropped = 0;
  /** The life whose event runs now. */
  current: Life | undefined;
  hash = 0x811c9dc5;
  private sequence = 0;
  private readonly ties: Stream;
  private readonly resumes: Stream;
  private readonly heap: SimEvent[] = [];

  constructor(
    readonly seed: number,
    private readonly drain: () => void,
  ) {
    this.ties = new Stream(seed, 'tie');
    this.resumes = new Stream(seed, 'resume');
  }

  stream(purpose: string): Stream {
    return new Stream(this.seed, purpose);
  }

  /** Queues the event `delayMs` from now. An event may be in the queue only once. */
  push(event: SimEvent, delayMs: number): void {
    event.atMs = delayMs <= 0 ? this.nowMs : this.nowMs + onGrid(delayMs);
    event.tie = this.ties.next();
    this.insert(event);
  }

  after(delayMs: number, life: Life | undefined, run: () => void): SimEvent {
    const event = new Callback(life, run);
    this.push(event, delayMs);
    return event;
  }

  private insert(event: SimEvent): void {
    event.sequence = ++this.sequence;
    this.sift(event);
  }

  private sift(event: SimEvent): void {
    const { heap } = this;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as SimEvent;
      if (isBefore(parent, event)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = event;
  }

  private pop(): SimEvent {
    const { heap } = this;
    const top = heap[0] as SimEvent;
    const last = heap.pop() as SimEvent;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as SimEvent, heap[child] as SimEvent)) child++;
      if (isBefore(last, heap[child] as SimEvent)) break;
      heap[i] = heap[child] as SimEvent;
      i = child;
    }
    heap[i] = last;
    return top;
  }

  /** Moves the queued events of a life. `delayOf` returns the new delay in ms from now, or undefined to leave the event. */
  reschedule(life: Life, delayOf: (event: SimEvent) => number | undefined): void {
    const events = this.heap.splice(0);
    for (const event of events) {
      if (event.life === life) {
        const delayMs = delayOf(event);
        if (delayMs !== undefined) event.atMs = this.nowMs + onGrid(Math.max(0, delayMs));
      }
      this.sift(event);
    }
  }

  /** Runs all events up to `untilMs`, and sets the time to `untilMs`. */
  run(untilMs: number): void {
    // Microtasks that the caller started outside of an event run to their end.
    this.drain();
    while (this.heap.length > 0 && (this.heap[0] as SimEvent).atMs <= untilMs) this.step();
    this.nowMs = Math.max(this.nowMs, onGrid(untilMs));
  }

  /** Runs one event. */
  step(): void {
    if (this.heap.length === 0) return;
    const event = this.pop();
    if (event.cancelled) return;
    const { life } = event;
    if (event.atMs > this.nowMs) this.nowMs = event.atMs;
    if (life !== undefined) {
      if (!life.alive) {
        this.dropped++;
        return;
      }
      if (life.paused) {
        life.backlog.push(event);
        return;
      }
    }
    if (++this.events > EVENTS_MAX) throw new Error(`the run did not end within ${EVENTS_MAX} events`);
    this.mix(event.sequence);
    this.mix((this.nowMs * GRID_PER_MS) | 0);
    this.current = life;
    event.fire();
    this.drain();
    this.current = undefined;
  }

  private mix(value: number): void {
    let h = Math.imul(this.hash ^ value, 0x9e3779b1);
    h ^= h >>> 15;
    this.hash = h;
  }

  mixText(text: string): void {
    for (let i = 0; i < text.length; i++) this.hash = Math.imul(this.hash ^ text.charCodeAt(i), 0x01000193);
    this.mix(text.length);
  }

  /** Pauses the process: none of its events runs until `resume`. */
  pause(life: Life): void {
    life.paused = true;
  }

  /**
   * Resumes the process. All events that came due in the pause run now, in their order or in a random one (even odds). Both occur
   * in real processes: timers before replies, and replies before timers.
   */
  resume(life: Life): void {
    life.paused = false;
    const waiting = life.backlog.splice(0);
    const turned = this.resumes.chance(0.5);
    for (const event of waiting) {
      event.atMs = this.nowMs;
      event.tie = turned ? this.resumes.next() : 0;
      this.insert(event);
    }
  }

  kill(life: Life): void {
    life.alive = false;
    this.dropped += life.backlog.length;
    life.backlog.length = 0;
  }
}

/** Returns a promise that never settles, for the calls of a dead life. */
export const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
