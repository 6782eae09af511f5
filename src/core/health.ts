import { AtomicQueuesError } from './errors.js';

/**
 * Health of the store as one node sees it: degraded after a number of failures in a row, healthy again with one success.
 * Failures in a row, not a rate: a single lost reply is ordinary, three are an outage.
 */
export class StoreHealth {
  private failures = 0;
  degraded = false;
  /** Of the last failure: why it is degraded. */
  why = '';

  constructor(private readonly failuresMax: number) {}

  /** Why the last call failed; undefined if one after it was answered. */
  get lastFailure(): string | undefined {
    return this.failures > 0 ? this.why : undefined;
  }

  /** Throws STORE_UNAVAILABLE while degraded. `what`: what that means to the caller. */
  check(what: string): void {
    if (!this.degraded) return;
    const details = { cause: this.why };
    throw new AtomicQueuesError('STORE_UNAVAILABLE', `${what} (${this.why}); nothing was sent`, { details });
  }

  /** Notes how a call ended; answers the change, if it is one. `failure` is undefined for a success. */
  note(failure: string | undefined): 'degraded' | 'recovered' | undefined {
    if (failure === undefined) {
      this.failures = 0;
      if (!this.degraded) return undefined;
      this.degraded = false;
      return 'recovered';
    }
    this.why = failure;
    if (++this.failures < this.failuresMax || this.degraded) return undefined;
    this.degraded = true;
    return 'degraded';
  }
}
