/** npm run campaign:kill: kill -9 an app on a real Redis many times, and check from its record that nothing went wrong. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalRedis } from '../../demo/local-redis.js';
import { findRedisServer } from '../../demo/machine.js';
import { checkAll } from './checkers.js';
import { Facts } from './facts.js';
import type { Violation } from './history.js';
import { type CommandOptions, parseOptions, USAGE, UsageError } from './options.js';
import { runCampaign } from './runner.js';
import { summaryOf } from './summary.js';
import { timelineOf } from './timeline.js';

const TIMELINES_MAX = 5;
const PROGRESS_EVERY = 10;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(options: CommandOptions, binary: string): Promise<number> {
  const { kills, seed, apps } = options;
  const startMs = performance.now();
  const dir = mkdtempSync(join(tmpdir(), 'aq-kill-'));
  const redis = await startLocalRedis(binary, 'everysec');
  let violations: readonly Violation[] = [];
  let isDone = false;
  try {
    const onKill = (done: number): void => {
      if (done % PROGRESS_EVERY === 0) say(`${done} of ${kills} kills, ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    };
    const facts = new Facts(await runCampaign({ redisUrl: redis.url, kills, seed, apps, dir, onKill }));
    violations = checkAll(facts);
    const seconds = Number(((performance.now() - startMs) / 1000).toFixed(1));
    const result = { seed, apps, ...summaryOf(facts), violations, seconds };
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

function tellViolation(facts: Facts, violation: Violation, { seed, kills, apps }: CommandOptions): void {
  say(`\nVIOLATED ${violation.invariant} ${violation.entity}: ${violation.what}`);
  say(`replay of the draws: npm run campaign:kill -- --kills ${kills} --seed ${seed} --apps ${apps}`);
  for (const line of timelineOf(facts, violation)) say(line);
}

function summaryLine(result: ReturnType<typeof summaryOf> & { violations: readonly Violation[]; seconds: number }): string {
  const { kills, messages, completed, failed, interrupted, withdrawn, unknown, violations, seconds } = result;
  return [
    `${kills} kills in ${seconds} s: ${messages} messages accepted = ${completed} completed + ${failed} failed`,
    ` + ${interrupted} interrupted + ${withdrawn} withdrawn; ${unknown} calls unknown; ${violations.length} violations`,
  ].join('');
}

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
