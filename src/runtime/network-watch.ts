import type { Clock } from '../ports/clock.js';
import type { Network } from '../ports/network.js';
import type { Trace } from '../ports/trace.js';

/**
 * Reports a network problem: once after it has lasted for the grace period, and once when it has ended. The grace period covers a
 * peer that has just died, which is unreachable until the members no longer list it.
 */
export class NetworkWatch {
  private sinceMs: number | undefined;
  private isReported = false;

  constructor(
    private readonly clock: Clock,
    private readonly trace: Trace,
    private readonly network: Network,
    private readonly graceMs: number,
  ) {}

  /** Called with each membership snapshot. */
  look(): void {
    const why = this.network.problem?.();
    if (why === undefined) {
      if (this.isReported) this.trace.emit('network-restored', {});
      this.sinceMs = undefined;
      this.isReported = false;
      return;
    }
    const nowMs = this.clock.monotonicMs();
    this.sinceMs ??= nowMs;
    if (this.isReported || nowMs - this.sinceMs < this.graceMs) return;
    this.isReported = true;
    this.trace.emit('network-failing', { why });
  }
}
