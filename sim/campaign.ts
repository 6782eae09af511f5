/** Runs many seeds and sums up the results of a chunk. The sums do not depend on which worker ran which seed. */
import type { InvariantId } from './checkers/view.js';
import { unknownCalls } from './nearby.js';
import { type RunResult, runPlan } from './run.js';
import { drawPlan, type SwarmOptions } from './swarm.js';

export interface SeedViolation {
  readonly seed: number;
  readonly invariant: InvariantId;
  readonly what: string;
}

export interface Totals {
  runs: number;
  events: number;
  simMs: number;
  messages: number;
  nodes: number;
  faults: Record<string, number>;
  excused: Record<string, number>;
  /** Runs in which something was excused. */
  excusedRuns: number;
  unknown: number;
  /** Seeds without faults. */
  calm: number[];
  /** Messages that only a sweep or a restart found, in seeds with faults. */
  rescued: number;
  /** Calls that ended unknown, deadlines left out, and those of them with no fault nearby. */
  unknownCalls: number;
  unknownFarFromFaults: number;
  violations: SeedViolation[];
  /** Hash of all runs together, independent of their order. */
  hash: number;
  determinism: { checked: number; diverged: number[] };
}

export const noTotals = (): Totals => ({
  ...{ runs: 0, events: 0, simMs: 0, messages: 0, nodes: 0, excusedRuns: 0, unknown: 0, hash: 0 },
  ...{ calm: [], rescued: 0, unknownCalls: 0, unknownFarFromFaults: 0 },
  faults: {},
  excused: {},
  violations: [],
  determinism: { checked: 0, diverged: [] },
});

/** One in so many seeds is run twice and compared. */
const DETERMINISM_EVERY = 25;

export interface Chunk extends SwarmOptions {
  readonly from: number;
  readonly count: number;
}

export function runChunk({ from, count, ...options }: Chunk, drain: () => void): Totals {
  const totals = noTotals();
  for (let seed = from; seed < from + count; seed++) runSeed(seed, options, drain, totals);
  return totals;
}

function runSeed(seed: number, options: SwarmOptions, drain: () => void, totals: Totals): void {
  const plan = drawPlan(seed, options);
  const result = runPlan(plan, { drain });
  addRun(totals, result);
  if (seed % DETERMINISM_EVERY !== 0 && seed !== 1) return;
  totals.determinism.checked++;
  if (runPlan(plan, { drain }).hash !== result.hash) totals.determinism.diverged.push(seed);
}

export function addRun(totals: Totals, result: RunResult): void {
  const { plan } = result;
  const { seed } = plan;
  totals.runs++;
  totals.events += result.events;
  totals.simMs += result.simMs;
  totals.messages += result.messages;
  totals.nodes += plan.nodes.length;
  totals.unknown += result.verdict.unknown;
  totals.rescued += result.verdict.rescued;
  const { all, farFromFaults } = unknownCalls(plan, result.history);
  totals.unknownCalls += all;
  totals.unknownFarFromFaults += farFromFaults;
  if (plan.isCalm === true) totals.calm.push(seed);
  if (Object.keys(result.verdict.excused).length > 0) totals.excusedRuns++;
  addAll(totals.faults, result.faults);
  addAll(totals.excused, result.verdict.excused);
  totals.hash = (totals.hash + mixed(seed, result.hash)) >>> 0;
  const seen = new Set<string>();
  for (const { invariant, what } of result.verdict.violations) {
    if (!seen.has(invariant)) totals.violations.push({ seed, invariant, what });
    seen.add(invariant);
  }
}

const mixed = (seed: number, hash: string): number =>
  Math.imul(Number.parseInt(hash, 16) ^ Math.imul(seed, 0x9e3779b1), 0x85ebca6b) >>> 0;

function addAll(into: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [key, n] of Object.entries(more)) into[key] = (into[key] ?? 0) + n;
}

export function addTotals(into: Totals, more: Totals): void {
  into.runs += more.runs;
  into.events += more.events;
  into.simMs += more.simMs;
  into.messages += more.messages;
  into.nodes += more.nodes;
  into.excusedRuns += more.excusedRuns;
  into.unknown += more.unknown;
  into.rescued += more.rescued;
  into.unknownCalls += more.unknownCalls;
  into.unknownFarFromFaults += more.unknownFarFromFaults;
  into.calm.push(...more.calm);
  into.hash = (into.hash + more.hash) >>> 0;
  addAll(into.faults, more.faults);
  addAll(into.excused, more.excused);
  into.violations.push(...more.violations);
  into.determinism.checked += more.determinism.checked;
  into.determinism.diverged.push(...more.determinism.diverged);
}
