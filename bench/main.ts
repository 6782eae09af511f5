/** npm run bench: speed and memory, on both stores, beside peers on demand. Exit 0: held, 1: a floor or a run failed, 2: wrong usage. */
import { judge } from './floors.js';
import { BenchOptions, parseOptions, USAGE, UsageError } from './options.js';
import { floorLine, label, machine, runLine, table, versions, workloadsJson } from './report.js';
import { Run, runAll } from './runner.js';
import { installPeers } from './sides/peers.js';
import { Summary } from './summary.js';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Whatever is fast because it breaks the promise is not fast. */
function broken(run: Run): string[] {
  if (run.error !== undefined) return [`${label(run.series)}: ${run.error}`];
  if (run.series.side !== 'atomic-queues' || !run.outcome) return [];
  const { disorder, repeats, overlap } = run.outcome.counts;
  if (disorder + repeats + overlap === 0) return [];
  return [`${label(run.series)}: ${disorder} out of order, ${repeats} repeated, ${overlap} overlapping`];
}

async function bench(options: BenchOptions): Promise<number> {
  if (options.peers) installPeers(say);
  const { runs, redisVersion } = await runAll(options, (run) => say(runLine(run)));
  const summary = new Summary(runs);
  const floors = judge(summary);
  const errors = runs.flatMap(broken);
  say('');
  for (const line of [...table(summary.rows), '', ...floors.map(floorLine)]) say(line);
  for (const error of errors) say(`FAILED ${error}`);
  if (options.json) {
    const { rounds, scale } = options;
    const found = {
      machine: machine(),
      versions: versions(redisVersion, options.peers),
      rounds,
      scale,
      ...workloadsJson(summary),
      floors,
      errors,
    };
    process.stdout.write(`${JSON.stringify(found)}\n`);
  }
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
