/** The command line of the bench. Wrong usage is reported in one line and ends with exit 2. */
import { parseArgs } from 'node:util';
import { Fsync, Store, WORKLOADS, Workload } from './plan.js';
import { SIZES } from './scale/plan.js';

export interface BenchOptions {
  /** Workloads to run, without `scale`, which has a runner of its own. */
  readonly workloads: readonly Workload[];
  /** Values of n for workload `scale`. Empty: it is not run. */
  readonly sizes: readonly number[];
  readonly stores: readonly Store[];
  readonly fsyncs: readonly Fsync[];
  readonly peers: boolean;
  readonly rounds: number;
  readonly scale: number;
  readonly json: boolean;
  readonly help: boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `npm run bench -- [options]
  --workload NAME          many, hot, reply, idle, cluster or scale; several with commas (all but scale)
                           scale: the cost of one item at n = 10^3, 10^4 and 10^5, and its growth (25 minutes)
  --store memory|redis     one store only (both)
  --fsync everysec|always  one setting of Redis only (both)
  --peers                  groupmq and BullMQ on the same work, and the floors against them (Redis)
  --rounds N               medians of N interleaved rounds, 1 to 99 (3)
  --scale F                fewer or more entities, messages and calls, 0.001 to 10 (1); not of workload scale
  --n-max N                the largest n of workload scale: 1000, 10000 or 100000 (100000)
  --json                   one JSON object as the last line of standard output`;

const FIELDS = {
  workload: { type: 'string' },
  store: { type: 'string' },
  fsync: { type: 'string' },
  peers: { type: 'boolean' },
  rounds: { type: 'string' },
  scale: { type: 'string' },
  'n-max': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

export function parseOptions(argv: readonly string[]): BenchOptions {
  const values = read(argv);
  const stores =
    values.store === undefined ? (['memory', 'redis'] as const) : [oneOf('--store', values.store, ['memory', 'redis'])];
  const fsyncs =
    values.fsync === undefined ? (['everysec', 'always'] as const) : [oneOf('--fsync', values.fsync, ['everysec', 'always'])];
  const peers = values.peers ?? false;
  if (!stores.includes('redis') && (peers || values.fsync !== undefined)) {
    throw new UsageError(`--store memory goes without ${peers ? '--peers' : '--fsync'}: that is about Redis`);
  }
  const named = (values.workload ?? WORKLOADS.join(',')).split(',');
  const chosen = named.map((name) => oneOf('--workload', name, [...WORKLOADS, 'scale'] as const));
  const workloads = chosen.filter((name) => name !== 'scale');
  const nMax = Number(oneOf('--n-max', values['n-max'] ?? String(SIZES.at(-1)), SIZES.map(String)));
  const sizes = chosen.includes('scale') ? SIZES.filter((n) => n <= nMax) : [];
  if (sizes.length === 0 && values['n-max'] !== undefined) throw new UsageError('--n-max goes with --workload scale only');
  const rounds = number('--rounds', values.rounds ?? '3', 1, 99);
  if (!Number.isInteger(rounds)) throw new UsageError(`--rounds ${values.rounds}: must be a whole number`);
  const scale = number('--scale', values.scale ?? '1', 0.001, 10);
  const { json = false, help = false } = values;
  return { workloads, sizes, stores, fsyncs, peers, rounds, scale, json, help };
}

function read(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FIELDS, strict: true }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message.split('\n')[0] : String(error)}; --help lists the options`);
  }
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw new UsageError(`${name} ${value}: must be one of ${allowed.join(', ')}`);
  return found;
}

function number(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max))
    throw new UsageError(`${name} ${text}: must be a number from ${min} to ${max}`);
  return value;
}
