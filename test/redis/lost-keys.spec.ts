/** One key of ours is deleted, by hand or by an eviction, or one field of `meta`, beneath a running node: it goes on, or says what is missing and closes. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AtomicQueuesError } from '../../src/core/errors.js';
import { KEY_TYPES } from '../../src/redis/server-checks.js';
import { type Handle, msg, node, sleep, until, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { append, join, message, redisStore, type Session } from './support.js';

/** What nothing is lost with: it is made anew, or found elsewhere. */
const RECOVERS = ['ready', 'member', 'schema', 'leader'];
/** One server for all tests of the suite that calls this. */
function oneServer(): { readonly server: RedisServer; readonly admin: Redis } {
  const one = {} as { server: RedisServer; admin: Redis };
  beforeAll(async () => {
    one.server = await startRedis();
    one.admin = new Redis(one.server.url).on('error', () => {});
  });
  afterAll(async () => {
    one.admin.disconnect();
    await one.server.stop();
  });
  return one;
}

const CONFIG = fast({ nodeTTLMs: 2000, leaseMarginMs: 100 });

describeRedis(
  'a key that is gone',
  () => {
    it.each(Object.keys(KEY_TYPES))('%s', async (key) => {
      const server = await startRedis();
      const admin = new Redis(server.url).on('error', () => {});
      let closedBy: AtomicQueuesError | undefined;
      const handle: Handle = async (p, name) => {
        if (name === 'Query') throw new Error('a dead letter');
        await sleep((p as { ms?: number }).ms ?? 0);
        return 'done';
      };
      const n = node(
        { ...world(), store: redisStore(server.port, { storeCallTimeoutMs: 2000 }) },
        handle,
        CONFIG,
        undefined,
        undefined,
        { onClosed: (why) => (closedBy = why) },
      );
      await n.start();
      const call = (id: string, more: Parameters<typeof msg>[2] = {}, ms = 5) =>
        n.enqueueAndWait(msg(id, { ms }, more), { timeoutMs: 4000 });
      await call('first', { id: 'given' });
      await call('first', { name: 'Query' }).catch(() => undefined);
      // Under load: some run, some wait behind them.
      let stops = false;
      const load = Array.from({ length: 8 }, async (_, i) => {
        while (!stops && closedBy === undefined) {
          await Promise.allSettled([call(`e${i}`, {}, 100), call(`e${i}`), call(`e${i}`, { id: `g${Math.random()}` })]);
        }
      });
      await sleep(300);
      await admin.del(`aq:{0}:${key}`);
      if (RECOVERS.includes(key)) {
        await sleep(3000);
        await until(
          'it works',
          () =>
            Promise.all([call('e1'), call('new')]).then(
              () => true,
              () => false,
            ),
          20_000,
        );
        expect(closedBy).toBeUndefined();
      } else {
        await until('it has closed', () => closedBy !== undefined, 20_000);
        expect(closedBy?.code).toBe('STORE_LOST');
        // Without these the log contradicts an owner at once, and that is what is said then.
        if (!['meta', 'ent', 'msg'].includes(key)) expect(closedBy?.message).toMatch(new RegExp(`${key}|fails in the same way`));
      }
      stops = true;
      await Promise.all(load);
      await n.stop();
      admin.disconnect();
      await server.stop();
    });

    it('what the ready set has lost is found in the log', async () => {
      const server = await startRedis();
      const admin = new Redis(server.url).on('error', () => {});
      const store = redisStore(server.port, { storeCallTimeoutMs: 2000 });
      await store.open();
      const before = await join(store, 'g1', { leaseTtlMs: 300 });
      await before.apply(append('m1', { entity: 'account:orphan', begin: false }));
      await admin.del('aq:{0}:ready');
      const ran: string[] = [];
      const w = { ...world(), store: redisStore(server.port, { storeCallTimeoutMs: 2000 }) };
      const n = node(w, (_p, _name, id) => void ran.push(id), CONFIG, ['Deposit']);
      await n.start();
      await until('it has run', () => ran.includes('orphan'), 15_000);
      expect(n.status().state).toBe('running');
      await n.stop();
      await store.close();
      admin.disconnect();
      await server.stop();
    });
  },
  { own: true },
);

/** Fields of `meta`; those of a session are found by their pattern. What nothing is lost with, and what every node needs. */
const HARMLESS = ['t1', 's1.*:0', 's1.*:1'];
const COUNTERS = ['seq', 'fence', 'letter', 'incarnation', 'epoch', 'depth', 'active'];
const SETTINGS = ['workersMax', 'leaseTtl', 'hold', 'entryTtl', 'resultTtl', 'depthMax', 'leaderTtl', 'leaderDebounce'];
const FIELDS = ['generation', 'schema', ...COUNTERS, ...SETTINGS, 's1.*', ...HARMLESS];
/** Those that never go down. */
const RISING = ['seq', 'fence', 'letter', 'incarnation', 'epoch'];

describeRedis(
  'a field of meta that is gone',
  () => {
    const redis = oneServer();

    /** A store under a prefix of its own, with a node that notes what it runs. */
    function scene(prefix: string) {
      const ran: Record<string, number[]> = {};
      let closedBy: AtomicQueuesError | undefined;
      const handle: Handle = async (p, name, id) => {
        if (name === 'Query') throw new Error('a dead letter');
        const { k, ms } = p as { k: number; ms: number };
        ran[id] = [...(ran[id] ?? []), k];
        await sleep(ms);
        return 'done';
      };
      const start = async (port = redis.server.port) => {
        const store = redisStore(port, { storeCallTimeoutMs: 2000, keyPrefix: prefix });
        const n = node({ ...world(), store }, handle, CONFIG, undefined, undefined, { onClosed: (why) => (closedBy = why) });
        await n.start();
        return n;
      };
      const meta = `${prefix}:{0}:meta`;
      return {
        start,
        closedBy: () => closedBy,
        async lose(pattern: string): Promise<void> {
          const [head = '', tail = ''] = pattern.split('*');
          const fields = (await redis.admin.hkeys(meta)).filter((f) =>
            pattern.includes('*')
              ? f.startsWith(head) && f.endsWith(tail) && f.includes(':') === tail.includes(':')
              : f === pattern,
          );
          expect(fields).toHaveLength(1);
          expect(await redis.admin.hdel(meta, ...fields)).toBe(1);
        },
        counters: async (): Promise<number[]> => (await redis.admin.hmget(meta, ...RISING)).map(Number),
        /** Nothing ran twice, and what ran of an entity ran in order. */
        judge(): void {
          for (const [id, ks] of Object.entries(ran)) expect([id, ks]).toEqual([id, [...new Set(ks)].sort((a, b) => a - b)]);
        },
      };
    }

    /** No counter went down, and the one that is gone was not begun anew. */
    function expectRisen(now: readonly number[], before: readonly number[], field: string): void {
      for (const [i, name] of RISING.entries()) {
        const isRight = name === field ? now[i] === 0 || now[i]! > before[i]! : now[i]! >= before[i]!;
        expect(`${name} ${isRight}`).toBe(`${name} true`);
      }
    }

    it.each(FIELDS)('%s, under load', async (field) => {
      const s = scene(`load-${field.replace(/\W/g, '')}`);
      const n = await s.start();
      let k = 0;
      const call = (id: string, more: Parameters<typeof msg>[2] = {}, ms = 5) =>
        n.enqueueAndWait(msg(id, { ms, k: k++ }, more), { timeoutMs: 4000 });
      await call('first', { id: 'given' });
      await call('first', { name: 'Query' }).catch(() => undefined);
      let stops = false;
      const load = Array.from({ length: 6 }, async (_, i) => {
        while (!stops && s.closedBy() === undefined) {
          await Promise.allSettled([call(`e${i}`, {}, 50), call(`e${i}`), call(`new${k}`), call(`e${i}`, { id: `g${k}` })]);
        }
      });
      let before: readonly number[] = [];
      try {
        await sleep(300);
        before = await s.counters();
        await s.lose(field);
        if (HARMLESS.includes(field)) {
          await sleep(1500);
          await Promise.all([call('e1'), call('new')]);
          expect(s.closedBy()).toBeUndefined();
        } else {
          await until('it has closed', () => s.closedBy() !== undefined, 10_000);
          expect(s.closedBy()?.code).toBe('STORE_LOST');
        }
      } finally {
        stops = true;
        await n.stop();
        await Promise.all(load);
      }
      s.judge();
      expectRisen(await s.counters(), before, field);
    });

    it('the answer to a batch that is sent again is a loss, not a malformed answer for ever', async () => {
      const store = redisStore(redis.server.port, { keyPrefix: 'again' });
      await store.open();
      const session = await join(store);
      const batch = session.batch(append('m1'));
      expect((await store.apply(batch)).status).toBe('applied');
      await redis.admin.hdel('again:{0}:meta', `s1.${session.token}:1`);
      expect(await store.apply(batch)).toEqual({ status: 'unknown' });
      await store.close();
    });

    it.each(FIELDS.filter((field) => !field.startsWith('s1')))('%s, while no node runs', async (field) => {
      const s = scene(`none-${field}`);
      const first = await s.start();
      let k = 0;
      const call = (n: typeof first, id: string, more: Parameters<typeof msg>[2] = {}) =>
        n.enqueueAndWait(msg(id, { ms: 0, k: k++ }, more), { timeoutMs: 4000 });
      await Promise.all([call(first, 'a', { id: 'given' }), call(first, 'b')]);
      await call(first, 'a', { name: 'Query' }).catch(() => undefined);
      await until('it is master', async () => (await s.counters())[4]! > 0);
      await first.stop();
      const before = await s.counters();
      await s.lose(field);
      const again = await s.start().catch((error: AtomicQueuesError) => error);
      if (again instanceof Error) {
        expect(again.code).toBe('STORE_LOST');
      } else {
        const works = await Promise.all([call(again, 'a'), call(again, 'c')]).then(
          () => true,
          () => false,
        );
        if (!works) await until('it has closed', () => s.closedBy() !== undefined, 10_000);
        await again.stop();
      }
      s.judge();
      expectRisen(await s.counters(), before, field);
    });
  },
  { own: true },
);

describeRedis(
  'a key that is gone since no node ran',
  () => {
    const redis = oneServer();

    /** Nodes under a prefix of their own, and a session of the same store that is no node. */
    function scene(keyPrefix: string) {
      const ran: string[] = [];
      const ended: { closedBy?: AtomicQueuesError } = {};
      const open = () => redisStore(redis.server.port, { storeCallTimeoutMs: 2000, keyPrefix });
      return {
        ran,
        ended,
        open,
        key: (name: string) => `${keyPrefix}:{0}:${name}`,
        async start() {
          const handle: Handle = (p, name, id) => {
            ran.push(`${id}${(p as { k?: number }).k ?? ''}`);
            if (name === 'Query') throw new Error('a dead letter');
          };
          const onClosed = (why: AtomicQueuesError) => (ended.closedBy = why);
          const names = ['Do', 'Query', 'Deposit'];
          const n = node({ ...world(), store: open() }, handle, CONFIG, names, undefined, { onClosed });
          await n.start();
          return n;
        },
        /** Logs messages whose entities have no owner, by an incarnation that leaves. */
        async logAndLeave(...ops: Parameters<Session['apply']>): Promise<void> {
          const store = open();
          await store.open();
          const session = await join(store, 'g1', { entryTtlMs: 60_000 });
          await session.apply(...ops);
          expect(await store.control({ op: 'leave', ...session.remembered })).toMatchObject({ ok: true });
          await store.close();
        },
      };
    }

    const waits = (k: number, given = false) =>
      append(`m${k}`, {
        ...{ entity: 'account:orphan', begin: false },
        message: message(`m${k}`, { payload: `{"k":${k}}`, given, digest: given ? 'd' : '' }),
      });

    /** A start creates these again. */
    const CREATED_AGAIN = [...RECOVERS, 'contract', 'owns'];

    it.each(Object.keys(KEY_TYPES))('%s as a whole, while no node runs', async (key) => {
      const s = scene(`whole-${key}`);
      const first = await s.start();
      await first.enqueueAndWait(msg('a', {}, { id: 'given' }), { timeoutMs: 4000 });
      await first.enqueueAndWait(msg('a', {}, { name: 'Query' }), { timeoutMs: 4000 }).catch(() => undefined);
      await first.stop();
      await s.logAndLeave(waits(1, true), waits(2));
      const letters = await redis.admin.hgetall(s.key('dlq'));
      expect(Object.keys(letters)).toEqual(['1']);
      await redis.admin.del(s.key(key));
      const again = await s.start().catch((error: AtomicQueuesError) => error);
      if (key === 'meta') {
        expect(again).toMatchObject({ code: 'STORE_LOST', message: expect.stringMatching(/meta key.* backup/) });
        expect(await redis.admin.hgetall(s.key('dlq'))).toEqual(letters);
        expect(s.ran).not.toContain('orphan1');
        expect(await redis.admin.exists(s.key('meta'))).toBe(0);
        return;
      }
      if (again instanceof Error) throw again;
      if (CREATED_AGAIN.includes(key)) {
        await until('it has run', () => s.ran.includes('orphan2'), 15_000);
        expect(s.ended.closedBy).toBeUndefined();
      } else {
        await until('it has closed', () => s.ended.closedBy !== undefined, 10_000);
        expect(s.ended.closedBy?.code).toBe('STORE_LOST');
      }
      await again.stop();
    });

    it('a start after FLUSHALL begins with an empty store', async () => {
      const s = scene('flushed');
      const first = await s.start();
      await first.enqueueAndWait(msg('a'), { timeoutMs: 4000 });
      await first.stop();
      await redis.admin.del(...(await redis.admin.keys('flushed:*')));
      const again = await s.start();
      await again.enqueueAndWait(msg('a'), { timeoutMs: 4000 });
      await again.stop();
    });

    it('the rows of waiting entities without an owner, which the claims of the sweep create again', async () => {
      const s = scene('masked');
      await s.logAndLeave(waits(1), waits(2));
      await redis.admin.del(s.key('ent'));
      const n = await s.start();
      const more = setInterval(() => void n.enqueue(msg(`new${Math.random()}`)).catch(() => undefined), 20);
      try {
        await until('it has closed', () => s.ended.closedBy !== undefined, 10_000);
      } finally {
        clearInterval(more);
        await n.stop();
      }
      expect(s.ended.closedBy).toMatchObject({ code: 'STORE_LOST', message: expect.stringMatching(/\bent\b/) });
    });

    it.each(['pending', 'running'])('what is kept of an id that the caller gave, of a message that is %s', async (state) => {
      const s = scene(`ids-${state}`);
      const store = s.open();
      await store.open();
      const session = await join(store);
      if (state === 'running') await session.apply({ op: 'claim', entity: 'account:orphan' });
      await session.apply({ ...waits(1, true), begin: state === 'running' });
      const audit = async () => {
        const { incarnation } = session.joined;
        return (await store.control({ op: 'audit', incarnation, owned: 0, cursor: '0' })).missing;
      };
      expect(await audit()).toEqual([]);
      expect(await redis.admin.del(s.key('kept'))).toBe(1);
      expect(await audit()).toEqual(['kept']);
      await store.close();
    });

    it('what runs for an owner that no member record names is taken over', async () => {
      const s = scene('unlisted');
      const store = s.open();
      await store.open();
      const dead = await join(store, 'g1', { leaseTtlMs: 300 });
      await dead.apply({ op: 'claim', entity: 'account:orphan' }, { ...waits(1), begin: true }, { ...waits(2), begin: true });
      await store.close();
      await redis.admin.hdel(s.key('member'), String(dead.joined.incarnation));
      const n = await s.start();
      await until('what waited behind it has run', () => s.ran.includes('orphan2'), 10_000);
      expect(s.ran).not.toContain('orphan1');
      expect(await redis.admin.hlen(s.key('dlq'))).toBe(1);
      expect(s.ended.closedBy).toBeUndefined();
      await n.stop();
    });
  },
  { own: true },
);
