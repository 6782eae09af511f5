/** Runs canaries until the checkers report them, and records the seeds that catch them. */
import { breathe, inMacrotask, printNote, printResult, writeText } from '../ambient.js';
import { check } from '../checkers/check.js';
import type { InvariantId } from '../checkers/view.js';
import { type Options, UsageError } from '../cli.js';
import { runPlan } from '../run.js';
import { scenariosNamed } from '../scenarios/run-scenarios.js';
import { playScenario } from '../scenarios/scenario.js';
import { loadStore, shippedScripts } from '../store-adapter.js';
import { drawPlan } from '../swarm.js';
import type { Canary } from './canary.js';
import { HINT_CANARIES } from './hint-canaries.js';
import { LUA_CANARIES } from './lua-canaries.js';
import { RUNTIME_CANARIES } from './runtime-canaries.js';
import { CAUGHT_BY } from './seeds.js';
import { STORE_CANARIES } from './store-canaries.js';

export const CANARIES: readonly Canary[] = [...STORE_CANARIES, ...RUNTIME_CANARIES, ...HINT_CANARIES, ...LUA_CANARIES];

/** Number of seeds within which each canary must be caught. */
const SEEDS_MAX = 2000;
/** Number of catching seeds to record per canary. */
const RECORDS = 10;
const RECORDS_FILE = 'sim/canaries/seeds.ts';
const RECORD_LINE = 'npm run sim -- --canary all --record';

export interface CanaryResult {
  readonly name: string;
  readonly expected: readonly InvariantId[];
  readonly violated: readonly string[];
  /** Number of seeds played until an expected invariant was violated; 0: never. For a scenario: 1 if caught. */
  readonly caughtAfterSeeds: number;
  /** Seeds that caught the canary. */
  readonly caughtBy: readonly number[];
  /** Name of the scenario that was played instead of seeds. */
  readonly scenario?: string;
}

/** Returns the invariants that one seed violates while the guard is off. A script canary needs `loadStore('lua')` before. */
export function violatedBy(canary: Canary, seed: number, drain: () => void): InvariantId[] {
  const undo = canary.install?.();
  try {
    const machine = canary.machine?.();
    const scripts = canary.scripts?.(shippedScripts());
    const plan = drawPlan(seed, { store: scripts && 'lua' });
    const { verdict } = runPlan(plan, { drain, ...(machine && { machine }), ...(scripts && { scripts }) });
    return [...new Set(verdict.violations.map((v) => v.invariant))];
  } finally {
    undo?.();
  }
}

const catches = (canary: Canary, violated: readonly InvariantId[]): boolean =>
  violated.some((id) => canary.expected.includes(id));

/** Returns whether the scenario fails or violates an expected invariant while the guard is off. Script canaries: as above. */
function breaksScenario(canary: Canary, name: string, drain: () => void): boolean {
  const undo = canary.install?.();
  try {
    const replaced = { machine: canary.machine?.(), scripts: canary.scripts?.(shippedScripts()) };
    return scenariosNamed(name).some((scenario) => {
      const { broken, history } = playScenario(scenario, drain, replaced);
      return (
        broken.length > 0 ||
        catches(
          canary,
          check(history).violations.map(({ invariant }) => invariant),
        )
      );
    });
  } finally {
    undo?.();
  }
}

/** Plays the scenario of the canary, or up to SEEDS_MAX seeds from `from` on until `wanted` of them have caught it. */
async function runCanary(canary: Canary, from: number, wanted: number): Promise<CanaryResult> {
  const { name, expected, scenario } = canary;
  if (scenario !== undefined) {
    const isCaught = await inMacrotask((drain) => breaksScenario(canary, scenario, drain));
    return { name, expected, violated: [], caughtAfterSeeds: isCaught ? 1 : 0, caughtBy: [], scenario };
  }
  const violated = new Set<string>();
  const caughtBy: number[] = [];
  for (let seed = from; seed < from + SEEDS_MAX && caughtBy.length < wanted; seed++) {
    const found = await inMacrotask((drain) => violatedBy(canary, seed, drain));
    for (const id of found) violated.add(id);
    if (catches(canary, found)) caughtBy.push(seed);
    await breathe();
  }
  const [first] = caughtBy;
  return { name, expected, violated: [...violated], caughtAfterSeeds: first === undefined ? 0 : first - from + 1, caughtBy };
}

export async function runCanaries(options: Options, wanted: string): Promise<boolean> {
  const chosen = wanted === 'all' ? CANARIES : CANARIES.filter((c) => c.name === wanted);
  if (chosen.length === 0)
    throw new UsageError(`there is no canary "${wanted}"; known: all, ${CANARIES.map((c) => c.name).join(', ')}`);
  if (chosen.some(({ scripts }) => scripts !== undefined)) await loadStore('lua');
  const results: CanaryResult[] = [];
  for (const canary of chosen) {
    const result = await runCanary(canary, options.from, options.record ? RECORDS : 1);
    results.push(result);
    printNote(lineOf(result));
    if (options.record) writeText(RECORDS_FILE, recordsOf(results));
  }
  const missed = results.filter((r) => r.caughtAfterSeeds === 0).length;
  printNote(`${results.length - missed} of ${results.length} canaries caught`);
  if (options.json) printResult(JSON.stringify({ ...EMPTY, canaries: results }));
  return missed === 0;
}

const EMPTY = { runs: 0, violations: [], faults: {}, excused: {} };

function lineOf({ name, expected, violated, caughtAfterSeeds, caughtBy, scenario }: CanaryResult): string {
  if (scenario !== undefined) return `${name}: ${caughtAfterSeeds === 0 ? 'NOT CAUGHT' : 'caught'} by the scenario ${scenario}`;
  const how = caughtAfterSeeds === 0 ? 'NOT CAUGHT' : `caught after ${caughtAfterSeeds} seeds (${seedsText(caughtBy)})`;
  return `${name}: ${how}; expected ${expected.join(' or ')}, broke ${violated.join(' ') || 'nothing'}`;
}

const seedsText = (seeds: readonly number[]): string => `seed${seeds.length === 1 ? '' : 's'} ${seeds.join(', ')}`;

// ---- on record -----------------------------------------------------------------------------------------------------

/** Returns the recorded seeds that catch the canary. */
export const recordedSeeds = (canary: Canary): readonly number[] => CAUGHT_BY[canary.name] ?? [];

/** Returns why neither the scenario nor the recorded seeds catch the canary; undefined if they do. */
export function missedByRecords(canary: Canary, drain: () => void): string | undefined {
  const { name, scenario } = canary;
  if (scenario !== undefined)
    return breaksScenario(canary, scenario, drain) ? undefined : `${name} must break the scenario ${scenario}, which held`;
  const seeds = recordedSeeds(canary);
  const broken = new Set<InvariantId>();
  for (const seed of seeds) {
    const violated = violatedBy(canary, seed, drain);
    if (catches(canary, violated)) return undefined;
    for (const id of violated) broken.add(id);
  }
  const played =
    seeds.length === 0 ? 'no seed is on record' : `seeds ${seeds.join(', ')} broke ${[...broken].join(' ') || 'nothing'}`;
  return `${canary.name} must break ${canary.expected.join(' or ')}, but ${played}. If the runtime or the swarm has changed, find others: ${RECORD_LINE}`;
}

/** Returns the text of the records file, with new seeds for each canary that was caught. */
function recordsOf(results: readonly CanaryResult[]): string {
  const found = new Map(results.filter((r) => r.caughtBy.length > 0).map((r) => [r.name, r.caughtBy]));
  const rows = CANARIES.map((c) => `  '${c.name}': [${(found.get(c.name) ?? recordedSeeds(c)).join(', ')}],\n`);
  return `/** Seeds that catch each canary. Written by \`${RECORD_LINE}\`. */
export const CAUGHT_BY: Readonly<Record<string, readonly number[]>> = {
${rows.join('')}};
`;
}
