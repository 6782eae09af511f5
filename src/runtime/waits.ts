/** Waits on a node's clock that leave no timer behind. */
import type { Clock, Timer } from '../ports/clock.js';

/** Resolves with the result of `call`, or with `otherwise` if the call fails or takes longer than `timeoutMs`. */
export function within<T>(clock: Clock, timeoutMs: number, call: Promise<T>, otherwise: T): Promise<T> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(timeoutMs, () => resolve(otherwise));
    const end = (value: T): void => {
      timer.cancel();
      resolve(value);
    };
    call.then(end, () => end(otherwise));
  });
}

/** Pauses that can be ended early, all at once. */
export class Pauses {
  private readonly open = new Map<Timer, () => void>();

  constructor(private readonly clock: Clock) {}

  /** Resolves after `ms`, or at the next `end`. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.clock.setTimer(ms, () => {
        this.open.delete(timer);
        resolve();
      });
      this.open.set(timer, resolve);
    });
  }

  /** Ends every pause in progress. */
  end(): void {
    for (const [timer, resolve] of this.open) {
      timer.cancel();
      resolve();
    }
    this.open.clear();
  }
}
