/** Clocks: one per machine, which outlives its processes, and one per life, which starts at another time for each process. */
import type { Clock, Timer } from '../src/ports/clock.js';
import { type Life, SimEvent, type World } from './world.js';

const GRID_PER_MS = 1024;
const floorToGrid = (ms: number): number => Math.floor(ms * GRID_PER_MS) / GRID_PER_MS;

/** The oscillator of a machine: its rate relative to the world's time, and its wall clock, which may be set. */
export class HostClock {
  wallOffsetMs: number;
  rate = 1;
  private sinceMs: number;
  private countedMs = 0;
  private stopped = false;

  constructor(
    private readonly world: World,
    startWallMs: number,
  ) {
    this.wallOffsetMs = startWallMs;
    this.sinceMs = world.nowMs;
  }

  /** Returns the milliseconds that this machine has counted. */
  countMs(): number {
    return this.countedMs + (this.stopped ? 0 : (this.world.nowMs - this.sinceMs) * this.rate);
  }

  private settle(): void {
    this.countedMs = this.countMs();
    this.sinceMs = this.world.nowMs;
  }

  setRate(rate: number): void {
    this.settle();
    this.rate = rate;
  }

  /** Suspends the machine: its monotonic clock stands still. */
  suspend(): void {
    this.settle();
    this.stopped = true;
  }

  proceed(): void {
    this.settle();
    this.stopped = false;
  }

  wallMs(): number {
    return this.wallOffsetMs + this.countMs();
  }
}

class SimTimer extends SimEvent implements Timer {
  private open = true;

  constructor(
    private readonly clock: SimClock,
    private readonly dueMs: number,
    private readonly run: () => void,
    private readonly isUsers: boolean,
  ) {
    super(clock.life);
    if (!isUsers) clock.life.timers++;
  }

  /** Time left in ms, by the process's own clock. */
  get leftMs(): number {
    return this.dueMs - this.clock.monotonicMs();
  }

  fire(): void {
    // A timer never fires early by its own clock, although the rate may have changed since it was set.
    const { leftMs } = this;
    if (leftMs > 0) {
      this.clock.push(this, leftMs);
      return;
    }
    this.close();
    this.run();
  }

  cancel(): void {
    this.cancelled = true;
    this.close();
  }

  private close(): void {
    if (!this.open) return;
    this.open = false;
    if (!this.isUsers) this.clock.life.timers--;
  }
}

/** The longest delay of a timer of an idle process, in ms. */
const LATE_MS_MAX = 1;

export class SimClock implements Clock {
  private readonly bornMs: number;

  constructor(
    private readonly world: World,
    private readonly host: HostClock,
    readonly life: Life,
    private readonly lateness: { next(): number },
  ) {
    // The monotonic clock of a process starts at a random value.
    this.bornMs = floorToGrid(host.countMs() - lateness.next() * 1e6);
  }

  monotonicMs(): number {
    return floorToGrid(this.host.countMs() - this.bornMs);
  }

  wallMs(): number {
    return this.host.wallMs();
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    if (this.life.isStopped) this.life.onLateAct(`sets a timer of ${Math.round(delayMs)} ms`);
    return this.timer(delayMs, fire, false);
  }

  /** Sets a timer of user code. */
  userTimer(delayMs: number, fire: () => void): Timer {
    return this.timer(delayMs, fire, true);
  }

  private timer(delayMs: number, fire: () => void, isUsers: boolean): Timer {
    const timer = new SimTimer(this, this.monotonicMs() + Math.max(0, delayMs), fire, isUsers);
    this.push(timer, delayMs);
    return timer;
  }

  defer(run: () => void): void {
    this.world.after(0, this.life, run);
  }

  /** Reschedules the timers of the process for the new rate of the machine. */
  rateChanged(): void {
    const { host, world, life } = this;
    world.reschedule(life, (event) => (event instanceof SimTimer ? event.leftMs / host.rate : undefined));
  }

  push(event: SimEvent, delayMs: number): void {
    this.world.push(event, Math.max(0, delayMs) / this.host.rate + this.lateness.next() * LATE_MS_MAX);
  }
}

/**
 * The clock of user code in a process. Its timers do not count as timers of the runtime, and none fires after the node has
 * stopped.
 */
export class UserClock implements Clock {
  constructor(
    private readonly clock: SimClock,
    private readonly life: Life,
  ) {}

  monotonicMs(): number {
    return this.clock.monotonicMs();
  }

  wallMs(): number {
    return this.clock.wallMs();
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    return this.clock.userTimer(delayMs, () => {
      if (!this.life.isStopped) fire();
    });
  }

  defer(run: () => void): void {
    this.clock.defer(run);
  }
}
