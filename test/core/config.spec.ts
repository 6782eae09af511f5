import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIELDS } from '../../src/core/config/fields.js';
import { nearestName } from '../../src/core/config/nearest.js';
import { noticesOf } from '../../src/core/config/resolve.js';
import type { FieldSpec } from '../../src/core/config/rules.js';
import { CONFIG_FIELDS } from '../../src/core/config.js';
import { configWith, environment, failureOf, faultsOf, pathsOf, production, resolve } from './config-faults.js';

describe('defaults', () => {
  it('are those of the specification', () => {
    const { entitySettings, ...config } = resolve({ store: 'memory' });
    expect(config).toEqual({
      store: 'memory',
      redis: undefined,
      serverId: 'generated-id',
      serviceGroup: 'default',
      keyPrefix: 'aq',
      partitions: 1,
      verbose: false,
      directExecution: 'route',
      rethrowHttpExceptions: true,
      onLeaseLost: 'rejoin',
      shutdownGraceMs: 10_000,
      enqueueTimeoutMs: 5000,
      storeCallTimeoutMs: 1000,
      limits: {
        workersMax: 10_000,
        queueDepthMax: 100_000,
        concurrentHandlersMax: 1000,
        concurrentPetitionsMax: 50,
        payloadBytesMax: 1_048_576,
        sendsBytesMax: 6_250_000,
        forwardHopsMax: 3,
      },
      configuredTypes: [],
      retry: { maxAttempts: 1, backoff: 'exponential', backoffDelayMs: 1000, maxDelayMs: 30_000 },
      wal: { enabled: true, cleanupIntervalMs: 5000, entryTTLMs: 86_400_000, resultTTLMs: 60_000, durability: 'ack' },
      deadLetters: { max: 0, ttlMs: 0 },
      timing: {
        heartbeatMs: 400,
        nodeTTLMs: 1500,
        reconcileIntervalMs: 2000,
        leaderTTLMs: 2000,
        leaderRenewalMs: 400,
        leaderDebounceMs: 800,
        takeoverHoldMs: 1500,
        leaseMarginMs: 150,
        loopStallLimitMs: 15_000,
      },
      health: { peerMonitorEnabled: true, peerSuspectDebounceMs: 500, storeCheckMs: 500, storeFailureThreshold: 3 },
      breaker: { failureThreshold: 3, cooldownMs: 2000 },
      deadlines: { forwardMs: 1500, pingMs: 1000, andWaitMs: 60_000, syncMs: 1000, connectivityWatchMs: 30_000 },
      grpc: {
        enabled: false,
        listenAddress: '0.0.0.0:50051',
        advertisedAddress: 'box:50051',
        tls: undefined,
        authToken: undefined,
        keepaliveTimeMs: 10_000,
        keepaliveTimeoutMs: 5000,
      },
      notices: [],
    });
    expect(entitySettings('any')).toEqual({
      defaultEntityId: undefined,
      onInterrupt: 'dead-letter',
      workerIdleTimeoutMs: 30_000,
      workerMaxQueueDepth: 0,
      replyTimeoutMs: 5000,
      handlerTimeoutMs: 0,
      isTerminal: undefined,
      retry: { maxAttempts: 1, backoff: 'exponential', backoffDelayMs: 1000, maxDelayMs: 30_000 },
    });
  });

  it('fill in what is not given, beside what is', () => {
    const config = resolve({
      redis: { host: 'r1', password: 'p', tls: true },
      grpc: { serverId: 'node-1', serviceGroup: 'pay', nodeTTLMs: 3000, listenAddress: '[::1]:7000', deadlines: { pingMs: 5 } },
      wal: { entryTTL: 10 },
      verbose: undefined,
    });
    expect(config.redis).toEqual({ host: 'r1', port: 6379, db: 0, password: 'p', tls: true });
    expect([config.store, config.serverId, config.serviceGroup]).toEqual(['redis', 'node-1', 'pay']);
    expect([config.timing.nodeTTLMs, config.timing.takeoverHoldMs, config.deadlines.pingMs]).toEqual([3000, 3000, 5]);
    expect([config.grpc.advertisedAddress, config.wal.entryTTLMs, config.verbose]).toEqual(['box:7000', 10_000, false]);
    expect(resolve({ redis: { url: 'rediss://u:p@h:1/2' } }).redis).toEqual({ url: 'rediss://u:p@h:1/2' });
    expect(resolve({ store: 'memory', serverId: 'a', grpc: { serverId: 'a' } }).serverId).toBe('a');
  });
});

describe('entitySettings', () => {
  const config = resolve({
    store: 'memory',
    retry: { maxAttempts: 3, backoffDelay: 10 },
    entities: {
      account: { workerIdleTimeout: 7, handlerTimeout: 9, retry: { backoff: 'fixed' } },
      order: { onInterrupt: 'retry', retry: { backoffDelay: 60_000 } },
      'a.b-c': { defaultEntityId: 'ref' },
      constructor: { replyTimeout: 1 },
    },
  });

  it('inherit the retry of the root, field by field', () => {
    expect(config.entitySettings('account')).toMatchObject({
      workerIdleTimeoutMs: 7,
      handlerTimeoutMs: 9,
      retry: { maxAttempts: 3, backoff: 'fixed', backoffDelayMs: 10, maxDelayMs: 30_000 },
    });
    expect(config.entitySettings('other').retry).toEqual(config.retry);
  });

  it('never cap a delay by a cap that nobody gave', () => {
    expect(config.entitySettings('order').retry).toMatchObject({ backoffDelayMs: 60_000, maxDelayMs: 60_000 });
  });

  it('keep long type names apart that differ only at the end', () => {
    const [one, two] = [`${'t'.repeat(127)}1`, `${'t'.repeat(127)}2`];
    const { entitySettings } = resolve({ store: 'memory', entities: { [one]: { replyTimeout: 1 }, [two]: { replyTimeout: 2 } } });
    expect([one, two].map((type) => entitySettings(type).replyTimeoutMs)).toEqual([1, 2]);
  });

  it('inherit a cap of the root', () => {
    const { entitySettings } = resolve({
      store: 'memory',
      retry: { maxDelay: 5000 },
      entities: { a: {}, b: { retry: { maxDelay: 6000 } } },
    });
    expect(['a', 'b', 'c'].map((type) => entitySettings(type).retry.maxDelayMs)).toEqual([5000, 6000, 5000]);
  });

  it('are the same frozen object on each call, for any legal type name', () => {
    expect(config.configuredTypes).toEqual(['account', 'order', 'a.b-c', 'constructor']);
    expect(config.entitySettings('a.b-c').defaultEntityId).toBe('ref');
    expect(config.entitySettings('constructor').replyTimeoutMs).toBe(1);
    expect(config.entitySettings('toString')).toBe(config.entitySettings('__proto__'));
    expect(Object.isFrozen(config.entitySettings('account').retry)).toBe(true);
  });
});

describe('the table of fields', () => {
  const good: Record<string, unknown> = {
    store: 'memory',
    'redis.host': 'r1',
    'redis.username': 'app',
    'redis.password': 'p',
    'redis.options': { family: 6 },
    'redis.tls': { ca: 'x' },
    'redis.url': 'redis://h',
    serverId: 'n-1',
    serviceGroup: 'g',
    'grpc.advertisedAddress': 'h:1',
    'grpc.serverId': 'n-1',
    'grpc.tls.ca': 'PEM',
    'grpc.tls.cert': new Uint8Array([1]),
    'grpc.tls.key': 'PEM',
    'grpc.authToken': 't',
    'grpc.takeoverHoldMs': 1,
    'entities.<type>.defaultEntityId': 'id',
    'entities.<type>.isTerminal': () => false,
    'entities.<type>.retry.maxAttempts': 2,
    'entities.<type>.retry.backoff': 'fixed',
    'entities.<type>.retry.backoffDelay': 1,
    'entities.<type>.retry.maxDelay': 1,
    'retry.maxDelay': 1,
  };
  const notYet = ['redis.sentinels', 'redis.cluster'];
  const rows = Object.entries<FieldSpec<unknown>>(FIELDS);

  it.each(rows)('%s takes its good value and refuses wrong ones by path', (path, spec) => {
    const base = path.startsWith('redis.') ? { redis: {} } : { store: 'memory' };
    const tried = (value: unknown) => pathsOf({ ...base, ...configWith(path, value) });
    const faultPath = path.replace('<type>', 'account');
    const value = good[path] ?? spec.fallback;
    if (notYet.includes(path)) {
      expect(tried({})).toEqual([faultPath]);
      return;
    }
    expect(value).not.toBe(undefined);
    expect(tried(value)).toEqual([]);
    expect(tried(undefined)).toEqual([]);
    for (const wrong of [Number.NaN, -1, 0.5, '', null, [], Symbol('s')]) expect(tried(wrong)).toEqual([faultPath]);
    if (typeof value !== 'function') expect(tried(() => 1)).toEqual([faultPath]);
    if (typeof value === 'number') {
      for (const wrong of [Number.POSITIVE_INFINITY, '5', 5n, true, 2 ** 53]) expect(tried(wrong)).toEqual([faultPath]);
    }
    if (spec.unit === 'ms') expect(tried(2 ** 31)).toEqual([faultPath]);
  });

  it('shows each row with a default, what is allowed and a sentence of guidance', () => {
    expect(CONFIG_FIELDS.map(({ path }) => path)).toEqual(Object.keys(FIELDS));
    expect(CONFIG_FIELDS.length).toBeGreaterThanOrEqual(70);
    for (const row of CONFIG_FIELDS) {
      expect(row.default, row.path).not.toMatch(/^$|undefined|object/);
      expect(row.allowed, row.path).not.toBe('');
      expect(row.unit, row.path).toMatch(/^(ms|s|bytes|-)$/);
      expect(row.guidance, row.path).toMatch(/^.{15,}\.$/);
    }
    expect(CONFIG_FIELDS.find(({ path }) => path === 'wal.entryTTL')).toMatchObject({ default: '86400', unit: 's' });
  });

  it('is complete: a key beside it is refused, wherever it stands', () => {
    const sections = [
      '',
      'redis.',
      'retry.',
      'wal.',
      'grpc.',
      'grpc.tls.',
      'grpc.deadlines.',
      'entities.<type>.',
      'entities.<type>.retry.',
    ];
    for (const section of sections) {
      const path = `${section}zzz`;
      const base = section === 'redis.' ? {} : { store: 'memory' };
      expect(pathsOf({ ...base, ...configWith(path, 1) })).toEqual([path.replace('<type>', 'account')]);
    }
  });
});

describe('a wrong config', () => {
  it('is one error with a line for every fault', () => {
    const error = failureOf({
      store: 'disk',
      keyPrefix: 'a b',
      maxTotalWorkers: -1,
      entities: { 'bad type': {}, account: { replyTimeout: '5s', workerIdleTimeOut: 3, retry: { backoff: 'linear' } }, order: 7 },
      grpc: { heartbeatMs: 600, leaderRenewalMs: 2000 },
      wal: [],
    });
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toBe(
      [
        '[CONFIG_INVALID] the configuration has 11 faults:',
        `  store: got "disk"; allowed: 'memory' or 'redis'`,
        '  keyPrefix: got "a b"; allowed: 1 to 128 of the characters A-Z a-z 0-9 _ . : @ / -',
        '  maxTotalWorkers: got -1; allowed: an integer of at least 0',
        '  entities["bad type"]: got "bad type"; allowed: an entity type name: 1 to 128 of the characters A-Z a-z 0-9 _ . -',
        '  entities.account.replyTimeout: got "5s"; allowed: an integer from 1 to 2147483647',
        '  entities.account.workerIdleTimeOut: got a number (not shown); allowed: one of defaultEntityId onInterrupt workerIdleTimeout' +
          ' workerMaxQueueDepth replyTimeout handlerTimeout isTerminal retry (unknown field; did you mean `workerIdleTimeout`?)',
        `  entities.account.retry.backoff: got "linear"; allowed: 'fixed' or 'exponential'`,
        '  entities.order: got a number (not shown); allowed: an object',
        '  wal: got an array; allowed: an object',
        '  grpc.heartbeatMs: got grpc.heartbeatMs 600, grpc.nodeTTLMs 1500; allowed: heartbeatMs * 3 < nodeTTLMs' +
          ' (two lost heartbeats must not cost a live node its lease)',
        '  grpc.leaderRenewalMs: got grpc.leaderRenewalMs 2000, grpc.leaderTTLMs 2000; allowed: leaderRenewalMs < leaderTTLMs' +
          ' (else a healthy master lapses between renewals)',
      ].join('\n'),
    );
    expect(error.details.faults).toHaveLength(11);
  });

  it('may be no object at all', () => {
    for (const input of [null, 7, 'redis://h', [], () => 1]) expect(pathsOf(input)).toEqual(['config']);
  });

  it('never shows a secret, also where it stands in the wrong place', () => {
    const secret = 's3cr3t';
    const inputs = [
      { redis: { password: { secret }, pasword: secret, url: `http://:${secret}@h` } },
      { redis: `redis://:${secret}@h:6379` },
      { redis: { host: `redis://:${secret}@h:6379`, tls: secret, sentinels: [{ password: secret }] } },
      { redis: { url: `redis://:${secret}@h`, port: 1 } },
      { redis: { url: `redis://:${secret}/x@h` } },
      { redis: { url: `redis://:${secret}%x@h` } },
      { redis: { url: `redis://h?password=${secret}` } },
      { redis: { url: `redis://u:${secret}@h`, password: secret, username: secret } },
      { redis: { options: { password: secret, sentinels: [secret] } } },
      {
        store: 'memory',
        grpc: { authToken: [secret], authtoken: secret, listenAddress: `grpc://u:${secret}@h:1`, tls: { key: { secret } } },
      },
      { store: 'memory', grpc: { tls: secret }, password: secret, 'redis://u:x@h': secret },
    ];
    for (const input of inputs) {
      const error = failureOf(input);
      expect(JSON.stringify(error) + error.stack).not.toContain(secret);
    }
  });

  it('names what replaces the fields of version 2', () => {
    const faults = faultsOf({ store: 'memory', executor: {}, registry: {}, workers: 4, defaultReplyTimeout: 5 });
    expect(faults.map(({ path }) => path)).toEqual(['executor', 'registry', 'workers', 'defaultReplyTimeout']);
    const replacements = ['maxConcurrentHandlers', '@EntityType', 'maxTotalWorkers', 'replyTimeout'];
    faults.forEach((fault, i) => {
      expect(fault.why).toContain('version 2');
      expect(fault.why).toContain(replacements[i]);
    });
  });

  it.each<[string, unknown, string]>([
    ['redis.cluster', { redis: { cluster: [] } }, 'Redis Cluster is not supported yet'],
    ['redis.sentinels', { redis: { sentinels: [] } }, 'Redis Sentinel is not supported yet'],
    ['wal.durability', { store: 'memory', wal: { durability: 'fsync' } }, 'not supported yet'],
    ['partitions', { store: 'memory', partitions: 16 }, 'not supported yet'],
  ])('says that %s comes later', (path, input, why) => {
    expect(faultsOf(input)).toEqual([expect.objectContaining({ path, why: expect.stringContaining(why) })]);
  });

  it('never ends in anything but a resolved config or CONFIG_INVALID', () => {
    const value = fc.anything({ maxDepth: 2, withBigInt: true, withMap: true, withNullPrototype: true, withDate: true });
    const key = fc.constantFrom('__proto__', 'constructor', ...Object.keys(FIELDS), 'entities', 'redis', 'grpc', 'retry', 'wal');
    fc.assert(
      fc.property(fc.dictionary(key, value), fc.boolean(), (flat, nested) => {
        const input = nested ? Object.assign({}, ...Object.entries(flat).map(([path, one]) => configWith(path, one))) : flat;
        const faults = faultsOf(input);
        expect(faults.every((fault) => typeof fault.path === 'string' && fault.allowed !== '')).toBe(true);
      }),
    );
  });
});

describe('relations', () => {
  const memory = { store: 'memory' } as const;

  it.each<[string, Record<string, unknown>, string[]]>([
    ['heartbeat at a third of the TTL', { grpc: { heartbeatMs: 500 } }, ['grpc.heartbeatMs']],
    ['a TTL too short for the default heartbeat', { grpc: { nodeTTLMs: 1200 } }, ['grpc.nodeTTLMs']],
    ['heartbeat just below it', { grpc: { heartbeatMs: 499 } }, []],
    ['a margin that leaves nothing', { grpc: { leaseMarginMs: 1100 } }, ['grpc.leaseMarginMs']],
    ['a margin that leaves a little', { grpc: { leaseMarginMs: 1099 } }, []],
    ['two broken at once', { grpc: { heartbeatMs: 500, leaseMarginMs: 5000 } }, ['grpc.heartbeatMs', 'grpc.leaseMarginMs']],
    ['renewal as long as the leader TTL', { grpc: { leaderTTLMs: 400 } }, ['grpc.leaderTTLMs']],
    ['one try longer than the enqueue', { storeCallTimeoutMs: 5001 }, ['storeCallTimeoutMs']],
    ['one try as long as the enqueue', { storeCallTimeoutMs: 5000 }, []],
    ['a payload that half of a store call cannot carry', { maxPayloadBytes: 6_250_001 }, ['maxPayloadBytes']],
    ['the largest that it can', { maxPayloadBytes: 6_250_000 }, []],
    ['the default payload and a short store call', { storeCallTimeoutMs: 100 }, []],
    ['a cap below the given delay', { retry: { backoffDelay: 2, maxDelay: 1 } }, ['retry.maxDelay']],
    ['a cap below the default delay', { retry: { maxDelay: 1 } }, []],
    [
      "an entity's cap below the root's delay",
      { retry: { backoffDelay: 2 }, entities: { a: { retry: { maxDelay: 1 } } } },
      ['entities.a.retry.maxDelay'],
    ],
    [
      "an entity's delay above the root's cap",
      { retry: { maxDelay: 5 }, entities: { a: { retry: { backoffDelay: 6 } } } },
      ['entities.a.retry.backoffDelay'],
    ],
    ['onInterrupt retry with one attempt', { entities: { a: { onInterrupt: 'retry' } } }, ['entities.a.onInterrupt']],
    ['onInterrupt retry, attempts of the root', { retry: { maxAttempts: 2 }, entities: { a: { onInterrupt: 'retry' } } }, []],
    [
      'onInterrupt retry, attempts taken away by the entity',
      { retry: { maxAttempts: 2 }, entities: { a: { onInterrupt: 'retry', retry: { maxAttempts: 1 } } } },
      ['entities.a.onInterrupt'],
    ],
    ['two server ids', { serverId: 'a', grpc: { serverId: 'b' } }, ['serverId']],
    ['two service groups', { serviceGroup: 'a', grpc: { serviceGroup: 'b' } }, ['serviceGroup']],
    ['a wrong value only, not what follows from it', { grpc: { heartbeatMs: 'often' } }, ['grpc.heartbeatMs']],
    ['no log with gRPC', { wal: { enabled: false }, grpc: { enabled: true } }, ['wal.enabled']],
    ['gRPC without a store to share', { store: 'memory', grpc: { enabled: true } }, ['grpc.enabled']],
    ['gRPC on Redis', { store: 'redis', redis: {}, grpc: { enabled: true } }, []],
    [
      'half of mutual TLS',
      { store: 'redis', redis: {}, grpc: { enabled: true, tls: { cert: 'x' } } },
      ['grpc.tls.ca', 'grpc.tls.key'],
    ],
    ['half of mutual TLS that nobody uses', { store: 'redis', redis: {}, grpc: { tls: { cert: 'x' } } }, []],
  ])('%s', (_, input, paths) => {
    expect(pathsOf({ ...memory, ...input })).toEqual(paths);
  });

  it.each<[string, unknown, string | undefined, string[]]>([
    ['redis by url', { redis: { url: 'redis://h:1' } }, 'production', []],
    ['store redis without redis', { store: 'redis' }, 'test', ['redis']],
    ['store memory with redis', { store: 'memory', redis: {} }, 'test', ['store']],
    ['the redis key, undefined', { redis: undefined }, 'test', ['redis']],
    ['the redis key, undefined, beside store', { store: 'redis', redis: undefined }, 'test', ['redis']],
    ['the redis key, null', { redis: null }, 'test', ['redis']],
    ['neither, in production', {}, 'production', ['redis']],
    ['neither, elsewhere', {}, undefined, []],
    ['nothing at all, in production', undefined, 'production', ['redis']],
    ['memory said aloud, in production', { store: 'memory' }, 'production', []],
    ['url and host', { redis: { url: 'redis://h', host: 'h' } }, 'test', ['redis.url']],
    ['no log in production', { store: 'memory', wal: { enabled: false } }, 'production', ['wal.enabled']],
  ])('store: %s', (_, input, nodeEnv, paths) => {
    expect(pathsOf(input, { ...environment, nodeEnv })).toEqual(paths);
  });
});

describe('notices', () => {
  it('name what is legal but worth a line', () => {
    expect(resolve().notices).toEqual([expect.stringContaining('do not survive the process')]);
    expect(resolve({ store: 'memory' }, production).notices).toEqual([]);
    expect(resolve({ redis: {} }).notices).toEqual([]);
    const { notices } = resolve({ store: 'memory', wal: { enabled: false }, grpc: { keepaliveTimeMs: 9999 } });
    expect(notices).toEqual([
      expect.stringContaining('`wal.enabled` is false'),
      expect.stringContaining('`grpc.keepaliveTimeMs` is 9999'),
    ]);
  });

  it('warn about an open gRPC port', () => {
    const { wal, grpc } = resolve({ store: 'memory' });
    const listening = (part: Partial<typeof grpc>) =>
      noticesOf({ store: 'redis', wal, grpc: { ...grpc, enabled: true, ...part } }, true);
    expect(listening({})).toEqual([expect.stringContaining('neither `grpc.tls` nor `grpc.authToken`')]);
    const guarded = [
      { authToken: 't' },
      { tls: { ca: 'x' } },
      ...['127.0.0.1:1', '[::1]:1', 'localhost:1'].map((listenAddress) => ({ listenAddress })),
    ];
    for (const part of guarded) expect(listening(part)).toEqual([]);
  });
});

describe('nearestName', () => {
  const names = ['heartbeatMs', 'nodeTTLMs', 'host', 'db', 'url'];
  it.each([
    ['heartBeatMS', 'heartbeatMs'],
    ['heartbeat', 'heartbeatMs'],
    ['nodeTtl', 'nodeTTLMs'],
    ['hots', 'host'],
    ['completelyOther', undefined],
    ['xy', undefined],
    ['h'.repeat(1000), undefined],
  ])('of %s is %s', (written, nearest) => {
    expect(nearestName(written, names)).toBe(nearest);
  });
});
