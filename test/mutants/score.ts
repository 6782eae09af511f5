/** The arithmetic of a run: what killed how many, and the scores. */
import type { Judged, Verdict } from './judged.js';
import type { Area, Mutant } from './mutant.js';
import type { Result } from './results.js';

export interface AreaScore {
  /** Without those that are no program. */
  mutants: number;
  seeds: number;
  scenarios: number;
  tests: number;
  survived: number;
  /** Those that no seed and no scenario reaches. */
  unreached: number;
  redundant: number;
  late: number;
  hole: number;
  unjudged: number;
  /** Killed by seeds or scenarios, in percent of those that are not redundant; undefined if there are none. */
  simScore: number | undefined;
  /** Killed by anything, likewise. */
  allScore: number | undefined;
}

export type AreaName = Area | 'core and runtime' | 'all';

export type Scores = Readonly<Record<AreaName, AreaScore>>;

const noScore = (): AreaScore => ({
  ...{ mutants: 0, seeds: 0, scenarios: 0, tests: 0, survived: 0, unreached: 0, redundant: 0, late: 0, hole: 0, unjudged: 0 },
  ...{ simScore: undefined, allScore: undefined },
});

const percent = (part: number, whole: number): number | undefined =>
  whole === 0 ? undefined : Math.round((part * 1000) / whole) / 10;

/** The last stage of each mutant that was tried. */
export function finalResults(results: readonly Result[]): ReadonlyMap<string, Result> {
  const last = new Map<string, Result>();
  for (const result of results) if (result.stage === 'tests' || !last.has(result.id)) last.set(result.id, result);
  return last;
}

function count(score: AreaScore, result: Result, verdict: Verdict | undefined): void {
  score.mutants++;
  if (result.outcome === 'killed') score[result.by ?? 'tests']++;
  else {
    score.survived++;
    score[verdict ?? 'unjudged']++;
  }
}

function finish(score: AreaScore): AreaScore {
  const { mutants, redundant, seeds, scenarios, tests } = score;
  score.simScore = percent(seeds + scenarios, mutants - redundant);
  score.allScore = percent(seeds + scenarios + tests, mutants - redundant);
  return score;
}

export function scoresOf(mutants: readonly Mutant[], results: readonly Result[], judged: readonly Judged[]): Scores {
  const verdicts = new Map(judged.map(({ id, verdict }) => [id, verdict]));
  const last = finalResults(results);
  const unreached = new Set(results.filter(({ stage, reached }) => stage === 'sim' && reached === 0).map(({ id }) => id));
  const scores = { core: noScore(), runtime: noScore(), 'core and runtime': noScore(), lua: noScore(), all: noScore() };
  for (const { id, area } of mutants) {
    const result = last.get(id);
    if (result === undefined || result.outcome === 'invalid') continue;
    const names: AreaName[] = area === 'lua' ? ['lua', 'all'] : [area, 'core and runtime', 'all'];
    for (const name of names) {
      count(scores[name], result, verdicts.get(id));
      if (unreached.has(id)) scores[name].unreached++;
    }
  }
  for (const score of Object.values(scores)) finish(score);
  return scores;
}
