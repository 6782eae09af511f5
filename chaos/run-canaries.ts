/** Runs each canary until the suite catches it. */
import { buildCanary, CANARIES, removeCanary } from './canaries.js';
import { UsageError } from './driver.js';
import { LocalDriver, type LocalTools } from './local.js';
import { SCENARIOS } from './scenarios/scenarios.js';
import { playOne } from './suite.js';

const TRIES_MAX = 3;

export interface CanaryResult {
  readonly name: string;
  readonly expected: readonly string[];
  readonly scenario: string;
  readonly violated: readonly string[];
  /** Number of tries until the suite caught the canary. 0: never. */
  readonly caughtAfterTries: number;
}

/** Returns the canaries that `wanted` names. Throws a UsageError if there are none. */
export function canariesOf(wanted: string): typeof CANARIES {
  const chosen = wanted === 'all' ? CANARIES : CANARIES.filter((c) => c.name === wanted);
  if (chosen.length > 0) return chosen;
  throw new UsageError(`there is no canary "${wanted}"; known: all, ${CANARIES.map((c) => c.name).join(', ')}`);
}

export async function runCanaries(
  canaries: typeof CANARIES,
  tools: LocalTools,
  seed: number,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<CanaryResult[]> {
  const results: CanaryResult[] = [];
  for (const canary of canaries) {
    const { name, expected } = canary;
    const scenario = SCENARIOS.find((s) => s.name === canary.scenario);
    if (scenario === undefined) throw new Error(`${name} is tried by a scenario that is not there`);
    const driver = new LocalDriver({ ...tools, nodeFile: buildCanary(canary) });
    const violated = new Set<string>();
    let caughtAfterTries = 0;
    try {
      for (let i = 1; i <= TRIES_MAX && caughtAfterTries === 0; i++) {
        const { judgement } = await playOne(scenario, { driver, seed: seed + i - 1, signal });
        for (const { invariant } of judgement.violations) violated.add(invariant);
        if (expected.some((id) => violated.has(id))) caughtAfterTries = i;
      }
    } finally {
      removeCanary(canary);
    }
    const how = caughtAfterTries === 0 ? `NOT CAUGHT in ${TRIES_MAX} tries` : `caught at try ${caughtAfterTries}`;
    say(`${name}: ${how} by ${scenario.name}; expected ${expected.join(' or ')}, broke ${[...violated].join(' ') || 'nothing'}`);
    results.push({ name, expected, scenario: scenario.name, violated: [...violated], caughtAfterTries });
  }
  return results;
}
