/**
 * Plays seeds and scenarios of the simulator until the first one fails: the first stage, a process of its own per mutant.
 *
 *   node play.js <the list of what to play, as JSON> [cover]
 *
 * Prints a line `at ...` before each seed and scenario, so that the parent process knows where a mutant hangs, and `seen` once a seed plays
 * differently. The last line is `held`, or `killed <by> <what>`. With `cover` it prints what each of them reached, as JSON.
 */
import { writeSync } from 'node:fs';
import { inMacrotask, realMs } from '../../sim/ambient.js';
import { runPlan } from '../../sim/run.js';
import { faultsOf, SCENARIOS } from '../../sim/scenarios/run-scenarios.js';
import { loadStore } from '../../sim/store-adapter.js';
import { drawPlan } from '../../sim/swarm.js';
import { takeMarks } from './cover.js';
import type { Covered, Playable } from './playable.js';

const list = JSON.parse(process.argv[2] ?? '[]') as readonly Playable[];
const covers = process.argv[3] === 'cover';

/** Writes at once, since a process that is killed does not flush. */
const say = (line: string): void => void writeSync(1, `${line.replaceAll('\n', ' ')}\n`);

class Killed extends Error {}

const nameOf = ({ kind, seed, scenario }: Playable): string =>
  kind === 'scenario' ? `scenarios ${scenario}` : `seeds seed ${seed}${kind === 'lua' ? ' beside the scripts' : ''}`;

/** Returns the hash of what was played. */
async function playSeed(seed: number, store: 'machine' | 'lua'): Promise<number> {
  if (store === 'lua') await loadStore(store);
  const { verdict, hash } = await inMacrotask((drain) => runPlan(drawPlan(seed, { store }), { drain }));
  const [violation] = verdict.violations;
  if (violation !== undefined) throw new Killed(`${violation.invariant}: ${violation.what}`);
  return Number.parseInt(hash, 16);
}

async function playScenario(name: string): Promise<number> {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario === undefined) throw new Killed('there is no such scenario');
  const [fault] = await inMacrotask((drain) => faultsOf(scenario, drain));
  if (fault !== undefined) throw new Killed(fault);
  return 0;
}

const play = ({ kind, seed, scenario }: Playable): Promise<number> =>
  kind === 'scenario' ? playScenario(scenario) : playSeed(seed, kind);

async function playAll(): Promise<string> {
  let isSeen = false;
  for (const one of list) {
    say(`at ${nameOf(one)}`);
    const startMs = realMs();
    try {
      const hash = await play(one);
      if (covers) {
        const covered: Covered = { ...one, hash, ms: Math.round(realMs() - startMs), blocks: takeMarks() };
        say(JSON.stringify(covered));
      } else if (hash !== one.hash && !isSeen) {
        isSeen = true;
        say('seen');
      }
    } catch (error) {
      return `killed ${nameOf(one)}: ${error instanceof Killed ? error.message : String(error)}`;
    }
  }
  return 'held';
}

say(await playAll());
// A mutant may have left timers behind.
process.exit(0);
