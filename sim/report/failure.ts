/** The report of a failing seed: the invariant in words, a small schedule, a timeline, a replay line, a regression test. */
import { commitOfTree, printNote, writeText } from '../ambient.js';
import { IN_WORDS } from '../checkers/check.js';
import type { InvariantId, Violation } from '../checkers/view.js';
import type { Hit } from '../conditions.js';
import type { HistoryEvent } from '../history.js';
import type { Plan, StoreKind } from '../plan.js';
import type { RunResult } from '../run.js';
import { type RunOne, shrink } from '../shrink.js';
import { drawPlan } from '../swarm.js';
import { type Regression, regressionText } from './regression.js';
import { concerning, timelineOf } from './timeline.js';

const LINES_MAX = 120;

export interface ReportOptions {
  readonly nodes: number | undefined;
  readonly store?: StoreKind;
}

export interface Failure {
  readonly lines: readonly string[];
  readonly regression: Regression;
}

export const replayLine = (seed: number, { nodes, store }: ReportOptions): string =>
  `npm run sim -- --seed ${seed}${nodes === undefined ? '' : ` --nodes ${nodes}`}${store === 'lua' ? ' --store lua' : ''}`;

export function reportSeed(seed: number, invariant: InvariantId, options: ReportOptions, drain: () => void): void {
  const failure = failureOf(seed, invariant, options, drain);
  if (failure === undefined) {
    printNote(`seed ${seed} does not break ${invariant} when run alone: the simulator itself is not deterministic there`);
    return;
  }
  const path = `build/sim-failures/seed-${seed}-${invariant}.spec.ts`;
  writeText(path, regressionText(failure.regression, IN_WORDS[invariant]));
  for (const line of failure.lines) printNote(line);
  printNote(`regression test: ${path}; move it to test/sim/regressions, or play it: npm run sim -- --regression ${path}`);
}

/** Shrinks the plan of the seed and returns the report; undefined if it does not break that invariant. */
export function failureOf(
  seed: number,
  invariant: InvariantId,
  options: ReportOptions,
  drain: () => void,
  run?: RunOne,
): Failure | undefined {
  const drawn = drawPlan(seed, options);
  const { plan, result, runs, whatAtFirst } = shrink(drawn, invariant, drain, run);
  const violation = result.verdict.violations.find((v) => v.invariant === invariant);
  if (violation === undefined) return undefined;
  const commit = commitOfTree();
  return {
    regression: { invariant, what: violation.what, commit, plan },
    lines: [
      '',
      `---- seed ${seed} at commit ${commit} breaks ${invariant}: ${IN_WORDS[invariant]}`,
      `what: ${violation.what}`,
      ...(whatAtFirst === violation.what ? [] : [`before it was shrunk: ${whatAtFirst}`]),
      `options: ${options.nodes === undefined ? 'none' : `--nodes ${options.nodes}`}`,
      `shrunk in ${runs} runs: ${partOf(plan, drawn, 'nodes')}, ${partOf(plan, drawn, 'messages')}, ${partOf(plan, drawn, 'faults')}`,
      ...scheduleOf(plan, result.hits).map((line) => `  ${line}`),
      `settings: ${JSON.stringify(plan.settings)}`,
      ...timelineAround(result, violation),
      `replay: ${replayLine(seed, options)} --timeline`,
    ],
  };
}

const partOf = (plan: Plan, drawn: Plan, what: 'nodes' | 'messages' | 'faults'): string =>
  `${plan[what].length} of ${drawn[what].length} ${what}`;

const atOf = (ms: number): string => `${String(ms).padStart(6)} ms`;

const scheduleOf = ({ nodes, faults, messages }: Plan, hits: readonly Hit[]): string[] => [
  ...nodes.map((n) => `${atOf(n.startMs)}  start ${n.name} (${n.group})`),
  ...faults.map(
    ({ atMs, kind, node = '', forMs, amount }) =>
      `${atOf(atMs)}  ${kind} ${node}${forMs > 0 ? ` for ${forMs} ms` : ''}${amount === undefined ? '' : ` (${amount})`}`,
  ),
  ...hits.map(({ name, atMs }) => `${atOf(Math.round(atMs))}  hit: ${name}`),
  ...messages.map(
    ({ atMs, how, job, entity, node }) => `${atOf(atMs)}  ${how} ${job.op} to ${entity} on ${node} (${job.how}, ${job.ms} ms)`,
  ),
];

/** Returns the last part of the timeline of the entities that the violation names. */
function timelineAround({ history }: Pick<RunResult, 'history'>, violation: Violation): string[] {
  const names = new Set<string>();
  const shown: HistoryEvent | undefined = history[violation.index];
  if (shown !== undefined && 'entity' in shown) names.add(shown.entity);
  for (const word of violation.what.split(/[\s,:]*\s|:\s/)) names.add(word.replace(/:$/, ''));
  const until = history.slice(0, violation.index + 1);
  const lines = timelineOf(until, concerning(names));
  return lines.length > LINES_MAX ? [`  ... ${lines.length - LINES_MAX} earlier lines`, ...lines.slice(-LINES_MAX)] : lines;
}
