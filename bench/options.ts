/** The bench's command line. A wrong one is told in a line, and ends with exit 2. */
import { parseArgs } from 'node:util';
import { Fsync, Store, WORKLOADS, Workload } from './plan.js';

export interface BenchOptions {
  readonly workloads: readonly Workload[];
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
  --workload NAME          many, hot, reply, idle or cluster; several with commas (all)
  --store memory|redis     one store only (both)
  --fsync everysec|always  one setting of Redis only (both)
  --peers                  groupmq and BullMQ on the same work, and the floors against them (Redis)
  --rounds N               medians of N interleaved rounds, 1 to 99 (3)
  --scale F                fewer or more entities, messages and calls, 0.001 to 10 (1)
  --json                   one JSON object as the last line of standard output`;

const FIELDS = {
  workload: { type: 'string' },
  store: { type: 'string' },
  fsync: { type: 'string' },
  peers: { type: 'boolean' },
  rounds: { type: 'string' },
  scale: { type: 'string' },
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
  const workloads = (values.workload ?? WORKLOADS.join(',')).split(',').map((name) => oneOf('--workload', name, WORKLOADS));
  const rounds = number('--rounds', values.rounds ?? '3', 1, 99);
  if (!Number.isInteger(rounds)) throw new UsageError(`--rounds ${values.rounds}: must be a whole number`);
  const scale = number('--scale', values.scale ?? '1', 0.001, 10);
  return { workloads, stores, fsyncs, peers, rounds, scale, json: values.json ?? false, help: values.help ?? false };
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
