/**
 * npm run demo: 200 clients move money between the accounts of one bank. The first half uses bare @nestjs/cqrs, the second half
 * atomic-queues on one node or on several, with the same handlers. Exit 0: held, 1: violated or failed, 2: wrong usage.
 */
import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import { Bank } from './bank.js';
import { ClusterResult, runCluster } from './cluster.js';
import { LocalRedis, startLocalRedis } from './local-redis.js';
import { findRedisServer } from './machine.js';
import { NaiveResult, runNaive } from './naive.js';
import { DemoOptions, parseOptions, USAGE, UsageError } from './options.js';
import { QueuedResult, runQueued } from './queued.js';
import { forgetKeys } from './redis-keys.js';
import { clusterStory, naiveStory, Progress, queuedStory } from './report.js';

type Result = QueuedResult & Partial<Pick<ClusterResult, 'runsByNode' | 'killed'>>;

const OPENING_CENTS = 250_00;

async function runBoth(
  options: DemoOptions,
  redisUrl: string | undefined,
  say: (line: string) => void,
): Promise<[NaiveResult, Result]> {
  const { accounts, messages, seed } = options;
  const bank = (): Bank => new Bank(accounts, OPENING_CENTS, seed);

  const first = new Progress('without the library', messages);
  const naive = await runNaive(bank(), { accounts, messages, seed, onProgress: first.update });
  first.clear();
  for (const line of naiveStory(naive, accounts)) say(line);

  const keyPrefix = `aqdemo-${randomBytes(4).toString('hex')}`;
  const second = new Progress('with atomic-queues', messages);
  try {
    const workload = { accounts, messages, seed, onProgress: second.update };
    const { store, nodes, kill } = options;
    const queued: Result =
      nodes > 1 && redisUrl !== undefined
        ? await runCluster(bank(), { ...workload, nodes, kill, redisUrl, keyPrefix })
        : await runQueued(bank(), { ...workload, store, redisUrl, keyPrefix });
    second.clear();
    for (const line of [...queuedStory(queued, placeOf(options)), ...clusterStory(queued)]) say(line);
    return [naive, queued];
  } finally {
    second.clear();
    if (redisUrl !== undefined) await forgetKeys(redisUrl, keyPrefix);
  }
}

const placeOf = ({ nodes, store }: DemoOptions): string =>
  nodes > 1 ? `${nodes} nodes over gRPC, on Redis` : store === 'memory' ? 'memory store' : 'Redis';

function summary(options: DemoOptions, naive: NaiveResult, queued: Result): Record<string, unknown> {
  const { messages, completed, failed, interrupted, withdrawn, deadLetters, lostUpdates, overdrafts, balanceHeld } = queued;
  const outcome = { messages, completed, failed, interrupted, withdrawn, deadLetters, lostUpdates, overdrafts, balanceHeld };
  return {
    store: options.store,
    nodes: options.nodes,
    ...outcome,
    naive: { lostUpdates: naive.lostUpdates, overdrafts: naive.overdrafts },
    seconds: Number(queued.seconds.toFixed(3)),
    messagesPerSecond: Math.round(messages / queued.seconds),
    accounts: options.accounts,
    seed: options.seed,
    heldCents: queued.heldCents,
    runsByNode: queued.runsByNode,
    killed: queued.killed,
    violations: queued.violations.slice(0, 100),
  };
}

async function startOwnRedis(say: (line: string) => void): Promise<LocalRedis> {
  const binary = findRedisServer();
  if (!binary) {
    throw new UsageError(
      '--store redis: no redis-server or valkey-server on PATH; install one, or give --redis URL or REDIS_URL',
    );
  }
  const server = await startLocalRedis(binary, 'everysec');
  say(`Started a ${server.binary} of the demo's own on port ${server.port}, for this run only`);
  return server;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  const say = (line: string): void => void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  if (options.help) {
    say(USAGE);
    return 0;
  }
  const own = options.store === 'redis' && options.redisUrl === undefined ? await startOwnRedis(say) : undefined;
  try {
    const [naive, queued] = await runBoth(options, own?.url ?? options.redisUrl, say);
    if (options.json) process.stdout.write(`${JSON.stringify(summary(options, naive, queued))}\n`);
    return queued.violations.length === 0 && queued.balanceHeld ? 0 : 1;
  } finally {
    await own?.stop();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const usage = error instanceof UsageError;
    process.stderr.write(
      usage ? `demo: ${error.message}\n` : `demo failed: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    process.exitCode = usage ? 2 : 1;
  },
);
