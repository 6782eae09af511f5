import type { RetryPolicy } from '../retry.js';
import { crossesBytes } from './relations.js';
import type { ConfigEnvironment, EntitySettings, ResolvedConfig, ResolvedRedis } from './types.js';
import type { Findings } from './validate.js';

const MAX_DELAY_MS = 30_000;
const MS_PER_S = 1000;
const KEEPALIVE_MS_MIN = 10_000;

/** Returns the resolved config of findings without faults. */
export function resolvedOf(found: Findings, environment: ConfigEnvironment): ResolvedConfig {
  const redis = found.has('redis') ? redisOf(found) : undefined;
  const get = found.get.bind(found) as Findings['get'];
  const listenAddress = get('grpc.listenAddress');
  const { entitySettings } = entityTable(found);
  const config = {
    store: redis === undefined ? ('memory' as const) : ('redis' as const),
    redis,
    serverId: get('serverId') ?? get('grpc.serverId') ?? environment.generateServerId(),
    serviceGroup: get('serviceGroup') ?? get('grpc.serviceGroup'),
    keyPrefix: get('keyPrefix'),
    partitions: get('partitions'),
    verbose: get('verbose'),
    directExecution: get('directExecution'),
    rethrowHttpExceptions: get('rethrowHttpExceptions'),
    onLeaseLost: get('onLeaseLost'),
    shutdownGraceMs: get('shutdownGraceMs'),
    enqueueTimeoutMs: get('enqueueTimeoutMs'),
    storeCallTimeoutMs: get('storeCallTimeoutMs'),
    limits: limitsOf(found),
    configuredTypes: [...found.entityTypes],
    entitySettings,
    retry: rootRetry(found),
    wal: {
      enabled: get('wal.enabled'),
      cleanupIntervalMs: get('wal.cleanupInterval'),
      entryTTLMs: get('wal.entryTTL') * MS_PER_S,
      resultTTLMs: get('wal.resultTTL') * MS_PER_S,
      durability: get('wal.durability'),
    },
    deadLetters: { max: get('deadLetters.max'), ttlMs: get('deadLetters.ttl') * MS_PER_S },
    ...clusterOf(found),
    grpc: {
      enabled: get('grpc.enabled'),
      listenAddress,
      advertisedAddress:
        get('grpc.advertisedAddress') ?? `${environment.hostname}${listenAddress.slice(listenAddress.lastIndexOf(':'))}`,
      tls: tlsOf(found),
      authToken: get('grpc.authToken'),
      keepaliveTimeMs: get('grpc.keepaliveTimeMs'),
      keepaliveTimeoutMs: get('grpc.keepaliveTimeoutMs'),
    },
  };
  return { ...config, notices: noticesOf(config, found.has('store')) };
}

function limitsOf(found: Findings): ResolvedConfig['limits'] {
  return {
    workersMax: found.get('maxTotalWorkers'),
    queueDepthMax: found.get('maxTotalQueueDepth'),
    concurrentHandlersMax: found.get('maxConcurrentHandlers'),
    concurrentPetitionsMax: found.get('grpc.maxConcurrentPetitions'),
    payloadBytesMax: found.get('maxPayloadBytes'),
    sendsBytesMax: Math.max(found.get('maxPayloadBytes'), crossesBytes(found.get('storeCallTimeoutMs'))),
    forwardHopsMax: found.get('grpc.maxForwardHops'),
  };
}

function clusterOf(found: Findings): Pick<ResolvedConfig, 'timing' | 'health' | 'breaker' | 'deadlines'> {
  return {
    timing: {
      heartbeatMs: found.get('grpc.heartbeatMs'),
      nodeTTLMs: found.get('grpc.nodeTTLMs'),
      reconcileIntervalMs: found.get('grpc.reconcileIntervalMs'),
      leaderTTLMs: found.get('grpc.leaderTTLMs'),
      leaderRenewalMs: found.get('grpc.leaderRenewalMs'),
      leaderDebounceMs: found.get('grpc.leaderDebounceMs'),
      takeoverHoldMs: found.get('grpc.takeoverHoldMs') ?? found.get('grpc.nodeTTLMs'),
      leaseMarginMs: found.get('grpc.leaseMarginMs'),
      loopStallLimitMs: found.get('grpc.loopStallLimitMs'),
    },
    health: {
      peerMonitorEnabled: found.get('grpc.peerMonitorEnabled'),
      peerSuspectDebounceMs: found.get('grpc.peerSuspectDebounceMs'),
      storeCheckMs: found.get('grpc.redisHealthCheckMs'),
      storeFailureThreshold: found.get('grpc.redisHealthFailureThreshold'),
    },
    breaker: {
      failureThreshold: found.get('grpc.circuitBreakerFailureThreshold'),
      cooldownMs: found.get('grpc.circuitBreakerCooldownMs'),
    },
    deadlines: {
      forwardMs: found.get('grpc.deadlines.forwardMs'),
      pingMs: found.get('grpc.deadlines.pingMs'),
      andWaitMs: found.get('grpc.deadlines.andWaitMs'),
      syncMs: found.get('grpc.deadlines.syncMs'),
      connectivityWatchMs: found.get('grpc.deadlines.connectivityWatchMs'),
    },
  };
}

function redisOf(found: Findings): ResolvedRedis {
  const given = {
    ...{ username: found.get('redis.username'), password: found.get('redis.password') },
    ...{ tls: found.get('redis.tls'), options: found.get('redis.options') },
  };
  const optional = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<typeof given>;
  const url = found.get('redis.url');
  if (url !== undefined) return { url, ...(found.has('redis.db') && { db: found.get('redis.db') }), ...optional };
  // Removes the brackets of an IPv6 address: they belong to URLs, and name resolution does not accept them.
  const host = found.get('redis.host').replace(/^\[|\]$/g, '');
  return { host, port: found.get('redis.port'), db: found.get('redis.db'), ...optional };
}

function tlsOf(found: Findings): ResolvedConfig['grpc']['tls'] {
  const [ca, cert, key] = [found.get('grpc.tls.ca'), found.get('grpc.tls.cert'), found.get('grpc.tls.key')];
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
}

function rootRetry(found: Findings): RetryPolicy {
  const backoffDelayMs = found.get('retry.backoffDelay');
  return Object.freeze({
    maxAttempts: found.get('retry.maxAttempts'),
    backoff: found.get('retry.backoff'),
    backoffDelayMs,
    maxDelayMs: found.get('retry.maxDelay') ?? Math.max(MAX_DELAY_MS, backoffDelayMs),
  });
}

function entityTable(found: Findings): Pick<ResolvedConfig, 'entitySettings'> {
  // "" is not an entity type, so no field is given for it, and lookups return the defaults.
  const defaults = settingsOf(found, '');
  const table = new Map(found.entityTypes.map((type) => [type, settingsOf(found, type)]));
  return { entitySettings: (type) => table.get(type) ?? defaults };
}

function settingsOf(found: Findings, type: string): EntitySettings {
  const root = rootRetry(found);
  const backoffDelayMs = found.getOfEntity(type, 'retry.backoffDelay') ?? root.backoffDelayMs;
  const maxDelayMs = found.getOfEntity(type, 'retry.maxDelay') ?? found.get('retry.maxDelay');
  return Object.freeze({
    defaultEntityId: found.getOfEntity(type, 'defaultEntityId'),
    onInterrupt: found.getOfEntity(type, 'onInterrupt'),
    workerIdleTimeoutMs: found.getOfEntity(type, 'workerIdleTimeout'),
    workerMaxQueueDepth: found.getOfEntity(type, 'workerMaxQueueDepth'),
    replyTimeoutMs: found.getOfEntity(type, 'replyTimeout'),
    handlerTimeoutMs: found.getOfEntity(type, 'handlerTimeout'),
    isTerminal: found.getOfEntity(type, 'isTerminal'),
    retry: Object.freeze({
      maxAttempts: found.getOfEntity(type, 'retry.maxAttempts') ?? root.maxAttempts,
      backoff: found.getOfEntity(type, 'retry.backoff') ?? root.backoff,
      backoffDelayMs,
      maxDelayMs: maxDelayMs ?? Math.max(MAX_DELAY_MS, backoffDelayMs),
    }),
  });
}

type Noted = Pick<ResolvedConfig, 'store' | 'wal' | 'grpc'>;

/** Returns the notices to log at start: settings that are legal but need attention. */
export function noticesOf({ store, wal, grpc }: Noted, storeGiven: boolean): string[] {
  const notices: string[] = [];
  if (store === 'memory' && !storeGiven) {
    notices.push(
      "neither `redis` nor `store` is given: messages live in memory and do not survive the process (`store: 'memory'` says so)",
    );
  }
  if (!wal.enabled) notices.push('`wal.enabled` is false: messages live in this process only and die with it; for tests');
  if (grpc.keepaliveTimeMs < KEEPALIVE_MS_MIN) {
    notices.push(
      `\`grpc.keepaliveTimeMs\` is ${grpc.keepaliveTimeMs}: servers refuse pings more often than every ${KEEPALIVE_MS_MIN} ms`,
    );
  }
  if (grpc.enabled && grpc.tls === undefined && grpc.authToken === undefined && !isLoopback(grpc.listenAddress)) {
    notices.push(
      `gRPC listens on ${grpc.listenAddress} with neither \`grpc.tls\` nor \`grpc.authToken\`: anyone who reaches it can send messages`,
    );
  }
  return notices;
}

const isLoopback = (address: string): boolean => /^(127\.[0-9.]+|localhost|\[::1\]):/.test(address);
