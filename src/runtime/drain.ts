import type { ResolvedConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Clock } from '../ports/clock.js';
import type { Ownership } from './ownership.js';

/** Part of the grace period that remains for handlers once their signal has aborted. */
const ABORT_LEAD = 0.25;
const POLL_MS = 10;

export interface Draining {
  readonly clock: Clock;
  readonly config: ResolvedConfig;
  readonly ownership: Ownership;
  /** Whether there is no session any more to hand anything over with. */
  isOver(): boolean;
  /** Whether nothing is owned or owed any more. */
  isDone(): boolean;
}

/** Hands over what is idle until nothing is left, for `shutdownGraceMs` at most. */
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
