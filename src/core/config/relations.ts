import { partsOfRedisUrl, whyOwned } from '../redis-options.js';
import { isObject } from './rules.js';
import type { ConfigEnvironment, ConfigPath } from './types.js';
import { type Findings, shown } from './validate.js';

/** Bytes per ms over the slowest link to the store that the checks assume: 100 Mbit/s. */
const LINK_BYTES_PER_MS = 12_500;

/** Returns the bytes that cross the link in half of a store call's time. The other half is for the store and its queue. */
export const crossesBytes = (storeCallTimeoutMs: number): number => (storeCallTimeoutMs / 2) * LINK_BYTES_PER_MS;

/** Checks relations between fields that are each correct, and adds what is wrong to the faults. */
export function checkRelations(input: unknown, found: Findings, environment: ConfigEnvironment): void {
  checkStore(input, found, environment);
  checkWal(found, environment);
  checkGrpc(input, found);
  checkTiming(found);
  checkSizes(found);
  checkDuplicates(found);
  checkRetry(found, 'retry.backoffDelay', 'retry.maxDelay', rootDelayMs(found), found.get('retry.maxDelay'));
  for (const type of found.entityTypes) checkEntity(found, type);
}

const isProduction = (environment: ConfigEnvironment): boolean => environment.nodeEnv === 'production';

function checkStore(input: unknown, found: Findings, environment: ConfigEnvironment): void {
  const hasRedis = isObject(input) && Object.hasOwn(input, 'redis');
  if (hasRedis && input.redis === undefined) {
    const why = 'a variable is probably not set; on a guess the messages would live in memory only';
    found.fault('redis', 'undefined', 'an object, or leave the key out', why);
  }
  if (found.isBad('config') || found.isBad('store')) return;
  const store = found.get('store');
  if (store === 'redis' && !hasRedis) found.fault('redis', 'nothing', 'an object', "`store: 'redis'` needs it");
  if (store === 'memory' && hasRedis) {
    found.fault(
      'store',
      "'memory'",
      "'redis', or leave out `redis`",
      '`redis` is given, so it is unclear where messages should live',
    );
  }
  if (store === undefined && !hasRedis && isProduction(environment)) {
    const why = "NODE_ENV is production and the memory store does not survive the process; `store: 'memory'` accepts that";
    found.fault('redis', 'nothing', "an object, or `store: 'memory'`", why);
  }
  checkRedis(found);
}

function checkRedis(found: Findings): void {
  const options = found.get('redis.options') ?? {};
  for (const [name, value] of Object.entries(options)) {
    const why = whyOwned(name);
    if (why !== undefined) found.fault(`redis.options.${name}`, shown(value, true), 'leave it out', why);
  }
  if (!found.has('redis.url')) return;
  const url = found.get('redis.url');
  const both = (allowed: string): void => found.fault('redis.url', shown(url ?? '', true), allowed, 'both are given');
  if (found.has('redis.host') || found.has('redis.port')) both('`url`, or `host` and `port`');
  if (url === undefined) return;
  const { hasCredentials, db } = partsOfRedisUrl(url);
  const given = ['redis.username', 'redis.password'].filter((path) => found.has(path));
  // The client would use the credentials of the URL, and one of the two may be empty there.
  if (hasCredentials && given.length > 0) both('user name and password in `url`, or as `redis.username` and `redis.password`');
  if (db !== undefined && found.isGiven('redis.db') && db !== found.get('redis.db'))
    both('the database in `url`, or as `redis.db`');
}

function checkWal(found: Findings, environment: ConfigEnvironment): void {
  if (found.get('wal.enabled')) return;
  const why = 'without it messages live in one process only and die with it';
  if (isProduction(environment)) found.fault('wal.enabled', 'false', 'true, since NODE_ENV is production', why);
  else if (found.get('grpc.enabled')) found.fault('wal.enabled', 'false', 'true, since `grpc.enabled` is true', why);
}

const TLS_PATHS = ['grpc.tls.ca', 'grpc.tls.cert', 'grpc.tls.key'] as const;

function checkGrpc(input: unknown, found: Findings): void {
  if (found.isBad('grpc.enabled') || !found.get('grpc.enabled')) return;
  const hasRedis = isObject(input) && Object.hasOwn(input, 'redis');
  if (!hasRedis && !found.isBad('store') && found.get('wal.enabled')) {
    const why = 'the nodes of a cluster share one store, and the memory store is of one process';
    found.fault('grpc.enabled', 'true', 'false, or give `redis`', why);
  }
  const missing = TLS_PATHS.filter((path) => !found.has(path) && !found.isBad(path));
  if (missing.length === 0 || missing.length === TLS_PATHS.length) return;
  for (const path of missing)
    found.fault(path, 'nothing', 'PEM text or its bytes', 'TLS is mutual: ca, cert and key go together');
}

function relation(found: Findings, paths: readonly ConfigPath[], holds: boolean, allowed: string, why: string): void {
  if (holds || paths.some((path) => found.isBad(path))) return;
  const got = paths.map((path) => `${path} ${found.get(path)}`).join(', ');
  found.fault(paths.find((path) => found.has(path)) ?? paths[0]!, got, allowed, why);
}

function checkTiming(found: Findings): void {
  const heartbeatMs = found.get('grpc.heartbeatMs');
  const nodeTTLMs = found.get('grpc.nodeTTLMs');
  relation(
    found,
    ['grpc.heartbeatMs', 'grpc.nodeTTLMs'],
    heartbeatMs * 3 < nodeTTLMs,
    'heartbeatMs * 3 < nodeTTLMs',
    'two lost heartbeats must not cost a live node its lease',
  );
  relation(
    found,
    ['grpc.leaseMarginMs', 'grpc.nodeTTLMs', 'grpc.heartbeatMs'],
    found.get('grpc.leaseMarginMs') < nodeTTLMs - heartbeatMs,
    'leaseMarginMs < nodeTTLMs - heartbeatMs',
    'else a healthy node has no time left in which it may work',
  );
  relation(
    found,
    ['grpc.leaderRenewalMs', 'grpc.leaderTTLMs'],
    found.get('grpc.leaderRenewalMs') < found.get('grpc.leaderTTLMs'),
    'leaderRenewalMs < leaderTTLMs',
    'else a healthy master lapses between renewals',
  );
  relation(
    found,
    ['storeCallTimeoutMs', 'enqueueTimeoutMs'],
    found.get('storeCallTimeoutMs') <= found.get('enqueueTimeoutMs'),
    'storeCallTimeoutMs <= enqueueTimeoutMs',
    'an enqueue must outlast one try of its store call',
  );
}

/** Checks the payload limit only if it is given. With the default limit, batches on a slow link are small and get more time. */
function checkSizes(found: Findings): void {
  if (!found.isGiven('maxPayloadBytes')) return;
  relation(
    found,
    ['maxPayloadBytes', 'storeCallTimeoutMs'],
    found.get('maxPayloadBytes') <= crossesBytes(found.get('storeCallTimeoutMs')),
    'maxPayloadBytes <= storeCallTimeoutMs * 6250',
    'at 100 Mbit/s a larger payload takes more than half of the time of a store call, and a call that takes longer fails',
  );
}

/** Checks that `serverId` and `serviceGroup`, which may be given in two places, have the same value in both. */
function checkDuplicates(found: Findings): void {
  for (const key of ['serverId', 'serviceGroup'] as const) {
    const duplicate = `grpc.${key}` as const;
    if (!found.has(key) || !found.has(duplicate) || found.isBad(key) || found.isBad(duplicate)) continue;
    const [root, inner] = [found.get(key), found.get(duplicate)];
    if (root !== inner)
      found.fault(key, `${shown(root)}, and ${duplicate} ${shown(inner)}`, 'the same value, or only one of the two');
  }
}

/** Returns `retry.backoffDelay` only if it is given: a default never causes a fault. */
const rootDelayMs = (found: Findings): number | undefined =>
  found.isGiven('retry.backoffDelay') ? found.get('retry.backoffDelay') : undefined;

function checkRetry(found: Findings, delayPath: string, maxPath: string, delayMs?: number, maxMs?: number): void {
  if (delayMs === undefined || maxMs === undefined || delayMs <= maxMs || found.isBad(delayPath) || found.isBad(maxPath)) return;
  const path = found.has(maxPath) ? maxPath : delayPath;
  found.fault(
    path,
    `backoffDelay ${delayMs}, maxDelay ${maxMs}`,
    'backoffDelay <= maxDelay',
    'the cap would cut even the first wait',
  );
}

function checkEntity(found: Findings, type: string): void {
  const interruptPath = found.entityPath(type, 'onInterrupt');
  const attemptsPath = found.entityPath(type, 'retry.maxAttempts');
  const attempts = found.getOfEntity(type, 'retry.maxAttempts') ?? found.get('retry.maxAttempts');
  const attemptsBad = found.isBad(attemptsPath) || found.isBad('retry.maxAttempts');
  if (found.getOfEntity(type, 'onInterrupt') === 'retry' && attempts === 1 && !attemptsBad) {
    const why = 'an interruption counts as an attempt, so nothing would be left to retry';
    found.fault(interruptPath, "'retry' with maxAttempts 1", "'dead-letter', or retry.maxAttempts of at least 2", why);
  }
  const [delayPath, maxPath] = [found.entityPath(type, 'retry.backoffDelay'), found.entityPath(type, 'retry.maxDelay')];
  if (!found.has(delayPath) && !found.has(maxPath)) return;
  const delayMs = found.getOfEntity(type, 'retry.backoffDelay') ?? rootDelayMs(found);
  checkRetry(found, delayPath, maxPath, delayMs, found.getOfEntity(type, 'retry.maxDelay') ?? found.get('retry.maxDelay'));
}
