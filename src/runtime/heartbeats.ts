import type { ResolvedConfig } from '../core/config.js';
import type { Identity } from '../core/log/control-operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import { endingOf, type HeartbeatListener, type HeartbeatSender } from '../ports/heartbeats.js';
import { type Store, StoreCallError } from '../ports/store.js';

/** Interval in ms. The heartbeat is also the health check: a small write by script, as a PING passes while writes are refused. */
export const heartbeatEveryMs = ({ timing, health }: ResolvedConfig): number => Math.min(timing.heartbeatMs, health.storeCheckMs);

interface Run {
  readonly member: Identity;
  readonly listener: HeartbeatListener;
  heartbeats: number;
  acknowledged: number;
  provedMs: number;
}

/** Sends heartbeats from the main loop, through the node's own store: none are sent while that loop is blocked. */
export class PlainHeartbeatSender implements HeartbeatSender {
  private run: Run | undefined;
  private timer: Timer | undefined;
  private closed = false;

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly everyMs: number,
  ) {}

  begin(member: Identity, listener: HeartbeatListener): void {
    this.end();
    // A join may succeed after the stop has given up on it.
    if (this.closed) return;
    this.run = { member, listener, heartbeats: 0, acknowledged: 0, provedMs: Number.NEGATIVE_INFINITY };
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
    this.timer = this.clock.setTimer(this.everyMs, () => void this.heartbeat(run));
  }

  private async heartbeat(run: Run): Promise<void> {
    const { member, listener, acknowledged } = run;
    const heartbeat = ++run.heartbeats;
    const sentMs = this.clock.monotonicMs();
    try {
      const answer = await this.store.control({ op: 'heartbeat', ...member, heartbeat, acknowledged });
      if (this.run !== run) return;
      const ending = endingOf(answer);
      if (ending !== undefined) {
        this.end();
        listener.ended(ending);
        return;
      }
      if (answer.ok) {
        run.acknowledged = heartbeat;
        run.provedMs = sentMs;
      }
      listener.answered(answer, heartbeat, sentMs, this.clock.monotonicMs());
    } catch (error) {
      if (this.run !== run) return;
      listener.failed(error instanceof StoreCallError ? error : new StoreCallError(String(error), false));
    }
    if (this.run === run) this.schedule(run);
  }
}
