/** The command line of `npm run mutants`. Wrong usage ends with one line and exit code 2. */
import { parseArgs } from 'node:util';
import { UsageError, wholeNumber } from '../../sim/cli.js';
import type { Stage } from './results.js';

export interface Options {
  readonly count: number;
  readonly seed: number;
  /** Seeds of the simulator per mutant, from the number `from` on. */
  readonly seeds: number;
  readonly luaSeeds: number;
  readonly from: number;
  readonly workers: number;
  /** The last stage. */
  readonly stage: Stage;
  readonly only: readonly string[];
  readonly files: readonly string[];
  readonly list: boolean;
  readonly resume: boolean;
  readonly json: boolean;
  readonly help: boolean;
  readonly minSim: number | undefined;
  readonly minAll: number | undefined;
}

export const USAGE = `npm run mutants -- [options]
  --count N      how many mutants are drawn, 1 to 100000 (300); each file gives a share in proportion to its size
  --seed N       which are drawn (1)
  --file PATH    only mutants of this file, or of this folder; may be repeated
  --only ID      this mutant, by its id or the start of it; may be repeated
  --list         print the drawn mutants and end
  --stage NAME   sim: seeds and scenarios of the simulator. tests: then, for its survivors, the tests that load the file (tests)
  --seeds N      seeds of the simulator for each mutant (120)
  --lua-seeds N  seeds beside the scripts, for mutants of Lua and of src/core/log (10)
  --from N       the first of those seeds (1)
  --workers N    mutants at once, 1 to 64 (the number of cores)
  --resume       go on with build/mutants/results.jsonl of a run that was cut
  --min-sim P    exit 1 if seeds and scenarios kill less than P percent of core and runtime
  --min-all P    exit 1 if everything together kills less than P percent of all
  --json         one JSON object on standard output
  --help         this text
Exit code 0: every survivor has its line in test/mutants/judged.json, and the scores hold. 1: not so. 2: wrong usage.`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const many = { type: 'string', multiple: true } as const;
const KNOWN = {
  ...{ count: text, seed: text, seeds: text, 'lua-seeds': text, from: text, workers: text, stage: text },
  ...{ 'min-sim': text, 'min-all': text, only: many, file: many, list: flag, resume: flag, json: flag, help: flag },
};

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: KNOWN, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('\n')[0]?.split('. ')[0]}; see npm run mutants -- --help`);
  }
}

export function optionsOf(args: readonly string[], cores: number): Options {
  const values = parsed(args);
  const number = (name: keyof typeof values, min: number, max: number): number | undefined =>
    wholeNumber(name, values[name], min, max);
  const { stage = 'tests' } = values;
  if (stage !== 'sim' && stage !== 'tests') throw new UsageError(`--stage is "${stage}"; allowed: sim, tests`);
  return {
    count: number('count', 1, 100_000) ?? 300,
    seed: number('seed', 0, 2 ** 32) ?? 1,
    seeds: number('seeds', 1, 1_000_000) ?? 120,
    luaSeeds: number('lua-seeds', 1, 1_000_000) ?? 10,
    from: number('from', 0, 2 ** 32) ?? 1,
    workers: number('workers', 1, 64) ?? cores,
    stage,
    only: values.only ?? [],
    files: values.file ?? [],
    list: values.list === true,
    resume: values.resume === true,
    json: values.json === true,
    help: values.help === true,
    minSim: number('min-sim', 0, 100),
    minAll: number('min-all', 0, 100),
  };
}
