/**
 * npm run bench: measures speed, memory and growth on both stores, on request beside peers. Exit 0: all held, 1: a floor or a run
 * failed, 2: wrong usage.
 */
import { judge } from './floors.js';
import { BenchOptions, parseOptions, USAGE, UsageError } from './options.js';
import { floorLine, label, machine, runLine, table, versions, workloadsJson } from './report.js';
import { Bench, Run, runAll } from './runner.js';
import { slopeFloors, slopesJson, slopesOf, slopeTable } from './scale/limits.js';
import { Measured, runScale } from './scale/runner.js';
import { installPeers } from './sides/peers.js';
import { Summary } from './summary.js';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Returns what is wrong with a run: its error, or the guarantees that it broke. A run that is fast because it breaks them does
 * not count.
 */
function broken(run: Run): string[] {
  if (run.error !== undefined) return [`${label(run.series)}: ${run.error}`];
  if (run.series.side !== 'atomic-queues' || !run.outcome) return [];
  const { disorder, repeats, overlap } = run.outcome.counts;
  if (disorder + repeats + overlap === 0) return [];
  return [`${label(run.series)}: ${disorder} out of order, ${repeats} repeated, ${overlap} overlapping`];
}

const NOT_RUN: Bench = { runs: [], redisVersion: undefined };
const NOT_MEASURED: Measured = { samples: [], errors: [], redisVersion: undefined };

async function bench(options: BenchOptions): Promise<number> {
  if (options.peers) installPeers(say);
  const { runs, redisVersion } = options.workloads.length > 0 ? await runAll(options, (run) => say(runLine(run))) : NOT_RUN;
  const scaled = options.sizes.length > 0 ? await runScale(options, say) : NOT_MEASURED;
  const summary = new Summary(runs);
  const slopes = slopesOf(scaled.samples);
  const floors = [...judge(summary), ...slopeFloors(slopes)];
  const errors = [...runs.flatMap(broken), ...scaled.errors];
  say('');
  if (runs.length > 0) for (const line of [...table(summary.rows), '']) say(line);
  if (slopes.length > 0) for (const line of [...slopeTable(slopes), '']) say(line);
  for (const floor of floors) say(floorLine(floor));
  for (const error of errors) say(`FAILED ${error}`);
  const found = {
    machine: machine(),
    versions: versions(redisVersion ?? scaled.redisVersion, options.peers),
    rounds: options.rounds,
    scale: options.scale,
    ...workloadsJson(summary),
    ...(slopes.length > 0 && { slopes: slopesJson(slopes) }),
    floors,
    errors,
  };
  if (slopes.length > 0)
    say(`${JSON.stringify(found.machine)} ${JSON.stringify(found.versions)}, medians of ${options.rounds} rounds`);
  if (options.json) process.stdout.write(`${JSON.stringify(found)}\n`);
  return errors.length === 0 && floors.every(({ held }) => held) ? 0 : 1;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options.help) return bench(options);
  say(USAGE);
  return 0;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const usage = error instanceof UsageError;
    say(
      usage
        ? `bench: ${error.message}`
        : `bench failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    process.exitCode = usage ? 2 : 1;
  },
);
