/** Runs canaries until the checkers see them. */
import { breathe, inMacrotask, printNote, printResult } from '../ambient.js';
import type { InvariantId } from '../checkers/view.js';
import { type Options, UsageError } from '../cli.js';
import { runPlan } from '../run.js';
import { drawPlan } from '../swarm.js';
import type { Canary } from './canary.js';
import { RUNTIME_CANARIES } from './runtime-canaries.js';
import { STORE_CANARIES } from './store-canaries.js';

export const CANARIES: readonly Canary[] = [...STORE_CANARIES, ...RUNTIME_CANARIES];

/** Within so many seeds each must be caught. */
const SEEDS_MAX = 2000;

export interface CanaryResult {
  readonly name: string;
  readonly expected: readonly InvariantId[];
  readonly violated: readonly string[];
  /** Seeds until one of the expected invariants was seen to break; 0: never. */
  readonly caughtAfterSeeds: number;
  readonly seed: number;
}

/** What one seed breaks while the guard is off. */
export function violatedBy(canary: Canary, seed: number, drain: () => void): InvariantId[] {
  const undo = canary.install?.();
  try {
    const machine = canary.machine?.();
    const { verdict } = runPlan(drawPlan(seed), { drain, ...(machine === undefined ? {} : { machine }) });
    return [...new Set(verdict.violations.map((v) => v.invariant))];
  } finally {
    undo?.();
  }
}

export async function runCanary(canary: Canary, seedsMax: number, from = 1): Promise<CanaryResult> {
  const { name, expected } = canary;
  const violated = new Set<string>();
  const recorded = canary.seeds.filter((s) => s < from || s >= from + seedsMax);
  const seeds = [...canary.seeds.filter((s) => !recorded.includes(s)), ...Array.from({ length: seedsMax }, (_, i) => from + i)];
  for (let i = 0; i < seeds.length && i < seedsMax; i++) {
    const seed = seeds[i] as number;
    const found = await inMacrotask((drain) => violatedBy(canary, seed, drain));
    for (const id of found) violated.add(id);
    if (found.some((id) => expected.includes(id)))
      return { name, expected, violated: [...violated], caughtAfterSeeds: i + 1, seed };
    await breathe();
  }
  return { name, expected, violated: [...violated], caughtAfterSeeds: 0, seed: 0 };
}

export async function runCanaries(options: Options, wanted: string): Promise<boolean> {
  const chosen = wanted === 'all' ? CANARIES : CANARIES.filter((c) => c.name === wanted);
  if (chosen.length === 0)
    throw new UsageError(`there is no canary "${wanted}"; known: all, ${CANARIES.map((c) => c.name).join(', ')}`);
  const results: CanaryResult[] = [];
  for (const canary of chosen) {
    const result = await runCanary(canary, SEEDS_MAX, options.from);
    results.push(result);
    const how =
      result.caughtAfterSeeds === 0 ? 'NOT CAUGHT' : `caught after ${result.caughtAfterSeeds} seeds (seed ${result.seed})`;
    printNote(
      `${canary.name}: ${how}; expected ${result.expected.join(' or ')}, broke ${result.violated.join(' ') || 'nothing'}`,
    );
  }
  const missed = results.filter((r) => r.caughtAfterSeeds === 0).length;
  printNote(`${results.length - missed} of ${results.length} canaries caught`);
  if (options.json) printResult(JSON.stringify({ ...EMPTY, canaries: results }));
  return missed === 0;
}

const EMPTY = { runs: 0, violations: [], faults: {}, excused: {} };
