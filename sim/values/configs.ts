/** Draws configurations: valid ones, and ones with exactly one fault, with the field that the refusal must name. */
import { CONFIG_FIELDS } from '../../src/core/config.js';
import type { Stream } from '../sim-random.js';

export interface DrawnConfig {
  readonly config: Readonly<Record<string, unknown>>;
  readonly nodeEnv?: string;
  /** Left out: the configuration is valid. */
  readonly fault?: {
    /** Path of the field that the refusal must name. */
    readonly path: string;
    /** A part of the refusal's text about this field. */
    readonly says?: string;
  };
}

/** A value that no message may show. */
export const SECRET = 's3cret';

type Config = Readonly<Record<string, unknown>>;

/** Returns the config with a value at that path. */
export function withValue(path: string, value: unknown, base: Config = {}): Config {
  const [key = '', ...rest] = path.split('.');
  const inner = (base[key] ?? {}) as Config;
  return { ...base, [key]: rest.length === 0 ? value : withValue(rest.join('.'), value, inner) };
}

const TYPE = 'order';
const pathOf = (path: string): string => path.replace('<type>', TYPE);

/** Fields with relations to others, or that need others. Their bounds are drawn separately. */
const RELATED = new Set([
  'redis.sentinels',
  'redis.cluster',
  'wal.durability',
  'partitions',
  'store',
  'redis.url',
  'redis.options',
]);
const FIELDS = CONFIG_FIELDS.filter(({ path }) => !RELATED.has(path));

const bounds = (allowed: string): readonly [min: number, max: number] | undefined => {
  const match = /^an integer (?:of at least (\d+)|from (\d+) to (\d+))$/.exec(allowed);
  if (match === null) return undefined;
  return [Number(match[1] ?? match[2]), Number(match[3] ?? Number.MAX_SAFE_INTEGER)];
};

/** Misspelt names with two edits, or of a short name: some are near enough for a suggestion, others are not. */
const DISTANT: readonly (readonly [written: string, meant: string | undefined])[] = [
  ['sreverId', 'serverId'],
  ['retri', 'retry'],
  ['rtery', 'retry'],
  ['waal', 'wal'],
  ['grrrpc', 'grpc'],
  ['maxTotalQueDpth', 'maxTotalQueueDepth'],
  ['shutdownTimeoutMs', undefined],
  ['qx', undefined],
  ['abcde', undefined],
];

/** Draws a value that is wrong without regard to other fields, by the table of config fields. */
function wrongValue(stream: Stream, allowed: string): unknown {
  const limits = bounds(allowed);
  if (limits !== undefined) return stream.pick([limits[0] - 1, limits[1] + 1, limits[0] + 0.5, `${limits[0]}`, Number.NaN, true]);
  if (allowed === 'true or false') return stream.pick<unknown>([0, 1, 'true', {}]);
  if (allowed.startsWith("'")) return stream.pick<unknown>(['', 'none', 1, ' fixed']);
  if (allowed.startsWith('a function')) return stream.pick<unknown>([true, 'x', {}]);
  return stream.pick<unknown>(['', 5, [], () => 1]);
}

/** Returns how a refusal shows a wrong value. */
function shownAs(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object') return value === null ? 'null' : 'an object';
  return typeof value === 'string' ? JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value) : String(value);
}

/** Fields whose values are secrets. */
const SECRETS = /^(redis\.(password|tls|url|options)|grpc\.(tls\..*|authToken))$/;

function wrongField(stream: Stream): DrawnConfig {
  const { path, allowed } = stream.pick(FIELDS);
  const value = stream.chance(0.8)
    ? wrongValue(stream, allowed)
    : stream.pick<unknown>([null, Symbol('s'), 'x'.repeat(stream.pick([80, 81]))]);
  const isFree =
    allowed.startsWith('a string') ||
    allowed.startsWith('PEM') ||
    allowed.startsWith('1 to 128') ||
    allowed.startsWith('a host name');
  if (typeof value === 'string' && value !== '' && isFree) return wrongField(stream);
  const isHidden =
    SECRETS.test(path) &&
    (typeof value !== 'object' || value === null) &&
    typeof value !== 'function' &&
    typeof value !== 'symbol';
  const got =
    isHidden && value !== null ? `a ${typeof value} (not shown)` : typeof value === 'symbol' ? 'a symbol' : shownAs(value);
  return {
    config: withValue(pathOf(path), value, rest(path)),
    fault: { path: pathOf(path), says: `: got ${got}; allowed: ${allowed}` },
  };
}

/** Returns the other config that the field needs. */
const rest = (path: string): Config => (path.startsWith('redis.') ? { redis: {} } : {});

const SECTIONS: Readonly<Record<string, readonly string[]>> = {};
for (const { path } of CONFIG_FIELDS) {
  const at = path.lastIndexOf('.');
  const section = at < 0 ? '' : path.slice(0, at);
  (SECTIONS as Record<string, string[]>)[section] = [...(SECTIONS[section] ?? []), path.slice(at + 1)];
}

/** Returns whether at most one edit turns one text into the other. */
function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return a.slice(i + 1) === b.slice(i + 1) || a.slice(i + 1) === b.slice(i) || a.slice(i) === b.slice(i + 1);
}

function edited(stream: Stream, name: string): string {
  const at = stream.int(0, name.length - 1);
  const [before, after] = [name.slice(0, at), name.slice(at + 1)];
  return stream.pick([
    `${before}${after}`,
    `${before}q${after}`,
    `${before}q${name[at]}${after}`,
    `${before}${name[at]?.toUpperCase()}${after}`,
  ]);
}

/** Draws a name with one edit, or a name that resembles none. */
function misspelt(stream: Stream): DrawnConfig {
  if (stream.chance(0.25)) {
    const [path, meant] = stream.pick(DISTANT);
    return {
      config: { [path]: SECRET },
      fault: { path, says: meant === undefined ? '(unknown field)' : `did you mean \`${meant}\`?` },
    };
  }
  const section = stream.pick(Object.keys(SECTIONS).filter((one) => one !== 'redis'));
  const names = SECTIONS[section] ?? [];
  const name = stream.pick(names.filter((one) => one.length > 5).concat(names[0] ?? ''));
  const prefix = section === '' ? '' : `${pathOf(section)}.`;
  if (stream.chance(0.25)) {
    const strange = 'z'.repeat(stream.pick([9, 40, 64, 65, 100]));
    const path = `${prefix}${strange}`;
    return { config: withValue(path, SECRET), fault: { path, says: '(unknown field)' } };
  }
  const written = edited(stream, name);
  const rivals = names.filter((one) => isNear(one.toLowerCase(), written.toLowerCase()));
  if (names.includes(written) || rivals.length !== 1) return misspelt(stream);
  return {
    config: withValue(`${prefix}${written}`, SECRET),
    fault: { path: `${prefix}${written}`, says: `did you mean \`${name}\`?` },
  };
}

// ---- relations ---------------------------------------------------------------------------------------------------------

const CERTIFICATES = ['ca', 'cert', 'key'] as const;

/** Each draws values on one side of a relation. `over` of 0 or less keeps the relation. */
const RELATIONS: readonly ((stream: Stream, over: number) => DrawnConfig)[] = [
  (stream, over) => {
    const heartbeatMs = stream.int(100, 900);
    const config = { grpc: { heartbeatMs, nodeTTLMs: 3 * heartbeatMs + 1 - over, leaseMarginMs: 1 } };
    return { config, fault: { path: 'grpc.heartbeatMs', says: 'heartbeatMs * 3 < nodeTTLMs' } };
  },
  (stream, over) => {
    const leaseMarginMs = stream.int(1200, 5000);
    const config = { grpc: { heartbeatMs: 400, nodeTTLMs: leaseMarginMs + 401 - over, leaseMarginMs } };
    return { config, fault: { path: 'grpc.leaseMarginMs', says: 'leaseMarginMs < nodeTTLMs - heartbeatMs' } };
  },
  (stream, over) => {
    const leaderTTLMs = stream.int(100, 5000);
    const config = { grpc: { leaderTTLMs, leaderRenewalMs: leaderTTLMs - 1 + over } };
    return { config, fault: { path: 'grpc.leaderRenewalMs', says: 'leaderRenewalMs < leaderTTLMs' } };
  },
  (stream, over) => {
    const enqueueTimeoutMs = stream.int(10, 5000);
    const config = { enqueueTimeoutMs, storeCallTimeoutMs: enqueueTimeoutMs + over };
    return { config, fault: { path: 'storeCallTimeoutMs', says: 'storeCallTimeoutMs <= enqueueTimeoutMs' } };
  },
  (stream, over) => {
    const storeCallTimeoutMs = stream.int(1, 5000);
    const config = { storeCallTimeoutMs, maxPayloadBytes: 6250 * storeCallTimeoutMs + over };
    return { config, fault: { path: 'maxPayloadBytes', says: 'maxPayloadBytes <= storeCallTimeoutMs * 6250' } };
  },
  (stream, over) => {
    const key = stream.pick(['serverId', 'serviceGroup']);
    return {
      config: { [key]: 'a', grpc: { [key]: over > 0 ? 'b' : 'a' } },
      fault: { path: key, says: 'the same value, or only one of the two' },
    };
  },
  (stream, over) => {
    const retry = { maxDelay: 500, backoffDelay: 500 + over };
    const isRoot = stream.chance(0.5);
    const config = isRoot ? { retry } : { entities: { [TYPE]: { retry } } };
    return {
      config,
      fault: { path: isRoot ? 'retry.maxDelay' : `entities.${TYPE}.retry.maxDelay`, says: 'backoffDelay <= maxDelay' },
    };
  },
  (stream, over) => {
    // One of the two fields is set at the root, for all types.
    const isDelayOfType = stream.chance(0.5);
    const [own, root] = isDelayOfType
      ? [{ backoffDelay: 500 + over }, { maxDelay: 500 }]
      : [{ maxDelay: 500 - over }, { backoffDelay: 500 }];
    const path = `entities.${TYPE}.retry.${isDelayOfType ? 'backoffDelay' : 'maxDelay'}`;
    return { config: { retry: root, entities: { [TYPE]: { retry: own } } }, fault: { path, says: 'backoffDelay <= maxDelay' } };
  },
  (stream, over) => {
    const attempts = { retry: { maxAttempts: over > 0 ? 1 : 2 } };
    const config = stream.pick<Config>([
      { entities: { [TYPE]: { onInterrupt: 'retry', ...attempts } } },
      { ...attempts, entities: { [TYPE]: { onInterrupt: 'retry' } } },
      { retry: { maxAttempts: over > 0 ? 3 : 1 }, entities: { [TYPE]: { onInterrupt: 'retry', ...attempts } } },
    ]);
    return { config, fault: { path: `entities.${TYPE}.onInterrupt`, says: "'retry' with maxAttempts 1" } };
  },
  (stream, over) => {
    const given = stream.shuffle(CERTIFICATES);
    const tls = Object.fromEntries(given.slice(over > 0 ? 1 : 0).map((key) => [key, 'PEM']));
    return {
      config: { redis: {}, grpc: { enabled: true, tls } },
      fault: { path: `grpc.tls.${given[0]}`, says: 'TLS is mutual' },
    };
  },
  (_stream, over) => ({
    config: { ...(over <= 0 && { redis: {} }), grpc: { enabled: true } },
    fault: { path: 'grpc.enabled', says: 'share one store' },
  }),
  (stream, over) => {
    const wal = { enabled: over > 0 ? false : stream.chance(0.5) };
    return {
      config: { store: 'memory', wal },
      ...(over > 0 && { nodeEnv: 'production' }),
      fault: { path: 'wal.enabled', says: 'NODE_ENV is production' },
    };
  },
  (_stream, over) => ({
    config: { redis: {}, wal: { enabled: over <= 0 }, grpc: { enabled: true } },
    fault: { path: 'wal.enabled', says: 'since `grpc.enabled` is true' },
  }),
  (_stream, over) => ({
    config: over > 0 ? { store: 'redis' } : { store: 'redis', redis: {} },
    fault: { path: 'redis', says: "`store: 'redis'` needs it" },
  }),
  (_stream, over) => ({
    config: over > 0 ? { store: 'memory', redis: {} } : { store: 'memory' },
    fault: { path: 'store', says: 'unclear where messages should live' },
  }),
  (_stream, over) => ({
    config: over > 0 ? {} : { store: 'memory' },
    nodeEnv: 'production',
    fault: { path: 'redis', says: 'NODE_ENV is production' },
  }),
  (_stream, over) => ({
    config: { redis: over > 0 ? undefined : {} },
    fault: { path: 'redis', says: 'a variable is probably not set' },
  }),
];

function relation(stream: Stream): DrawnConfig {
  const over = stream.pick([-1, 0, 1, 1, 2]);
  const { fault, ...drawn } = stream.pick(RELATIONS)(stream, over);
  return over > 0 && fault !== undefined ? { ...drawn, fault } : drawn;
}

// ---- redis -------------------------------------------------------------------------------------------------------------

const OWNED = ['host', 'keyPrefix', 'retryStrategy', 'commandTimeout', 'sentinels', 'offlineQueue', 'readOnly'];
const URL = 'redis://host:6379';

function ofRedis(stream: Stream): DrawnConfig {
  const owned = stream.pick(OWNED);
  const raw = stream.pick(['/', '?', '#', '%']);
  const url = (text: string, says: string): DrawnConfig => ({
    config: { redis: { url: text } },
    fault: { path: 'redis.url', says },
  });
  const both = (redis: Config, says: string): DrawnConfig => ({ config: { redis }, fault: { path: 'redis.url', says } });
  return stream.pick<DrawnConfig>([
    {
      config: { redis: { options: { [owned]: SECRET, family: 4 } } },
      fault: { path: `redis.options.${owned}`, says: 'leave it out' },
    },
    { config: { redis: { options: { family: 4, connectionName: 'x', toString: 1 } } } },
    url('http://host', 'it does not begin with redis://'),
    url('redis://a b', 'contains a space'),
    url(`redis://user:${SECRET}${raw}word@host`, `contains a raw "${raw}"`),
    url('redis://host:99999', 'host or port is wrong'),
    url(`${URL}/one`, 'the database behind the host is not a number'),
    url(`${URL}?db=x`, 'the database behind the host is not a number'),
    url(`${URL}?${owned}=1`, `it sets the option "${owned}"`),
    ...['', '/3', '?db=3', '?family=4'].map((end) => ({ config: { redis: { url: `${URL}${end}` } } })),
    { config: { redis: { url: 'rediss://user:p%2Fw%40@host', db: 2 } } },
    { config: { redis: { url: 'redis:///2' } } },
    { config: { redis: { url: `${URL}/3`, db: 3, username: 'x', password: 'y' } } },
    both({ url: URL, host: 'x' }, '`url`, or `host` and `port`'),
    both({ url: URL, port: 1 }, '`url`, or `host` and `port`'),
    both({ url: 'redis://user@host', username: 'x' }, 'user name and password in `url`'),
    both({ url: `redis://:${SECRET}@host`, password: SECRET }, 'user name and password in `url`'),
    both({ url: `${URL}/3`, db: 2 }, 'the database in `url`'),
    both({ url: `${URL}?db=3`, db: 0 }, 'the database in `url`'),
    { config: { redis: { sentinels: [] } }, fault: { path: 'redis.sentinels', says: 'Redis Sentinel is not supported' } },
    { config: { redis: { cluster: {} } }, fault: { path: 'redis.cluster', says: 'Redis Cluster is not supported' } },
    { config: { partitions: 2 }, fault: { path: 'partitions', says: 'allowed: 1' } },
    { config: { wal: { durability: 'fsync' } }, fault: { path: 'wal.durability', says: "allowed: 'ack'" } },
    { config: { workers: {} }, fault: { path: 'workers', says: 'a field of version 2' } },
    { config: { entities: { 'no type': {} } }, fault: { path: 'entities["no type"]', says: 'an entity type name' } },
    { config: { grpc: 5 }, fault: { path: 'grpc', says: 'allowed: an object' } },
    { config: { retry: [] }, fault: { path: 'retry', says: 'allowed: an object' } },
  ]);
}

/** Draws a field that is wrong without regard to others. The refusal must not name its relation to other fields. */
function wrongOfRelated(stream: Stream): DrawnConfig {
  const wrong = stream.pick<unknown>([-1, 'x', null, 0.5]);
  return stream.pick<DrawnConfig>([
    ...(['heartbeatMs', 'nodeTTLMs'] as const).map((key) => ({
      config: { grpc: { heartbeatMs: 5000, nodeTTLMs: 5000, leaseMarginMs: 0, [key]: wrong } },
      fault: { path: `grpc.${key}` },
    })),
    ...(['backoffDelay', 'maxDelay'] as const).flatMap((key) => [
      { config: { retry: { backoffDelay: 900, maxDelay: 1, [key]: wrong } }, fault: { path: `retry.${key}` } },
      {
        config: { entities: { [TYPE]: { retry: { backoffDelay: 90_000, maxDelay: 1, [key]: wrong } } } },
        fault: { path: `entities.${TYPE}.retry.${key}` },
      },
    ]),
    {
      config: { retry: { maxAttempts: wrong }, entities: { [TYPE]: { onInterrupt: 'retry' } } },
      fault: { path: 'retry.maxAttempts' },
    },
    { config: { storeCallTimeoutMs: 9000, enqueueTimeoutMs: wrong }, fault: { path: 'enqueueTimeoutMs' } },
    { config: { serverId: ' ', grpc: { serverId: 'a' } }, fault: { path: 'serverId' } },
    { config: { serviceGroup: 'a', grpc: { serviceGroup: ' ' } }, fault: { path: 'grpc.serviceGroup' } },
    { config: { redis: {}, grpc: { enabled: true, tls: { ca: 'PEM', cert: 'PEM', key: '' } } }, fault: { path: 'grpc.tls.key' } },
    { config: { store: 'none', redis: {} }, fault: { path: 'store' } },
  ]);
}

export function drawConfig(stream: Stream): DrawnConfig {
  return stream.pick([wrongField, wrongField, misspelt, relation, relation, ofRedis, wrongOfRelated])(stream);
}

// ---- notices -----------------------------------------------------------------------------------------------------------

/** Draws a valid config, and parts of the notices that it must cause. */
export function drawNoted(stream: Stream): { readonly config: Config; readonly notes: readonly string[] } {
  const [hasStore, hasWal, isSlow, isOpen] = Array.from({ length: 4 }, () => stream.chance(0.5));
  const [hasToken, hasTls, isLocal] = Array.from({ length: 3 }, () => stream.chance(0.3));
  const tls = { ca: 'PEM', cert: 'PEM', key: 'PEM' };
  const listenAddress = isLocal ? stream.pick(['127.0.0.1:1', 'localhost:1', '[::1]:1']) : '0.0.0.0:1';
  const grpc = {
    keepaliveTimeMs: isSlow ? 10_000 : 9999,
    listenAddress,
    ...(hasToken && { authToken: 'x' }),
    ...(hasTls && { tls }),
  };
  if (isOpen) {
    const isExposed = !hasToken && !hasTls && !isLocal;
    const notes = [...(isSlow ? [] : ['keepaliveTimeMs']), ...(isExposed ? ['anyone who reaches it'] : [])];
    return { config: { redis: {}, grpc: { ...grpc, enabled: true } }, notes };
  }
  const config = { ...(hasStore && { store: 'memory' }), wal: { enabled: hasWal }, grpc };
  return {
    config,
    notes: [
      ...(hasStore ? [] : ['neither `redis` nor `store`']),
      ...(hasWal ? [] : ['`wal.enabled` is false']),
      ...(isSlow ? [] : ['keepaliveTimeMs']),
    ],
  };
}
