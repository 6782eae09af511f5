import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { StoreCallError } from '../../src/ports/store.js';
import type { RedisClient } from '../../src/redis/connection.js';
import { BATCH_SCRIPT, CONTROL_SCRIPT } from '../../src/redis/script.gen.js';
import { KEY_TYPES, READ_COMMANDS, WRITE_COMMANDS } from '../../src/redis/server-checks.js';
import type { RedisStoreOptions } from '../../src/redis/store.js';
import { until } from '../runtime/harness.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { append, failureOf, join, patiently, redisStore } from './support.js';

/** For a user of Redis: whatever is ours but one key. */
const keysBut = (name: string): string[] =>
  Object.keys(KEY_TYPES)
    .filter((other) => other !== name)
    .map((other) => `~aq:{0}:${other}`);

const WRITES: readonly string[] = [...WRITE_COMMANDS.hash, ...WRITE_COMMANDS.zset];
const KEY_READS: readonly string[] = [...READ_COMMANDS.hash, ...READ_COMMANDS.zset];
const READS = [...KEY_READS, 'TIME', 'TYPE'];

it('the scripts use no other commands than those that are told apart here', () => {
  const used = [BATCH_SCRIPT, CONTROL_SCRIPT].flatMap((text) =>
    [...text.matchAll(/\b(?:call|write)\('(\w+)'/g)].map(([, name]) => name),
  );
  expect([...new Set(used)].sort()).toEqual([...WRITES, ...READS].sort());
});

describeRedis(
  'opening a Redis store',
  () => {
    let server: RedisServer;
    let admin: Redis;

    beforeEach(async () => {
      server = await startRedis();
      admin = new Redis(server.url).on('error', () => {});
    });

    afterEach(async () => {
      admin.disconnect();
      await server.stop();
    });

    it('says where nobody listens, soon, and works on the next try once somebody does', async () => {
      await server.kill9();
      const store = redisStore(server.port);
      const startMs = Date.now();
      const failure = await failureOf(store.open());
      expect(failure.message).toMatch(new RegExp(`cannot open Redis at 127\\.0\\.0\\.1:${server.port}.*ECONNREFUSED`));
      expect(failure).toMatchObject({ refused: true, permanent: false });
      expect(Date.now() - startMs).toBeLessThan(2000);
      await server.restart();
      await store.open();
      expect((await store.control({ op: 'counts' })).depth).toBe(0);
      await store.close();
    });

    it('gives up on a peer that accepts and never answers', async () => {
      process.kill(server.pid, 'SIGSTOP');
      try {
        const failure = await failureOf(redisStore(server.port).open());
        expect(failure.message).toContain('no answer within 500 ms');
        expect(failure.permanent).toBe(false);
      } finally {
        process.kill(server.pid, 'SIGCONT');
      }
    });

    it('says that the password is missing or wrong, and that trying again is pointless', async () => {
      await admin.config('SET', 'requirepass', 'secret');
      const missing = await failureOf(redisStore(server.port).open());
      expect(missing.message).toContain('set redis.password');
      expect(missing.permanent).toBe(true);
      const wrong = await failureOf(redisStore(server.port, { connection: { port: server.port, password: 'hunter2' } }).open());
      expect(wrong.message).toContain('check redis.password');
      expect(wrong.message).not.toContain('hunter2');
      expect(wrong.permanent).toBe(true);
      const right = redisStore(0, { connection: { url: `redis://:secret@127.0.0.1:${server.port}` } });
      await right.open();
      await right.close();
    });

    it('says that the user is unknown, also where the server would serve others without a password', async () => {
      for (const connection of [
        { url: `redis://nobody:pw@127.0.0.1:${server.port}` },
        { host: '127.0.0.1', port: server.port, username: 'nobody', password: 'pw' },
        { host: '127.0.0.1', port: server.port, username: 'nobody' },
      ]) {
        const failure = await failureOf(redisStore(0, { connection }).open());
        expect(failure.message).toContain(`cannot open Redis at 127.0.0.1:${server.port}: `);
        expect(failure.message).toContain('check redis.password and redis.username');
        expect(failure).toMatchObject({ refused: true, permanent: true });
      }
      await admin.acl('SETUSER', 'app', 'on', '>p/w', '~aq:*', '+@all');
      const store = redisStore(0, { connection: { port: server.port, username: 'app', password: 'p/w' } });
      await store.open();
      await store.close();
    });

    it('passes options to the client, and keeps its own', async () => {
      const options = { connectionName: 'shop-beats', maxRetriesPerRequest: 20 };
      const store = redisStore(0, { connection: { port: server.port, options } });
      await store.open();
      expect(await admin.client('LIST')).toContain('name=shop-beats');
      await server.kill9();
      // With 20 retries the call would wait for the server.
      const startMs = Date.now();
      await failureOf(store.control({ op: 'counts' }));
      expect(Date.now() - startMs).toBeLessThan(300);
      await store.close();
    });

    it('refuses a server that evicts, a database that is not there, and a replica', async () => {
      const inDb99 = redisStore(0, { connection: { port: server.port, db: 99 } });
      expect(await failureOf(inDb99.open())).toMatchObject({ permanent: true, message: expect.stringContaining('redis.db') });
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const evicting = await failureOf(redisStore(server.port).open());
      expect(evicting.message).toMatch(/maxmemory-policy is allkeys-lru; set it to noeviction/);
      expect(evicting.permanent).toBe(true);
      await admin.config('SET', 'maxmemory-policy', 'noeviction');
      await admin.replicaof('127.0.0.1', 1);
      expect((await failureOf(redisStore(server.port).open())).message).toContain('read-only replica');
    });

    it('looks again at each reconnect, and takes nothing new while the server may evict it', async () => {
      const store = redisStore(server.port);
      await store.open();
      const session = await join(store);
      await session.apply(append('m1'));
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      await admin.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      let batch = session.batch(append('m2'));
      const evicts = /maxmemory-policy is allkeys-lru; set it to noeviction/;
      let refusal: StoreCallError | undefined;
      await until('appends are refused', async () => {
        // Applied before the connection is made anew: its number is used.
        refusal = await failureOf(store.apply(batch)).catch(() => undefined);
        if (refusal === undefined) batch = session.batch(append('m2'));
        return evicts.test(refusal?.message ?? '');
      });
      expect(refusal).toMatchObject({ refused: true, permanent: true });
      // What ends messages passes.
      expect(await store.apply({ ...batch, ops: [] })).toMatchObject({ status: 'applied' });
      await admin.config('SET', 'maxmemory-policy', 'noeviction');
      expect(await patiently(() => session.apply(append('m3')))).toMatchObject({ status: expect.stringMatching(/applied|gap/) });
      await store.close();
    });

    it('asks again with the next call where the server could not answer at the reconnect', async () => {
      let isBusy = false;
      const busy = Object.assign(new Error('BUSY Redis is busy running a script'), { name: 'ReplyError' });
      const client = new Redis(server.port, { enableOfflineQueue: false, lazyConnect: true, maxRetriesPerRequest: 0 });
      const info = client.info.bind(client) as (section: string) => Promise<string>;
      // What the client asks of its own accord, when it connects, has a callback.
      const asked = (section: unknown, done?: unknown): Promise<string> =>
        isBusy && done === undefined && typeof section === 'string' ? Promise.reject(busy) : info(section as string);
      Object.assign(client, { info: asked, config: () => Promise.reject(busy) });
      const store = redisStore(0, { connection: () => client as unknown as RedisClient });
      await store.open();
      const session = await join(store);
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      isBusy = true;
      await admin.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await until('it has connected again', () => client.status !== 'ready');
      await until('it has connected again', () => client.status === 'ready');
      await new Promise((resolve) => setTimeout(resolve, 50));
      const batch = session.batch(append('m1'));
      expect(await failureOf(store.apply(batch))).toMatchObject({ refused: true, message: expect.stringContaining('BUSY') });
      isBusy = false;
      expect(await failureOf(store.apply(batch))).toMatchObject({ message: expect.stringContaining('allkeys-lru') });
      await admin.config('SET', 'maxmemory-policy', 'noeviction');
      expect(await patiently(() => store.apply(batch))).toMatchObject({ status: 'applied' });
      await store.close();
    });

    it('opens where CONFIG and SCRIPT are forbidden, as managed servers do', async () => {
      await admin.acl('SETUSER', 'app', 'on', '>pw', '~aq:*', '+@all', '-config', '-script', '-@dangerous', '+info');
      const store = redisStore(0, { connection: { url: `redis://app:pw@127.0.0.1:${server.port}` } });
      await store.open();
      const session = await join(store);
      expect(await session.apply({ op: 'claim', entity: 'account:a' })).toMatchObject({ status: 'applied' });
      await store.close();
    });

    const openAs = async (rules: readonly string[], more: Partial<RedisStoreOptions> = {}): Promise<void> => {
      await admin.acl('SETUSER', 'app', 'reset', 'on', '>pw', '+@all', ...rules);
      const store = redisStore(0, { connection: { url: `redis://app:pw@127.0.0.1:${server.port}` }, ...more });
      await store.open();
      await store.close();
    };

    it('names what its user may not write with, or read with, before a script could end in the middle of its writes', async () => {
      for (const command of [...WRITES, ...KEY_READS]) {
        const failure = await failureOf(openAs(['~aq:*', `-${command}`]));
        expect(failure.message).toContain(`the scripts use: ${command} on `);
        expect(failure.message).toContain(`ACL SETUSER <user> +${command.toLowerCase()} ~aq:{0}:*`);
        expect(failure).toMatchObject({ refused: true, permanent: true });
      }
      const both = await failureOf(openAs(['~aq:*', '-zadd', '-hincrby']));
      expect(both.message).toContain('ZADD on expiry, ready, dlqindex; allow them');
      expect(both.message).toContain('+hincrby +zadd ~aq:{0}:*');
      const readsDlq = await failureOf(openAs([...keysBut('dlq'), '%R~aq:{0}:dlq']));
      expect(readsDlq.message).toContain('HSET on dlq; HDEL on dlq; HINCRBY on dlq; allow them');
      expect(await admin.keys('*')).toEqual([]);
    });

    it('opens for a user who may do nothing but what it does, and for one who only reads', async () => {
      const allowed = ['EVAL', 'EVALSHA', 'INFO', ...READS, ...WRITES].map((command) => `+${command}`);
      await openAs(['~aq:{0}:*', 'resetchannels', '-@all', ...allowed]);
      await openAs(['%R~aq:{0}:*', '-@write'], { writes: false });
      expect((await failureOf(openAs(['%R~aq:{0}:*']))).message).toContain('HSET on meta, ent, msg');
    });

    it('names every command that a user needs, the time of the server too', async () => {
      await admin.acl('SETUSER', 'app', 'reset', 'on', '>pw', '+@all', '~aq:*', '-time');
      const store = redisStore(0, { connection: { url: `redis://app:pw@127.0.0.1:${server.port}` } });
      await store.open();
      const failure = await failureOf(join(store));
      expect(failure).toMatchObject({
        permanent: true,
        message: expect.stringContaining('it needs eval, evalsha, info, time, type'),
      });
      await store.close();
    });

    it('a user who is forbidden a command meanwhile: whether the batch was applied is unknown, and an operator has to act', async () => {
      const store = redisStore(0, { connection: { url: `redis://app:pw@127.0.0.1:${server.port}` } });
      await openAs(['~aq:*']);
      await store.open();
      const session = await join(store);
      await admin.acl('SETUSER', 'app', '-zadd');
      const failure = await failureOf(session.apply(append('m1', { entity: 'account:other' })));
      expect(failure).toMatchObject({ refused: false, permanent: true, message: expect.stringContaining('lacks a permission') });
      await store.close();
    });

    it('names a foreign key under our prefix, and what is left of other prefixes is none of its business', async () => {
      await admin.set('other:{0}:meta', 'x');
      await admin.set('aq:{0}:ready', 'x');
      const failure = await failureOf(redisStore(server.port).open());
      expect(failure.message).toContain('aq:{0}:ready holds a string');
      expect(failure.message).not.toContain('other:');
      expect(failure.permanent).toBe(true);
    });
  },
  { own: true },
);
