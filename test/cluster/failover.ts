/** npm run campaign:failover: how long entities stand still when their node is killed, with default timings on a real Redis. */
import { parseArgs } from 'node:util';
import { startLocalRedis } from '../../demo/local-redis.js';
import { findRedisServer } from '../../demo/machine.js';
import { type Failover, type Found, measureFailovers } from './failover-campaign.js';

const USAGE = `npm run campaign:failover -- [options]
  --kills N   kills of the master, and as many of another node, 1 to 1000 (20)
  --seed N    at which moments, and whom (1)
  --json      one JSON object as the last line of standard output`;

const NODE_TTL_MS = 1500;
const HEARTBEAT_MS = 400;
const TAKEOVER_HOLD_MS = NODE_TTL_MS;
const SLACK_MS = 500;
/** A dead node is noticed within its TTL and two heartbeats; what stood beside a running handler is held besides. */
const IDLE_MS_MAX = NODE_TTL_MS + 2 * HEARTBEAT_MS + SLACK_MS;
const BUSY_MS_MAX = IDLE_MS_MAX + TAKEOVER_HOLD_MS;
const PROGRESS_EVERY = 5;

class UsageError extends Error {
  override readonly name = 'UsageError';
}

interface Spread {
  readonly medianMs: number;
  readonly maxMs: number;
}

export interface FailoverSummary {
  readonly kills: number;
  readonly bounds: { readonly idleMs: number; readonly busyMs: number };
  readonly master: { readonly idle: Spread; readonly busy: Spread; readonly newMaster: Spread };
  readonly replica: { readonly idle: Spread; readonly busy: Spread };
  /** For entities whose owner lives, while another node was dead. */
  readonly otherCalls: { readonly count: number; readonly errors: number; readonly maxMs: number };
  readonly violations: readonly string[];
  readonly seconds: number;
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

function spreadOf(values: readonly (number | undefined)[]): Spread {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const at = (index: number): number => Math.round(sorted[index] ?? Number.NaN);
  const middle = Math.floor(sorted.length / 2);
  const medianMs = sorted.length % 2 === 1 ? at(middle) : Math.round((at(middle - 1) + at(middle)) / 2);
  return { medianMs, maxMs: at(sorted.length - 1) };
}

function tooSlow({ victim, idleMs, busyMs }: Failover): string[] {
  const faults: string[] = [];
  if (idleMs > IDLE_MS_MAX) faults.push(`${victim}: idle entities after ${Math.round(idleMs)} ms, at most ${IDLE_MS_MAX}`);
  if (busyMs > BUSY_MS_MAX)
    faults.push(`${victim}: an interrupted entity after ${Math.round(busyMs)} ms, at most ${BUSY_MS_MAX}`);
  return faults;
}

function summaryOf(found: Found, kills: number, seconds: number): FailoverSummary {
  const { failovers, otherCalls, otherFailures, otherMsMax } = found;
  const of = (victim: Failover['victim'], what: 'idleMs' | 'busyMs' | 'newMasterMs'): Spread =>
    spreadOf(failovers.filter((failover) => failover.victim === victim).map((failover) => failover[what]));
  const failures = otherFailures.map((text) => `a caller was told an error though the owner lives: ${text}`);
  return {
    kills,
    bounds: { idleMs: IDLE_MS_MAX, busyMs: BUSY_MS_MAX },
    master: { idle: of('master', 'idleMs'), busy: of('master', 'busyMs'), newMaster: of('master', 'newMasterMs') },
    replica: { idle: of('replica', 'idleMs'), busy: of('replica', 'busyMs') },
    otherCalls: { count: otherCalls, errors: otherFailures.length, maxMs: Math.round(otherMsMax) },
    violations: [...found.violations, ...failures, ...failovers.flatMap(tooSlow)],
    seconds,
  };
}

function tell({ master, replica, otherCalls, violations, bounds }: FailoverSummary): void {
  const row = (what: string, { medianMs, maxMs }: Spread, max?: number): void =>
    say(`${what.padEnd(40)} median ${medianMs} ms, max ${maxMs} ms${max === undefined ? '' : ` (must be <= ${max})`}`);
  for (const [name, { idle, busy }] of Object.entries({ master, replica })) {
    row(`${name} killed, entity that was idle`, idle, bounds.idleMs);
    row(`${name} killed, entity that ran`, busy, bounds.busyMs);
  }
  row('until another is master', master.newMaster);
  const { count, errors, maxMs } = otherCalls;
  say(`${count} calls meanwhile for entities whose owner lived: ${errors} errors, the longest took ${maxMs} ms`);
  for (const violation of violations) say(`VIOLATED ${violation}`);
}

interface CommandOptions {
  readonly kills: number;
  readonly seed: number;
  readonly json: boolean;
}

function parse(args: string[]): CommandOptions {
  const whole = (name: string, text: string, min: number, max: number): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new UsageError(`${name} ${text}: must be a whole number from ${min} to ${max}`);
  };
  let values: { kills?: string; seed?: string; json?: boolean };
  try {
    values = parseArgs({
      args,
      options: { kills: { type: 'string' }, seed: { type: 'string' }, json: { type: 'boolean' } },
      strict: true,
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
  }
  return {
    kills: whole('--kills', values.kills ?? '20', 1, 1000),
    seed: whole('--seed', values.seed ?? '1', 0, 0xffffffff),
    json: values.json ?? false,
  };
}

async function main({ kills, seed, json }: CommandOptions): Promise<number> {
  const binary = findRedisServer();
  if (binary === undefined) throw new UsageError('neither redis-server nor valkey-server is on PATH');
  const redis = await startLocalRedis(binary, 'everysec');
  const startMs = performance.now();
  try {
    const onKill = (done: number): void => {
      if (done % PROGRESS_EVERY === 0)
        say(`${done} of ${2 * kills} kills, ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    };
    const found = await measureFailovers({ redisUrl: redis.url, kills, seed, onKill });
    const summary = summaryOf(found, kills, Number(((performance.now() - startMs) / 1000).toFixed(1)));
    tell(summary);
    if (json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return summary.violations.length === 0 ? 0 : 1;
  } finally {
    await redis.stop();
  }
}

async function run(): Promise<number> {
  try {
    return await main(parse(process.argv.slice(2)));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`${error.message}\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await run();
