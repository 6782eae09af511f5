import type { ResolvedConfig } from '../core/config.js';
import type { Identity } from '../core/log/control-operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import { endingOf, type Pulse, type PulseListener } from '../ports/heartbeats.js';
import { type Store, StoreCallError } from '../ports/store.js';

/** The heartbeat is also the health check: a tiny write through the script path, since a PING passes while writes are refused. */
export const pulseEveryMs = ({ timing, health }: ResolvedConfig): number => Math.min(timing.heartbeatMs, health.storeCheckMs);

interface Run {
  readonly member: Identity;
  readonly listener: PulseListener;
  beats: number;
  acknowledged: number;
  provedMs: number;
}

/** Beats from the main loop, over the node's own store: where that loop stands still, the beats do as well. */
export class PlainPulse implements Pulse {
  private run: Run | undefined;
  private timer: Timer | undefined;
  private closed = false;

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly everyMs: number,
  ) {}

  begin(member: Identity, listener: PulseListener): void {
    this.end();
    // A join may succeed after the stop has given up on it.
    if (this.closed) return;
    this.run = { member, listener, beats: 0, acknowledged: 0, provedMs: Number.NEGATIVE_INFINITY };
    this.schedule(this.run);
  }

  end(): void {
    this.run = undefined;
    this.timer?.cancel();
  }

  lastProvedMs(): number {
    return this.run?.provedMs ?? Number.NEGATIVE_INFINITY;
  }

  close(): Promise<void> {
    this.closed = true;
    this.end();
    return Promise.resolve();
  }

  private schedule(run: Run): void {
    this.timer = this.clock.setTimer(this.everyMs, () => void this.beat(run));
  }

  private async beat(run: Run): Promise<void> {
    const { member, listener, acknowledged } = run;
    const beat = ++run.beats;
    const sentMs = this.clock.monotonicMs();
    try {
      const answer = await this.store.control({ op: 'beat', ...member, beat, acknowledged });
      if (this.run !== run) return;
      const ending = endingOf(answer);
      if (ending !== undefined) {
        this.end();
        listener.ended(ending);
        return;
      }
      if (answer.ok) {
        run.acknowledged = beat;
        run.provedMs = sentMs;
      }
      listener.answered(answer, beat, sentMs, this.clock.monotonicMs());
    } catch (error) {
      if (this.run !== run) return;
      listener.failed(error instanceof StoreCallError ? error : new StoreCallError(String(error), false));
    }
    if (this.run === run) this.schedule(run);
  }
}
