/** What a run came to, as text and as JSON. */
import { JUDGED_PATH, type Judged, listFaults } from './judged.js';
import type { Mutant } from './mutant.js';
import type { Options } from './options.js';
import type { Result, Stage } from './results.js';
import { type AreaScore, finalResults, type Scores, scoresOf } from './score.js';

export interface Report {
  readonly scores: Scores;
  readonly survivors: readonly Survivor[];
  /** Judged, and killed now: their lines can go. */
  readonly outdated: readonly string[];
  /** Why the run failed; empty if it did not. */
  readonly faults: readonly string[];
}

export interface Survivor {
  readonly id: string;
  readonly at: string;
  readonly before: string;
  readonly after: string;
  /** Whether any seed of the simulator played differently. */
  readonly isSeen: boolean;
  /** Seeds and scenarios, and test files, that reach it. */
  readonly played: number;
  readonly tested: number;
  readonly verdict: string | undefined;
}

export interface Found {
  /** All that there are. */
  readonly known: ReadonlySet<string>;
  /** Those that were tried. */
  readonly tried: readonly Mutant[];
  readonly results: readonly Result[];
  readonly judged: readonly Judged[];
}

export function reportOf(
  { known, tried, results, judged }: Found,
  options: Pick<Options, 'stage' | 'minSim' | 'minAll'>,
): Report {
  const last = finalResults(results);
  const verdicts = new Map(judged.map(({ id, verdict }) => [id, verdict]));
  const outcomeOf = ({ id }: Mutant) => last.get(id)?.outcome;
  const of = (stage: Stage) => new Map(results.filter((result) => result.stage === stage).map((result) => [result.id, result]));
  const [sim, tests] = [of('sim'), of('tests')];
  const survivors = tried
    .filter((mutant) => outcomeOf(mutant) === 'survived')
    .map(({ id, path, line, before, after }) => {
      const { isSeen = false, reached: played = 0 } = sim.get(id) ?? {};
      const { reached: tested = 0 } = tests.get(id) ?? {};
      return { id, at: `${path}:${line}`, before, after, isSeen, played, tested, verdict: verdicts.get(id) };
    });
  const scores = scoresOf(tried, results, judged);
  const faults = [...listFaults(judged, known), ...missed(scores, options)];
  // What the simulator alone leaves over is no survivor yet.
  if (options.stage === 'tests')
    for (const { id, verdict } of survivors)
      if (verdict === undefined) faults.push(`${id}: survives, and has no line in ${JUDGED_PATH}`);
  const outdated = tried.filter((mutant) => verdicts.has(mutant.id) && outcomeOf(mutant) === 'killed').map(({ id }) => id);
  return { scores, survivors, outdated, faults };
}

function missed(scores: Scores, { minSim, minAll }: Pick<Options, 'minSim' | 'minAll'>): readonly string[] {
  const { simScore = 100 } = scores['core and runtime'];
  const { allScore = 100 } = scores.all;
  const faults: string[] = [];
  if (minSim !== undefined && simScore < minSim)
    faults.push(`the simulator kills ${simScore} % of core and runtime, not ${minSim} %`);
  if (minAll !== undefined && allScore < minAll) faults.push(`all tests kill ${allScore} %, not ${minAll} %`);
  return faults;
}

const shown = (score: number | undefined): string => (score === undefined ? '-' : `${score} %`);

function lineOf(name: string, score: AreaScore): string {
  const { mutants, seeds, scenarios, tests, survived, unreached, redundant, late, hole, simScore, allScore } = score;
  return [
    `${name}: ${mutants} mutants, ${unreached} of them out of the simulator's reach; killed by seeds ${seeds}, by scenarios ${scenarios}, by tests ${tests}`,
    `survived ${survived} (redundant ${redundant}, late ${late}, hole ${hole})`,
    `score of the simulator ${shown(simScore)}, of all ${shown(allScore)}`,
  ].join('; ');
}

export function linesOf({ scores, survivors, outdated, faults }: Report): readonly string[] {
  return [
    ...survivors.flatMap(({ id, at, before, after, isSeen, played, tested, verdict }) => [
      `survivor ${id} (${verdict ?? 'not judged'})`,
      `  ${at}: reached by ${played} seeds and scenarios, which play ${isSeen ? 'differently' : 'alike'}; by ${tested} test files`,
      ...[`  - ${before}`, `  + ${after}`],
    ]),
    ...outdated.map((id) => `judged, and killed now: ${id}`),
    ...Object.entries(scores).map(([name, score]) => lineOf(name, score)),
    ...faults.map((fault) => `FAILED: ${fault}`),
  ];
}
