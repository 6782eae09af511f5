import {
  BOOLEAN,
  ERROR_TEST,
  type FieldSpec,
  field,
  HOST,
  integer,
  NAME,
  NON_EMPTY,
  NOTHING_YET,
  OPTIONS,
  oneOf,
  optionalField,
  REDIS_URL,
  TIMER_MS_MAX,
  TLS_OPTIONS,
} from './rules.js';
import type { BasePath } from './types.js';

const MS = { unit: 'ms' };
const S = { unit: 's' };
const PAYLOAD_BYTES_MAX = 512 * 1024 * 1024;
const later = (allowedNow: string, why: string, refuses: (value: unknown) => boolean) => ({
  later: { allowedNow, why, refuses },
});
const isGiven = () => true;

const inherited = { fallbackText: "the root's" };
const atLeastOne = integer(1);
const count = integer(0);
const waitMs = integer(0, TIMER_MS_MAX);
const periodMs = integer(1, TIMER_MS_MAX);
const backoff = oneOf('fixed', 'exponential');

/** All fields outside `grpc`. The compiler checks the table against the config types, so that no field is missing. */
export const BASE_FIELDS = {
  store: optionalField(
    oneOf('memory', 'redis'),
    "'memory' needs no server and forgets everything with the process; 'redis' survives it and joins several processes to one cluster.",
    { fallbackText: "'redis' if `redis` is given, else 'memory' (not in production)" },
  ),
  'redis.host': field(HOST, 'localhost', 'Host of the one Redis; keep it near, since each message waits for it.'),
  'redis.port': field(integer(1, 65_535), 6379, 'Port of the Redis.'),
  'redis.username': optionalField(NON_EMPTY, 'User of the ACL of Redis; without it the user is `default`.'),
  'redis.password': optionalField(NON_EMPTY, 'Take it from the environment, not from the code; it is never printed.', {
    secret: true,
  }),
  'redis.db': field(integer(0), 0, 'Database number; separate applications better by `keyPrefix`, which tools show.'),
  'redis.tls': optionalField(
    TLS_OPTIONS,
    'true for a certificate of a public authority, an object for your own; costs some latency.',
    {
      secret: true,
    },
  ),
  'redis.url': optionalField(
    REDIS_URL,
    'In place of host and port; in its user name and password, write `/ ? # %` as `%2F %3F %23 %25`.',
    {
      secret: true,
    },
  ),
  'redis.options': optionalField(
    OPTIONS,
    'Passed to ioredis, for instance `family` or `connectionName`; what the library depends on is refused by name.',
    { secret: true },
  ),
  'redis.sentinels': optionalField(NOTHING_YET, 'Not yet: failover loses acknowledged writes unless it is treated with care.', {
    secret: true,
    ...later('leave it out', 'Redis Sentinel is not supported yet; give `host` and `port` of the primary', isGiven),
  }),
  'redis.cluster': optionalField(NOTHING_YET, 'Not yet: a single Redis carries more messages than most clusters need.', {
    secret: true,
    ...later('leave it out', 'Redis Cluster is not supported yet; give `host` and `port` of a single Redis', isGiven),
  }),
  serverId: optionalField(NAME, 'See `grpc.serverId`: the same field.', { fallbackText: 'grpc.serverId' }),
  serviceGroup: optionalField(NAME, 'See `grpc.serviceGroup`: the same field.', { fallbackText: 'grpc.serviceGroup' }),
  keyPrefix: field(NAME, 'aq', 'One prefix is one cluster with one set of limits; give each application or stage its own.'),
  maxTotalWorkers: field(
    count,
    10_000,
    'Active entities per node, 0 = unbounded; raise it with the memory that their state takes.',
  ),
  maxTotalQueueDepth: field(
    count,
    100_000,
    'Waiting messages of the whole prefix, 0 = unbounded; raise it only with memory in the store for that many payloads.',
  ),
  verbose: field(BOOLEAN, false, 'A debug line per message and transition; costs throughput, so turn it on to find a fault.'),
  maxPayloadBytes: field(
    integer(1, PAYLOAD_BYTES_MAX),
    1_048_576,
    'Payload and headers of one message, at most `storeCallTimeoutMs` * 6250: large ones slow all behind them, so rather send a reference.',
    { unit: 'bytes' },
  ),
  maxConcurrentHandlers: field(
    count,
    1000,
    'Handlers that run at once on a node, 0 = unbounded; lower it to what the database behind them takes.',
  ),
  directExecution: field(
    oneOf('route', 'refuse', 'allow'),
    'route',
    "What `commandBus.execute` of an entity message does; 'allow' runs it beside the worker and gives up the order.",
  ),
  rethrowHttpExceptions: field(
    BOOLEAN,
    true,
    "Whether `commandBus.execute` and `queryBus.execute` reject with a handler's HttpException or error of http-errors; false: with the `AtomicQueuesError` that has it as `cause`.",
  ),
  onLeaseLost: field(
    oneOf('rejoin', 'exit'),
    'rejoin',
    "'exit' where an orchestrator restarts the process and a clean start is safer.",
  ),
  shutdownGraceMs: field(
    waitMs,
    10_000,
    'How long a stop waits for running handlers; keep it below the kill timeout of the orchestrator. An application that listens to the signal itself gets two such periods before that to close.',
    MS,
  ),
  enqueueTimeoutMs: field(
    periodMs,
    5000,
    'After this a caller is told OUTCOME_UNKNOWN; raise it to ride out longer store failovers.',
    MS,
  ),
  storeCallTimeoutMs: field(
    periodMs,
    1000,
    'One try of one store call; raise it for a distant store or large payloads, at most to `enqueueTimeoutMs`.',
    MS,
  ),
  partitions: field(integer(1, 1024), 1, '1 is fastest and keeps every limit exact; more are for Redis Cluster.', {
    fallbackText: '1 (16 on Redis Cluster)',
    ...later('1', 'several partitions come with Redis Cluster, which is not supported yet', (value) => value !== 1),
  }),
  'entities.<type>.defaultEntityId': optionalField(NON_EMPTY, 'Property that holds the id in messages without `@QueueEntityId`.'),
  'entities.<type>.onInterrupt': field(
    oneOf('dead-letter', 'retry'),
    'dead-letter',
    "'retry' only for handlers that may run twice; it needs `maxAttempts` of at least 2.",
  ),
  'entities.<type>.workerIdleTimeout': field(
    periodMs,
    30_000,
    'An idle worker leaves after this; raise it to spare claims on entities that come back, it costs memory.',
    MS,
  ),
  'entities.<type>.workerMaxQueueDepth': field(
    count,
    0,
    'Waiting messages of one entity, 0 = unbounded; a limit stops one hot entity from filling the store.',
  ),
  'entities.<type>.replyTimeout': field(
    periodMs,
    5000,
    'How long `enqueueAndWait` waits; raise it with the queue depth and handler time you accept.',
    MS,
  ),
  'entities.<type>.handlerTimeout': field(
    waitMs,
    0,
    'Then the signal of the handler aborts, 0 = never; the entity stays blocked until the handler ends, so pass the signal on.',
    { unit: 'ms', fallbackText: '0 (none)' },
  ),
  'entities.<type>.isTerminal': optionalField(
    ERROR_TEST,
    'Which errors are refusals for the caller to handle: no retry, no dead letter. A `TerminalError` always is one.',
    { fallbackText: 'an HttpException or error of http-errors below 500' },
  ),
  'entities.<type>.retry.maxAttempts': optionalField(atLeastOne, 'As `retry.maxAttempts`, for this type.', inherited),
  'entities.<type>.retry.backoff': optionalField(backoff, 'As `retry.backoff`, for this type.', inherited),
  'entities.<type>.retry.backoffDelay': optionalField(waitMs, 'As `retry.backoffDelay`, for this type.', { ...inherited, ...MS }),
  'entities.<type>.retry.maxDelay': optionalField(waitMs, 'As `retry.maxDelay`, for this type.', { ...inherited, ...MS }),
  'retry.maxAttempts': field(
    atLeastOne,
    1,
    'Raise it only for handlers that may run twice; while a message retries, its entity waits.',
  ),
  'retry.backoff': field(
    backoff,
    'exponential',
    "'fixed' for a quick local resource, 'exponential' for one that others overload too.",
  ),
  'retry.backoffDelay': field(waitMs, 1000, 'The first wait; the entity is blocked for it, others are not.', MS),
  'retry.maxDelay': optionalField(waitMs, 'The longest wait; lower it where a blocked entity hurts more than a busy resource.', {
    unit: 'ms',
    fallbackText: '30000, or `backoffDelay` if that is longer',
  }),
  'wal.enabled': field(
    BOOLEAN,
    true,
    'false keeps messages in this process only: for tests, refused with `grpc.enabled` and in production.',
  ),
  'wal.cleanupInterval': field(
    periodMs,
    5000,
    'How often terminal entries are removed; a longer interval keeps more memory in the store.',
    MS,
  ),
  'wal.entryTTL': field(
    integer(1, TIMER_MS_MAX),
    86_400,
    'How long an `id` of yours is recognised again; lower it when many such ids fill the store (about 66 bytes each).',
    S,
  ),
  'wal.resultTTL': field(
    integer(1, TIMER_MS_MAX),
    60,
    'How long a result waits for its caller; raise it for callers that come back late. With an `id` of yours it stays as long as the id, unless Redis runs out of memory: then large ones go after this time.',
    S,
  ),
  'wal.durability': field(
    oneOf('ack', 'fsync', 'replicated'),
    'ack',
    "What must have happened to a write before `enqueue` resolves; 'ack' is fastest.",
    {
      ...later("'ack'", 'the stronger levels are not supported yet', (value) => value !== 'ack'),
    },
  ),
  'deadLetters.max': field(
    count,
    0,
    'Dead letters of the whole prefix, 0 = unbounded; above it the oldest go, each named in a warning first. Give every service the same.',
  ),
  'deadLetters.ttl': field(
    integer(0, TIMER_MS_MAX),
    0,
    'Age after which a dead letter goes, 0 = never, with a warning first; longer than you need to notice and replay one.',
    S,
  ),
} as const satisfies Record<BasePath, FieldSpec<unknown>>;
