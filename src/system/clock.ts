import type { Clock, Timer } from '../ports/clock.js';

/** setTimeout turns a longer delay into 1 ms. */
const DELAY_MAX_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  constructor(readonly handle: NodeJS.Timeout) {}

  cancel(): void {
    clearTimeout(this.handle);
  }
}

/**
 * Time of this machine. Its timers do not keep the process alive: heartbeats and idle wheels are always armed, so a process
 * that only has those would never end. `KeepAlive` holds it while there is work.
 */
export class SystemClock implements Clock {
  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    // Node truncates the delay and counts it from a cached time of whole milliseconds, so it may fire early: one is added.
    const wholeMs = delayMs <= 0 ? 0 : Math.min(Math.ceil(delayMs) + 1, DELAY_MAX_MS);
    return new SystemTimer(setTimeout(fire, wholeMs).unref());
  }

  defer(run: () => void): void {
    setImmediate(run);
  }
}
