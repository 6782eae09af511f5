/** npm run sim: seeded simulations of the cluster. What it prints and how it exits is fixed by spec §7. */
import { commandLine, commitOfTree, exitWith, inMacrotask, printNote, printResult } from './ambient.js';
import { runCanaries } from './canaries/run-canaries.js';
import { type Options, optionsOf, UsageError } from './cli.js';
import { replaySeed } from './report/replay.js';
import { runScenarios, scenarioNames } from './scenarios/run-scenarios.js';
import { runSeeds } from './seeds.js';

async function main(options: Options): Promise<boolean> {
  if (options.list) {
    for (const line of scenarioNames()) printResult(line);
    return true;
  }
  printNote(`sim at commit ${commitOfTree()}`);
  if (options.canary !== undefined) return runCanaries(options, options.canary);
  if (options.scenario !== undefined) {
    const { scenario } = options;
    return inMacrotask((drain) => runScenarios(scenario, options, drain));
  }
  if (options.seed !== undefined) {
    const { seed } = options;
    return inMacrotask((drain) => replaySeed(seed, options, drain));
  }
  return runSeeds(options);
}

try {
  exitWith((await main(optionsOf(commandLine()))) ? 0 : 1);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  printNote(error.message);
  exitWith(2);
}
