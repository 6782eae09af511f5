import type { Clock, Timer } from '../ports/clock.js';
import { deferOutside, outside } from './outside.js';

/** setTimeout turns a longer delay into 1 ms. */
const DELAY_MAX_MS = 2 ** 31 - 1;

class SystemTimer implements Timer {
  #handle: NodeJS.Timeout | undefined;
  #isCancelled = false;

  constructor(wholeMs: number, fire: () => void) {
    outside(() => {
      if (!this.#isCancelled) this.#handle = setTimeout(fire, wholeMs).unref();
    });
  }

  cancel(): void {
    this.#isCancelled = true;
    clearTimeout(this.#handle);
  }
}

/**
 * Time of this machine. Its timers do not keep the process alive: heartbeats and idle wheels are always armed, so a process
 * that only has those would never end. `KeepAlive` holds it while there is work. What it calls runs in no caller's async context.
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
    return new SystemTimer(wholeMs, fire);
  }

  defer(run: () => void): void {
    deferOutside(run);
  }
}
