/** Runs one seed, or a plan that was written down, once more. */
import { inMacrotask, printNote, printResult, realMs } from '../ambient.js';
import { runChunk } from '../campaign.js';
import type { InvariantId, Violation } from '../checkers/view.js';
import { type Options, UsageError } from '../cli.js';
import { PLAN_VERSION, type Plan } from '../plan.js';
import { runPlan } from '../run.js';
import { jsonOf } from '../seeds.js';
import { drawPlan } from '../swarm.js';
import { reportSeed } from './failure.js';
import { timelineOf } from './timeline.js';

export function replaySeed(seed: number, options: Options, drain: () => void): boolean {
  const startMs = realMs();
  const plan = drawPlan(seed, { nodes: options.nodes });
  const { verdict, hash, history } = runPlan(plan, { drain });
  if (options.timeline) for (const line of timelineOf(history)) printNote(line);
  for (const { invariant, what } of verdict.violations) printNote(`VIOLATED ${invariant}: ${what}`);
  const seen = new Set<InvariantId>(verdict.violations.map((v) => v.invariant));
  for (const invariant of seen) reportSeed(seed, invariant, options, drain);
  printNote(`seed ${seed}: ${verdict.violations.length} violations, trace hash ${hash}`);
  if (options.json) {
    const totals = runChunk({ from: seed, count: 1, nodes: options.nodes }, drain);
    printResult(JSON.stringify({ ...jsonOf(totals, options, realMs() - startMs), traceHash: hash }));
  }
  return verdict.violations.length === 0;
}

/** For regression tests: what the plan breaks today. Throws a UsageError for a plan of another version. */
export function replayOf(plan: unknown): Promise<readonly Violation[]> {
  const { version } = plan as { version?: number };
  if (version !== PLAN_VERSION)
    throw new UsageError(`the plan has version ${String(version)}, this simulator reads ${PLAN_VERSION}; draw the seed again`);
  return inMacrotask((drain) => runPlan(plan as Plan, { drain }).verdict.violations);
}
