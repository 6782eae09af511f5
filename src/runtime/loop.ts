import type { Clock, Timer } from '../ports/clock.js';
import type { Trace } from '../ports/trace.js';
import { DutyFaults } from './duty-faults.js';

/** A background duty: one turn at a time, the next after a pause. A failed turn does not end it. */
export class Loop {
  private timer: Timer | undefined;
  private running = false;
  private turning = false;
  private again = false;
  private readonly faults: DutyFaults;

  constructor(
    private readonly clock: Clock,
    trace: Trace,
    name: string,
    private readonly everyMs: number,
    /** Runs one turn. Resolves with the pause before the next one in ms; undefined for `everyMs`. */
    private readonly turn: () => Promise<number | undefined>,
  ) {
    this.faults = new DutyFaults(trace, name);
  }

  start(): void {
    this.running = true;
    this.schedule(0);
  }

  stop(): void {
    this.running = false;
    this.timer?.cancel();
  }

  /** Runs a turn at once, or right after the turn in progress. */
  soon(): void {
    if (this.turning) this.again = true;
    else if (this.running) this.schedule(0);
  }

  private schedule(delayMs: number): void {
    this.timer?.cancel();
    this.timer = this.clock.setTimer(delayMs, () => void this.run());
  }

  private async run(): Promise<void> {
    if (!this.running || this.turning) return;
    this.turning = true;
    this.again = false;
    let nextMs: number | undefined;
    try {
      nextMs = await this.turn();
    } catch (error) {
      this.faults.report(error);
    }
    this.turning = false;
    if (this.running) this.schedule(this.again ? 0 : (nextMs ?? this.everyMs));
  }
}
