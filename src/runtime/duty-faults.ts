import { StoreCallError } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';

/**
 * Reports why a background duty fails. Skips calls that the store did not answer, which the health reports. A failure that an
 * operator has to fix, or of a script itself, persists: it is reported once, not at each turn.
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
