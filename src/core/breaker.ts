/**
 * A circuit breaker for one peer: closed -> open after a number of failures in a row -> half-open after a cool-down, when one
 * probe may pass -> closed or open again. `nowMs` is an argument and nothing is armed, so no failure can lose a timer
 * (the usual way for a breaker never to half-open again). Only missed deadlines and transport failures count: a refusal
 * is an answer.
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
    /** A probe that has not ended by then counts as failed. */
    private readonly probeTimeoutMs: number,
  ) {}

  /** May a call pass now? In half-open the first who asks is the probe. */
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
