import type { HistoryEvent } from '../history.js';
import { bank } from './bank.js';
import { generationsOf, keptApart } from './generations.js';
import { atMostOnce } from './i1-at-most-once.js';
import { attempts } from './i1-attempts.js';
import { abortsInTime } from './i2-aborts.js';
import { singleWriter } from './i2-single-writer.js';
import { fencedWriter } from './i2f-fenced-writer.js';
import { fifo } from './i3-fifo.js';
import { nothingLost } from './i4-nothing-lost.js';
import { reportedLetters } from './i4-reported.js';
import { shownLog } from './i4-shown.js';
import { lateNotes } from './i5-late-notes.js';
import { oneVerdict } from './i5-one-verdict.js';
import { epochs } from './i6-epochs.js';
import { bounds } from './i7-bounds.js';
import { independence, liveness, settles } from './l-liveness.js';
import { lateBegins, promptness } from './l4-promptness.js';
import { keptLeases } from './l5-leases.js';
import { needlessness } from './l5-need.js';
import { type InvariantId, View, type Violation } from './view.js';

export interface Verdict {
  readonly violations: readonly Violation[];
  /** Number of findings per invariant that a broken assumption excuses. */
  readonly excused: Readonly<Record<string, number>>;
  /** Number of searches that ran out of budget. */
  readonly unknown: number;
  /** Number of messages that waited longer than a hint takes (`HINT_MS_MAX`). */
  readonly rescued: number;
}

const CHECKERS = [
  ...[
    atMostOnce,
    attempts,
    singleWriter,
    abortsInTime,
    fencedWriter,
    fifo,
    nothingLost,
    shownLog,
    reportedLetters,
    oneVerdict,
    lateNotes,
    epochs,
  ],
  ...[bounds],
  ...[liveness, settles, independence, promptness, needlessness, keptLeases, bank],
];

/** Judges a run from its history alone. */
export function check(events: readonly HistoryEvent[]): Verdict {
  const violations: Violation[] = [];
  const excused: Record<string, number> = {};
  let unknown = 0;
  const findings = {
    violated: (invariant: InvariantId, what: string, index: number): void => void violations.push({ invariant, what, index }),
    excuse: (invariant: InvariantId): void => {
      excused[invariant] = (excused[invariant] ?? 0) + 1;
    },
    unknown: (): void => {
      unknown++;
    },
  };
  const generations = generationsOf(events);
  if (generations !== undefined) keptApart(generations, findings);
  const views = (generations === undefined ? [events] : [generations.former, generations.present]).map((part) => new View(part));
  for (const view of views) for (const checker of CHECKERS) checker(view, findings);
  for (const event of events) {
    if (event.kind === 'defect') findings.violated('defect', event.what, event.index);
    else if (event.kind === 'differs') findings.violated('lua', event.what, event.index);
  }
  violations.sort((a, b) => a.index - b.index);
  return { violations, excused, unknown, rescued: views.reduce((sum, view) => sum + lateBegins(view).length, 0) };
}

/** The invariants in words, for reports. */
export const IN_WORDS: Readonly<Record<InvariantId, string>> = {
  I1: 'a handler starts at most once per message (at most maxAttempts times with retries)',
  I2: 'handlers of one entity never overlap in time',
  I2f: 'no effect lands after one with a higher fence',
  I3: 'messages of one entity begin and start in log order',
  I4: 'an accepted message reaches exactly one terminal state; each bad end is one dead letter',
  I5: 'what a caller is told never contradicts the log',
  I6: 'no epoch has two masters, and no lower epoch is accepted',
  I7: 'no count passes its limit, and at idle all counters are back at their baseline',
  L1: 'after the heal everything accepted becomes terminal and new work is accepted',
  L2: 'every promise settles by its deadline',
  L3: 'what one entity does delays others by no more than a stated bound',
  L4: 'while nothing is wrong, neither work nor a result waits for a sweep',
  L5: 'no call is refused, given up early or left unknown without need',
  bank: 'the effects on an account have one order that explains every result',
  defect: 'the library throws nothing that nobody handles',
  lua: 'the Redis scripts answer and store what the core does',
};
