/** npm run mutants: measures what the simulator and the tests notice, by small changes of the code. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { findRedisServer } from '../../demo/machine.js';
import { UsageError } from '../../sim/cli.js';
import { readCatalog } from './catalog.js';
import { killAllGroups } from './child.js';
import { BaselineError, keyOf, readCover } from './cover-run.js';
import { readJudged } from './judged.js';
import type { Mutant } from './mutant.js';
import { type Options, optionsOf, USAGE } from './options.js';
import { linesOf, reportOf } from './report.js';
import { type Result, ResultFile, ResumeError, type Terms } from './results.js';
import { Runner } from './runner.js';
import { sampleOf } from './sample.js';
import { BUILD } from './tree.js';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Returns the mutants to try: those that are named, or a sample. */
function chosenOf(all: readonly Mutant[], { only, files, count, seed }: Options): readonly Mutant[] {
  for (const id of only) if (!all.some((mutant) => mutant.id.startsWith(id))) throw new UsageError(`there is no mutant "${id}"`);
  if (only.length > 0) return all.filter(({ id }) => only.some((start) => id.startsWith(start)));
  const isIn = (path: string, file: string): boolean => path === file || path.startsWith(`${file.replace(/\/$/, '')}/`);
  const inFiles = files.length === 0 ? all : all.filter(({ path }) => files.some((file) => isIn(path, file)));
  if (inFiles.length === 0) throw new UsageError(`--file ${files.join(', ')}: no mutant is there`);
  return sampleOf(inFiles, count, seed);
}

/** Results are of this code and of these runs of the simulator. */
const termsOf = ({ from, seeds, luaSeeds }: Options): Terms => ({ code: keyOf(), from, seeds, luaSeeds });

function progressOf(count: number): (mutant: Mutant, result: Result) => void {
  let done = 0;
  return ({ id }, { stage, outcome, by, what, ms }) => {
    if (stage === 'sim') done++;
    const why = outcome === 'killed' ? ` by ${by}: ${what}` : '';
    say(`${done}/${count} ${stage} ${outcome} (${(ms / 1000).toFixed(1)} s) ${id}${why}`);
  };
}

async function main(options: Options): Promise<number> {
  if (options.help) {
    print(USAGE);
    return 0;
  }
  const { mutants, texts } = readCatalog();
  const chosen = chosenOf(mutants, options);
  if (options.list) {
    for (const { id, line, before, after } of chosen) print(`${id}\n  line ${line}\n  - ${before}\n  + ${after}`);
    say(`${chosen.length} of ${mutants.length} mutants`);
    return 0;
  }
  const results = new ResultFile(join(BUILD, 'results.jsonl'), termsOf(options), options.resume);
  if (options.stage === 'tests' && findRedisServer() === undefined)
    say('neither redis-server nor valkey-server is on PATH: tests that need one do not run, and kill no mutant');
  const startMs = performance.now();
  const cover = await readCover(texts, options, say);
  await new Runner({ options, texts, results, cover, onResult: progressOf(chosen.length) }, chosen).runAll();
  const known = new Set(mutants.map(({ id }) => id));
  const report = reportOf({ known, tried: chosen, results: results.results, judged: readJudged() }, options);
  const seconds = Math.round((performance.now() - startMs) / 1000);
  for (const line of linesOf(report)) say(line);
  say(`${chosen.length} of ${mutants.length} mutants in ${seconds} s`);
  if (options.json) print(JSON.stringify({ seed: options.seed, count: chosen.length, of: mutants.length, seconds, ...report }));
  return report.faults.length === 0 ? 0 : 1;
}

async function run(): Promise<number> {
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      killAllGroups();
      process.exit(1);
    });
  try {
    return await main(optionsOf(process.argv.slice(2), availableParallelism()));
  } catch (error) {
    killAllGroups();
    if (error instanceof UsageError || error instanceof ResumeError) {
      say(error.message);
      return 2;
    }
    if (!(error instanceof BaselineError)) throw error;
    say(error.message);
    return 1;
  }
}

process.exitCode = await run();
