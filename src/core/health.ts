import { AtomicQueuesError } from './errors.js';

/**
 * The health of the store as one node sees it: degraded after `failuresMax` failures in a row, healthy again after one success.
 * Counts failures in a row, not a rate: a single lost reply is ordinary, three in a row are an outage.
 */
export class StoreHealth {
  private failures = 0;
  degraded = false;
  /** Reason of the last failure. */
  why = '';

  constructor(private readonly failuresMax: number) {}

  /** Reason why the last call failed; undefined if the last call succeeded. */
  get lastFailure(): string | undefined {
    return this.failures > 0 ? this.why : undefined;
  }

  /** Throws STORE_UNAVAILABLE while the store is degraded. `what`: start of the error's text, the consequence for the caller. */
  check(what: string): void {
    if (!this.degraded) return;
    const details = { cause: this.why };
    throw new AtomicQueuesError('STORE_UNAVAILABLE', `${what} (${this.why}); nothing was sent`, { details });
  }

  /** Records how a call ended. Returns the change of health, if there is one. `failure` is undefined for a success. */
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
