/** The committed list of survivors, each with its verdict. */
import { readFileSync } from 'node:fs';

/**
 * `redundant`: no caller can see the difference, by any run. `late`: only time, cost or a trace differ, and no promise. `hole`: a promise
 * breaks and nothing finds it yet.
 */
export const VERDICTS = ['redundant', 'late', 'hole'] as const;

export type Verdict = (typeof VERDICTS)[number];

export interface Judged {
  readonly id: string;
  readonly verdict: Verdict;
  /** One sentence. */
  readonly why: string;
}

export const JUDGED_PATH = 'test/mutants/judged.json';

export const readJudged = (): readonly Judged[] => JSON.parse(readFileSync(JUDGED_PATH, 'utf8')) as Judged[];

/** What is wrong with the list itself: a line without its mutant, a doubled one, or one that says too little. */
export function listFaults(judged: readonly Judged[], known: ReadonlySet<string>): readonly string[] {
  const ids = judged.map(({ id }) => id);
  return judged.flatMap(({ id, verdict, why }, i) => {
    const faults: string[] = [];
    if (!known.has(id)) faults.push(`${id}: stale, there is no such mutant any more`);
    if (ids.indexOf(id) !== i) faults.push(`${id}: judged twice`);
    if (!VERDICTS.includes(verdict)) faults.push(`${id}: the verdict is "${verdict}"; allowed: ${VERDICTS.join(', ')}`);
    if (typeof why !== 'string' || why.trim() === '') faults.push(`${id}: it does not say why`);
    return faults;
  });
}
