/** Plays named scenarios. Each must show what it claims and keep every invariant. */
import { printNote, printResult } from '../ambient.js';
import { check } from '../checkers/check.js';
import { type Options, UsageError } from '../cli.js';
import { timelineOf } from '../report/timeline.js';
import { CALL_SCENARIOS } from './call-scenarios.js';
import { CALLER_SCENARIOS } from './caller-scenarios.js';
import { CONFIG_SCENARIOS } from './config-scenarios.js';
import { DEPLOY_SCENARIOS } from './deploy-scenarios.js';
import { ERROR_SCENARIOS } from './error-scenarios.js';
import { LETTER_SCENARIOS } from './letter-scenarios.js';
import { LIMIT_SCENARIOS } from './limit-scenarios.js';
import { LOG_SCENARIOS } from './log-scenarios.js';
import { LOSS_SCENARIOS } from './loss-scenarios.js';
import { MASTER_SCENARIOS } from './master-scenarios.js';
import { OPERATOR_SCENARIOS } from './operator-scenarios.js';
import { OWNERSHIP_SCENARIOS } from './ownership-scenarios.js';
import { RECOVERY_SCENARIOS } from './recovery-scenarios.js';
import { playScenario, type Scenario } from './scenario.js';
import { SCHEMA_SCENARIOS } from './schema-scenarios.js';
import { VALUE_SCENARIOS } from './value-scenarios.js';

export const SCENARIOS: readonly Scenario[] = [
  ...[...OWNERSHIP_SCENARIOS, ...MASTER_SCENARIOS, ...RECOVERY_SCENARIOS],
  ...[...LOG_SCENARIOS, ...LOSS_SCENARIOS, ...CALLER_SCENARIOS, ...DEPLOY_SCENARIOS, ...LIMIT_SCENARIOS],
  ...[...LETTER_SCENARIOS, ...VALUE_SCENARIOS, ...SCHEMA_SCENARIOS, ...ERROR_SCENARIOS, ...CONFIG_SCENARIOS],
  ...[...OPERATOR_SCENARIOS, ...CALL_SCENARIOS],
];

export const scenarioNames = (): string[] => SCENARIOS.map((s) => `${s.name}: ${s.shows}`);

/** Returns the conditions that did not hold and the violated invariants; empty if the scenario held. */
export function faultsOf(scenario: Scenario, drain: () => void, timeline = false): string[] {
  const { history, broken } = playScenario(scenario, drain);
  if (timeline) for (const line of timelineOf(history)) printNote(line);
  return [...broken.map((b) => `not so: ${b}`), ...check(history).violations.map((v) => `VIOLATED ${v.invariant}: ${v.what}`)];
}

export function scenariosNamed(name: string): readonly Scenario[] {
  const chosen = name === 'all' ? SCENARIOS : SCENARIOS.filter((s) => s.name === name);
  if (chosen.length === 0)
    throw new UsageError(`there is no scenario "${name}"; known: all, ${SCENARIOS.map((s) => s.name).join(', ')}`);
  return chosen;
}

export function runScenarios(chosen: readonly Scenario[], options: Options, drain: () => void): boolean {
  const violations: { seed: number; scenario: string; invariant: string; replay: string }[] = [];
  for (const scenario of chosen) {
    const faults = faultsOf(scenario, drain, options.timeline);
    printNote(`${faults.length === 0 ? 'held  ' : 'BROKEN'} ${scenario.name}: ${scenario.shows}`);
    const replay = `npm run sim -- --scenario ${scenario.name} --timeline`;
    for (const fault of faults) {
      printNote(`       ${fault}`);
      const invariant = /^VIOLATED (\w+)/.exec(fault)?.[1] ?? 'scenario';
      violations.push({ seed: 1, scenario: scenario.name, invariant, replay });
    }
  }
  if (options.json) printResult(JSON.stringify({ runs: chosen.length, violations, faults: {}, excused: {}, canaries: [] }));
  return violations.length === 0;
}
