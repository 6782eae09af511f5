/** What is told of a failing seed: the invariant in words, a small schedule, a timeline, a replay line, a regression test. */
import { commitOfTree, printNote, writeText } from '../ambient.js';
import { IN_WORDS } from '../checkers/check.js';
import type { InvariantId, Violation } from '../checkers/view.js';
import type { HistoryEvent } from '../history.js';
import type { Plan } from '../plan.js';
import { shrink } from '../shrink.js';
import { drawPlan } from '../swarm.js';
import { concerning, timelineOf } from './timeline.js';

const LINES_MAX = 120;

export interface ReportOptions {
  readonly nodes: number | undefined;
}

export function reportSeed(seed: number, invariant: InvariantId, options: ReportOptions, drain: () => void): void {
  const drawn = drawPlan(seed, { nodes: options.nodes });
  const { plan, result, runs } = shrink(drawn, invariant, drain);
  const violation = result.verdict.violations.find((v) => v.invariant === invariant);
  if (violation === undefined) {
    printNote(`seed ${seed} does not break ${invariant} when run alone: the simulator itself is not deterministic there`);
    return;
  }
  const path = `build/sim-failures/seed-${seed}-${invariant}.spec.ts`;
  writeText(path, regressionOf(plan, invariant, violation));
  const replay = `npm run sim -- --seed ${seed}${options.nodes === undefined ? '' : ` --nodes ${options.nodes}`} --timeline`;
  printNote('');
  printNote(`---- seed ${seed} at commit ${commitOfTree()} breaks ${invariant}: ${IN_WORDS[invariant]}`);
  printNote(`what: ${violation.what}`);
  printNote(
    `shrunk in ${runs} runs: ${plan.nodes.length} of ${drawn.nodes.length} nodes, ${plan.messages.length} of ${drawn.messages.length} messages, ${plan.faults.length} of ${drawn.faults.length} faults`,
  );
  for (const line of scheduleOf(plan)) printNote(`  ${line}`);
  printNote(`settings: ${JSON.stringify(plan.settings)}`);
  for (const line of timelineAround(result.history, violation)) printNote(line);
  printNote(`replay: ${replay}`);
  printNote(`regression test: ${path} (move it to test/sim/regressions)`);
}

export const scheduleOf = (plan: Plan): string[] => [
  ...plan.nodes.map((n) => `${String(n.startMs).padStart(6)} ms  start ${n.name} (${n.group})`),
  ...plan.faults.map(
    (f) =>
      `${String(f.atMs).padStart(6)} ms  ${f.kind} ${f.node ?? ''}${f.forMs > 0 ? ` for ${f.forMs} ms` : ''}${f.amount === undefined ? '' : ` (${f.amount})`}`,
  ),
  ...plan.messages.map(
    (m) => `${String(m.atMs).padStart(6)} ms  ${m.how} ${m.job.op} to ${m.entity} on ${m.node} (${m.job.how}, ${m.job.ms} ms)`,
  ),
];

/** The last part of what concerns the entities that the violation names. */
export function timelineAround(history: readonly HistoryEvent[], violation: Violation): string[] {
  const names = new Set<string>();
  const shown = history[violation.index];
  if (shown !== undefined && 'entity' in shown) names.add(shown.entity);
  for (const word of violation.what.split(/[\s,:]*\s|:\s/)) names.add(word.replace(/:$/, ''));
  const until = history.slice(0, violation.index + 1);
  const lines = timelineOf(until, concerning(names));
  return lines.length > LINES_MAX ? [`  ... ${lines.length - LINES_MAX} earlier lines`, ...lines.slice(-LINES_MAX)] : lines;
}

export function regressionOf(plan: Plan, invariant: InvariantId, violation: Violation): string {
  return `// Written by the simulator: seed ${plan.seed} broke ${invariant} (${violation.what.replace(/\s+/g, ' ')}).
import { expect, it } from 'vitest';
import { replayOf } from '../../../sim/report/replay.js';

it('seed ${plan.seed} keeps ${invariant}', async () => {
  const violations = await replayOf(PLAN);
  expect(violations.map((v) => \`\${v.invariant}: \${v.what}\`)).toEqual([]);
});

const PLAN = ${JSON.stringify(plan, undefined, 2)};
`;
}
