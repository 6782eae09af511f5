/** Runs one seed, or a plan from a regression file, once more. */
import { printNote, printResult } from '../ambient.js';
import { addRun, noTotals } from '../campaign.js';
import type { InvariantId } from '../checkers/view.js';
import type { Options } from '../cli.js';
import type { Plan } from '../plan.js';
import { type RunResult, runPlan } from '../run.js';
import { jsonOf, watchTime } from '../seeds.js';
import { drawPlan } from '../swarm.js';
import { reportSeed } from './failure.js';
import type { Regression } from './regression.js';
import { timelineOf } from './timeline.js';

export function replaySeed(seed: number, options: Options, drain: () => void): boolean {
  const { verdict, hash } = replay(drawPlan(seed, options), options, drain);
  const seen = new Set<InvariantId>(verdict.violations.map((v) => v.invariant));
  for (const invariant of seen) reportSeed(seed, invariant, options, drain);
  printNote(`seed ${seed}: ${verdict.violations.length} violations, trace hash ${hash}`);
  return verdict.violations.length === 0;
}

export function replayRegression({ plan, invariant, commit }: Regression, options: Options, drain: () => void): boolean {
  const { verdict, hash } = replay(plan, options, drain);
  const { length } = verdict.violations;
  printNote(`seed ${plan.seed}, shrunk, broke ${invariant} at ${commit}; now: ${length} violations, trace hash ${hash}`);
  return length === 0;
}

function replay(plan: Plan, options: Options, drain: () => void): RunResult {
  const spent = watchTime();
  const result = runPlan(plan, { drain });
  const { history, verdict, hash } = result;
  if (options.timeline) for (const line of timelineOf(history)) printNote(line);
  for (const { invariant, what } of verdict.violations) printNote(`VIOLATED ${invariant}: ${what}`);
  if (options.json) {
    const totals = noTotals();
    addRun(totals, result);
    printResult(JSON.stringify({ ...jsonOf(totals, options, spent()), traceHash: hash }));
  }
  return result;
}
