/** One numbered batch of a session, from when it leaves until its answers are handed out. */
import { type Answer, growsLog } from '../core/log/operations.js';
import type { Timer } from '../ports/clock.js';
import type { StoreCallError } from '../ports/store.js';
import type { Step } from './session.js';

export interface InFlight {
  readonly n: number;
  /** What its next copy carries. */
  steps: Step[];
  /** What copies carried that may have been applied: all of `steps`, and some that the store has refused since. */
  former: Step[] | undefined;
  /** Why the store refused what `former` has more. */
  refusal: StoreCallError | undefined;
  /** What it carries both ways, as estimated when it left. */
  readonly chars: number;
  /** Copies sent under this number since it was last certain that none was applied. */
  copies: number;
  refusedCopies: number;
  answers: readonly Answer[] | undefined;
  /** It was told of a gap before it: it leaves again when its predecessor has ended. */
  waits: boolean;
  failures: number;
  /** How often in a row the script itself failed, and how. */
  broken: number;
  lastBroken: string;
  /** Tries without an answer. */
  unanswered: number;
  /** Set while it waits to be sent again. */
  resend: Timer | undefined;
}

/** No copy of it was applied, and none may be. */
export const isFree = (batch: InFlight): boolean => batch.refusedCopies === batch.copies;

/** What a refusing store has no room for: steps that make the log grow, and the claims of entities that such an append is for. */
export function heavyOf(steps: readonly Step[]): Set<Step> {
  const heavy = new Set(steps.filter((s) => growsLog(s.op)));
  if (heavy.size === 0) return heavy;
  const entities = new Set<string>();
  for (const { op } of heavy) if (op.op === 'append') entities.add(op.entity);
  for (const s of steps) if (s.op.op === 'claim' && entities.has(s.op.entity)) heavy.add(s);
  return heavy;
}
