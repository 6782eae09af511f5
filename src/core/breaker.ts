/**
 * A circuit breaker for one peer: closed -> open after a number of failures in a row -> half-open after a cool-down, when one
 * probe may pass -> closed or open again. `nowMs` is an argument and the breaker sets no timer, so no timer can be lost (a common
 * reason why a breaker stays open). Callers report only missed deadlines and transport failures: a refusal is an answer.
 */
export class CircuitBreaker {
  private failures = 0;
  private openedAtMs = Number.NEGATIVE_INFINITY;
  private isOpen = false;
  private probeEndsMs = 0;
  private probing = false;

  constructor(
    private readonly failuresMax: number,
    private readonly cooldownMs: number,
    /** Maximum duration of a probe in ms. After it another call may be the probe. */
    private readonly probeTimeoutMs: number,
  ) {}

  /** Returns whether a call may pass now. In state half-open the first call to ask becomes the probe. */
  tryPass(nowMs: number): boolean {
    if (!this.isOpen) return true;
    if (this.probing && nowMs < this.probeEndsMs) return false;
    if (nowMs < this.openedAtMs + this.cooldownMs) return false;
    this.probing = true;
    this.probeEndsMs = nowMs + this.probeTimeoutMs;
    return true;
  }

  succeeded(): void {
    this.failures = 0;
    this.isOpen = false;
    this.probing = false;
  }

  failed(nowMs: number): void {
    this.failures++;
    if (this.isOpen ? this.probing : this.failures >= this.failuresMax) {
      this.isOpen = true;
      this.probing = false;
      this.openedAtMs = nowMs;
    }
  }

  state(nowMs: number): 'closed' | 'open' | 'half-open' {
    if (!this.isOpen) return 'closed';
    return nowMs < this.openedAtMs + this.cooldownMs ? 'open' : 'half-open';
  }
}
