/** npm run sim: seeded simulations of the cluster. docs/simulator.md describes its output and exit codes. */
import { commandLine, commitOfTree, exitWith, inMacrotask, printNote, printResult } from './ambient.js';
import { runCanaries } from './canaries/run-canaries.js';
import { type Options, optionsOf, UsageError } from './cli.js';
import { regressionFrom } from './report/regression.js';
import { replayRegression, replaySeed } from './report/replay.js';
import { runScenarios, scenarioNames, scenariosNamed } from './scenarios/run-scenarios.js';
import { runSeeds } from './seeds.js';
import { loadStore } from './store-adapter.js';

/** Returns what the options ask for. Checks them as far as possible before it begins. */
function jobOf(options: Options): () => boolean | Promise<boolean> {
  const { canary, scenario, regression, seed } = options;
  if (canary !== undefined) return () => runCanaries(options, canary);
  if (scenario !== undefined) {
    const chosen = scenariosNamed(scenario);
    return () => inMacrotask((drain) => runScenarios(chosen, options, drain));
  }
  if (regression !== undefined) {
    const kept = regressionFrom(regression);
    return async () => {
      await loadStore(kept.plan.store);
      return inMacrotask((drain) => replayRegression(kept, options, drain));
    };
  }
  if (seed !== undefined) return () => inMacrotask((drain) => replaySeed(seed, options, drain));
  return () => runSeeds(options);
}

async function main(options: Options): Promise<boolean> {
  if (options.list) {
    for (const line of scenarioNames()) printResult(line);
    return true;
  }
  const job = jobOf(options);
  await loadStore(options.store);
  printNote(`sim at commit ${commitOfTree()}`);
  return job();
}

try {
  exitWith((await main(optionsOf(commandLine()))) ? 0 : 1);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  printNote(error.message);
  exitWith(2);
}
