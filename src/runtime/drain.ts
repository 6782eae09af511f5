import type { ResolvedConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Clock } from '../ports/clock.js';
import type { Ownership } from './ownership.js';

/** Fraction of the grace period that remains for handlers after their signal has aborted. */
const ABORT_LEAD = 0.25;
const POLL_MS = 10;

export interface Draining {
  readonly clock: Clock;
  readonly config: ResolvedConfig;
  readonly ownership: Ownership;
  /** Returns whether the session has ended, so that nothing can be handed over any more. */
  isOver(): boolean;
  /** Returns whether this node owns nothing, runs nothing and awaits nothing any more. */
  isDone(): boolean;
}

/** Releases idle entities until `isDone`, for `shutdownGraceMs` at most. */
export async function drainWithinGrace({ clock, config, ownership, isOver, isDone }: Draining): Promise<void> {
  const endMs = clock.monotonicMs() + config.shutdownGraceMs;
  const abortMs = endMs - config.shutdownGraceMs * ABORT_LEAD;
  let aborted = false;
  ownership.sendLateReports();
  while (!isOver() && clock.monotonicMs() < endMs) {
    ownership.releaseIdle();
    if (isDone()) return;
    if (!aborted && clock.monotonicMs() >= abortMs) {
      aborted = true;
      ownership.suspend(new AtomicQueuesError('SHUTTING_DOWN', 'the shutdown grace is nearly over'));
    }
    await new Promise<void>((resolve) => clock.setTimer(POLL_MS, resolve));
  }
}
