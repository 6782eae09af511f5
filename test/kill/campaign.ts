/** npm run campaign:kill: kill -9 an app on a real Redis many times, and check from its record that nothing went wrong. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalRedis } from '../../demo/local-redis.js';
import { findRedisServer } from '../../demo/machine.js';
import { checkAll } from './checkers.js';
import { Facts } from './facts.js';
import { type Fault, type FaultCounts, notMet } from './faults.js';
import type { Violation } from './history.js';
import { type CommandOptions, parseOptions, USAGE, UsageError } from './options.js';
import { runCampaign } from './runner.js';
import { summaryOf } from './summary.js';
import { timelineOf } from './timeline.js';

const TIMELINES_MAX = 5;
const PROGRESS_EVERY = 10;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(options: CommandOptions, binary: string): Promise<number> {
  const { kills, minutes, seed, apps, cluster } = options;
  const startMs = performance.now();
  const dir = mkdtempSync(join(tmpdir(), 'aq-kill-'));
  const redis = await startLocalRedis(binary, 'everysec');
  let violations: readonly Violation[] = [];
  let isDone = false;
  try {
    const faults: FaultCounts = {};
    const onFault = (done: number, fault: Fault): void => {
      faults[fault] = (faults[fault] ?? 0) + 1;
      if (done % PROGRESS_EVERY === 0) say(`${done} faults, ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    };
    const redisUrl = redis.url;
    const facts = new Facts(await runCampaign({ redisUrl, kills, minutes, seed, apps, cluster, dir, onFault }));
    const summary = summaryOf(facts);
    const missing = notMet(faults, summary).map((what): Violation => ({ invariant: 'campaign', entity: '', what }));
    violations = [...checkAll(facts), ...missing];
    const seconds = Number(((performance.now() - startMs) / 1000).toFixed(1));
    const result = { seed, apps, faults, ...summary, violations, seconds };
    for (const violation of violations.slice(0, TIMELINES_MAX)) tellViolation(facts, violation, options);
    say(summaryLine(result));
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    isDone = true;
  } finally {
    await redis.stop();
    if (isDone && violations.length === 0 && !options.keep) rmSync(dir, { recursive: true, force: true });
    else say(`the record is in ${dir}`);
  }
  return violations.length === 0 ? 0 : 1;
}

function tellViolation(facts: Facts, violation: Violation, { seed, kills, minutes, apps, cluster }: CommandOptions): void {
  say(`\nVIOLATED ${violation.invariant} ${violation.entity}: ${violation.what}`);
  const length = minutes === undefined ? `--kills ${kills}` : `--minutes ${minutes}`;
  say(`replay of the draws: npm run campaign:kill -- ${length} --seed ${seed} --apps ${apps}${cluster ? ' --cluster' : ''}`);
  for (const line of timelineOf(facts, violation)) say(line);
}

function summaryLine(
  result: ReturnType<typeof summaryOf> & {
    faults: FaultCounts;
    violations: readonly Violation[];
    seconds: number;
  },
): string {
  const { faults, messages, completed, failed, interrupted, withdrawn, unknown, violations, seconds } = result;
  return [
    `${shownFaults(faults)} in ${seconds} s: ${messages} messages accepted = ${completed} completed + ${failed} failed`,
    ` + ${interrupted} interrupted + ${withdrawn} withdrawn; ${unknown} calls unknown; ${violations.length} violations`,
  ].join('');
}

const shownFaults = (faults: FaultCounts): string =>
  Object.entries(faults)
    .map(([fault, count]) => `${count} ${fault}`)
    .join(', ');

async function run(): Promise<number> {
  try {
    const options = parseOptions(process.argv.slice(2));
    const binary = findRedisServer();
    if (binary === undefined) throw new UsageError('neither redis-server nor valkey-server is on PATH');
    return await main(options, binary);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`${error.message}\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await run();
