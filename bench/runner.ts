/**
 * Runs all measurements. Rounds are the outer loop and sides the inner one, so that a slow minute of the machine affects all
 * sides alike.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { LocalRedis, startLocalRedis } from '../demo/local-redis.js';
import { findRedisServer } from '../demo/machine.js';
import { forked } from './forked.js';
import { BenchOptions, UsageError } from './options.js';
import { ChildAnswer, Fsync, Job, jobsOf, Outcome, Series, Store, seriesOf } from './plan.js';

export interface Run {
  readonly series: Series;
  readonly round: number;
  readonly outcome: Outcome | undefined;
  readonly error: string | undefined;
}

export interface Bench {
  readonly runs: readonly Run[];
  readonly redisVersion: string | undefined;
}

interface Place {
  readonly store: Store;
  readonly fsync: Fsync | undefined;
  readonly server: LocalRedis | undefined;
}

export async function runAll(options: BenchOptions, onRun: (run: Run) => void): Promise<Bench> {
  const places = await start(options);
  const runs: Run[] = [];
  try {
    const redisVersion = await versionOf(places);
    for (let round = 0; round < options.rounds; round++) {
      for (const place of places) {
        for (const series of seriesOf(options.workloads, place.store, place.fsync, options.peers)) {
          const run = await measure(series, round, place.server?.port, options.scale);
          runs.push(run);
          onRun(run);
        }
      }
    }
    return { runs, redisVersion };
  } finally {
    await Promise.all(places.map(({ server }) => server?.stop()));
  }
}

async function start({ stores, fsyncs }: BenchOptions): Promise<Place[]> {
  const places: Place[] = [];
  if (stores.includes('memory')) places.push({ store: 'memory', fsync: undefined, server: undefined });
  if (!stores.includes('redis')) return places;
  for (const fsync of fsyncs) places.push({ store: 'redis', fsync, server: await startServer(fsync) });
  return places;
}

/** Starts a Redis server for this run. Throws a UsageError if there is no program for it. */
export async function startServer(fsync: Fsync): Promise<LocalRedis> {
  const binary = findRedisServer();
  if (!binary) throw new UsageError('no redis-server or valkey-server on PATH; install one, or run with --store memory');
  return startLocalRedis(binary, fsync);
}

async function measure(series: Series, round: number, redisPort: number | undefined, scale: number): Promise<Run> {
  let outcome: Outcome | undefined;
  for (const job of jobsOf(series.side, series.workload, redisPort, scale)) {
    if (redisPort !== undefined) await emptied(redisPort);
    const answer = await child(job);
    if ('error' in answer) return { series, round, outcome: undefined, error: answer.error };
    outcome = { ...outcome, ...answer.outcome };
  }
  return { series, round, outcome, error: undefined };
}

async function emptied(port: number): Promise<void> {
  const admin = new Redis({ port });
  await admin.flushall();
  admin.disconnect();
  await sleep(300);
}

async function versionOf(places: readonly Place[]): Promise<string | undefined> {
  const server = places.find((place) => place.server)?.server;
  return server && versionOfServer(server);
}

export async function versionOfServer(server: LocalRedis): Promise<string | undefined> {
  const admin = new Redis({ port: server.port });
  const version = /(?:valkey|redis)_version:(\S+)/.exec(await admin.info('server'))?.[1];
  admin.disconnect();
  return version === undefined ? undefined : `${server.binary} ${version}`;
}

function child(job: Job): Promise<ChildAnswer> {
  // Suppresses Node's warnings about the code of a peer.
  const env = job.side === 'atomic-queues' ? process.env : { ...process.env, NODE_NO_WARNINGS: '1' };
  return forked<Job, ChildAnswer>(new URL('./child.js', import.meta.url), job, env);
}
