import { StoreCallError } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';

/**
 * Reports why a background duty fails. That the store did not answer is for its health to report. What an operator has to mend, and what
 * a script fails at, lasts: it is reported once, not at each turn.
 */
export class DutyFaults {
  private reported = '';

  constructor(
    private readonly trace: Trace,
    private readonly loop: string,
  ) {}

  report(error: unknown): void {
    if (error instanceof StoreCallError) {
      if (!error.permanent && error.kind !== 'broken') return;
      if (error.message === this.reported) return;
      this.reported = error.message;
    }
    this.trace.emit('loop-failed', { loop: this.loop, error });
  }
}
