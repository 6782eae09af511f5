/** One numbered batch of a session, from when it leaves until its steps have their answers. */
import { type Answer, growsLog } from '../core/log/operations.js';
import type { Timer } from '../ports/clock.js';
import type { StoreCallError } from '../ports/store.js';
import type { Step } from './session.js';

export interface InFlight {
  readonly n: number;
  /** Steps that its next copy carries. */
  steps: Step[];
  /** Steps of the copies that may have been applied: all of `steps`, and some that the store has refused since. */
  former: Step[] | undefined;
  /** Why the store refused the steps that only `former` has. */
  refusal: StoreCallError | undefined;
  /** Estimated characters of its request and its answers, as of when it left. */
  readonly chars: number;
  /** Copies sent under this number since it was last certain that no copy was applied. */
  copies: number;
  refusedCopies: number;
  answers: readonly Answer[] | undefined;
  /** True while it waits for its predecessor to end: that one was missing, or is too large for its time. */
  waits: boolean;
  failures: number;
  /** Number of failures in a row of the script itself with the same error, and that error. */
  broken: number;
  lastBroken: string;
  /** Tries without an answer. */
  unanswered: number;
  /** Set while it waits to be sent again. */
  resend: Timer | undefined;
}

/** True if no copy of the batch was applied, and none may be. */
export const isFree = (batch: InFlight): boolean => batch.refusedCopies === batch.copies;

/** Returns the steps that a refusing store has no room for: those that make the log grow, and the claims for such appends. */
export function heavyOf(steps: readonly Step[]): Set<Step> {
  const heavy = new Set(steps.filter((s) => growsLog(s.op)));
  if (heavy.size === 0) return heavy;
  const entities = new Set<string>();
  for (const { op } of heavy) if (op.op === 'append') entities.add(op.entity);
  for (const s of steps) if (s.op.op === 'claim' && entities.has(s.op.entity)) heavy.add(s);
  return heavy;
}
