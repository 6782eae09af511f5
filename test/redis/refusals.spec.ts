import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SessionOp } from '../../src/core/log/operations.js';
import { storeCallErrorOf } from '../../src/redis/failures.js';
import type { RedisStore } from '../../src/redis/store.js';
import { until } from '../runtime/harness.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { append, ENTITY, failureOf, join, joinOf, patiently, redisStore, Session } from './support.js';

describe('a permission that is missing', () => {
  const replyOf = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' });

  it.each([
    ["NOPERM this user has no permissions to run the 'evalsha' command", true],
    ["ERR ACL failure in script: User app has no permissions to run the 'zadd' command script: 1f, on @user_script:1.", false],
    ["ERR The user executing the script can't run this command or subcommand script: 1f, on @user_script:1.", false],
    [
      "ERR Error running script (call to f_1f): @user_script:1: @user_script: 1: The user executing the script can't run this command",
      false,
    ],
  ])('%s', (message, refused) => {
    const failure = storeCallErrorOf(replyOf(message));
    expect(failure).toMatchObject({ refused, permanent: true, message: expect.stringContaining('lacks a permission') });
  });
});

it.each([
  ['ERR user_script:175: attempt to get length of local record (a nil value) script: 46, on @user_script:175.', 'broken'],
  ['ERR Error running script (call to f_1f): @user_script:12: user_script:12: attempt to index a nil value', 'broken'],
  ['ERR Error compiling script (new function): user_script:1: unexpected symbol near x', ''],
])('%s: whether something in the store is missing', (message, kind) => {
  const failure = storeCallErrorOf(Object.assign(new Error(message), { name: 'ReplyError' }));
  expect(failure).toMatchObject({ refused: kind === '', kind });
});

describeRedis(
  'what a Redis refuses',
  () => {
    let server: RedisServer;
    let admin: Redis;
    let store: RedisStore;
    let session: Session;

    /** Everything that is stored, byte by byte. */
    async function dump(): Promise<Record<string, string | undefined>> {
      const keys = (await admin.keys('aq:*')).sort();
      const dumped = await Promise.all(keys.map((key) => admin.dumpBuffer(key)));
      return Object.fromEntries(keys.map((key, i) => [key, dumped[i]?.toString('base64')]));
    }

    const finish = (seq: number) => ({
      ...{ op: 'finish' as const, entity: ENTITY, fence: 1, seq, attempt: 1, sends: [], next: 0 },
      outcome: { state: 'completed' as const, result: '', error: '' },
    });

    const withdraw = { op: 'withdraw' as const, entity: ENTITY, id: 'm2', seq: 2 };

    /** Puts a key of another type in the place of ours; returns what is stored then. */
    async function occupied(key: string): Promise<Record<string, string | undefined>> {
      const name = `aq:{0}:${key}`;
      if ((await admin.exists(name)) === 1) await admin.rename(name, 'aside');
      await admin.set(name, 'foreign');
      return dump();
    }

    beforeEach(async () => {
      server = await startRedis();
      admin = new Redis(server.url).on('error', () => {});
      store = redisStore(server.port);
      await store.open();
      session = await join(store);
      await session.apply({ op: 'claim', entity: ENTITY }, append('m1'), append('m2'));
    });

    afterEach(async () => {
      await store.close();
      admin.disconnect();
      await server.stop();
    });

    it('a script it does not know is sent whole, once', async () => {
      await admin.script('FLUSH');
      expect(await session.apply(append('m3'))).toMatchObject({ status: 'applied', answers: [{ seq: 3, depth: 3 }] });
      await admin.script('FLUSH');
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 3 });
    });

    it('out of memory: appends are certainly refused and change nothing; what ends messages, and beats, pass', async () => {
      const before = await dump();
      await admin.config('SET', 'maxmemory', '1');
      const batch = session.batch(append('m3'), finish(1));
      const failure = await failureOf(store.apply(batch));
      expect(failure).toMatchObject({ refused: true, permanent: false, message: expect.stringContaining('out of memory') });
      expect(await dump()).toEqual(before);
      expect(await store.apply({ ...batch, ops: [finish(1)] })).toMatchObject({ answers: [{ ok: true, next: { seq: 2 } }] });
      expect(await store.control({ op: 'heartbeat', ...session.identity, heartbeat: 1, acknowledged: 0 })).toMatchObject({
        ok: true,
      });
      expect(await session.apply({ ...finish(2), outcome: { state: 'failed', result: '', error: '{}' } })).toMatchObject({
        status: 'applied',
        answers: [{ ok: true }],
      });
      expect((await failureOf(store.control({ op: 'replay', letter: '1', force: false }))).refused).toBe(true);
      expect(
        await session.apply({ op: 'expire', max: 10 }, { op: 'release', entity: ENTITY, fence: 1, handoff: false }),
      ).toMatchObject({ status: 'applied', answers: [{ ok: true }, { ok: true }] });
      await admin.config('SET', 'maxmemory', '0');
      expect(await store.control({ op: 'replay', letter: '1', force: false })).toMatchObject({ ok: true });
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 1, letters: 1 });
    });

    it('out of memory, an expire before an append in one batch does not let the append pass', async () => {
      const before = await dump();
      await admin.config('SET', 'maxmemory', '1');
      expect((await failureOf(session.apply({ op: 'expire', max: 10 }, append('m3')))).refused).toBe(true);
      expect(await dump()).toEqual(before);
    });

    it('as a read-only replica: certainly refused, and the same batch passes after the failover', async () => {
      await admin.replicaof('127.0.0.1', 1);
      const batch = session.batch(append('m3'));
      expect(await failureOf(store.apply(batch))).toMatchObject({ refused: true, message: expect.stringContaining('replica') });
      await admin.replicaof('NO', 'ONE');
      expect(await patiently(() => store.apply(batch))).toMatchObject({ answers: [{ seq: 3, depth: 3 }] });
    });

    it.each<[string, ...(() => SessionOp)[]]>([
      ['ready', () => append('m3', { entity: 'account:other' })],
      ['msg', () => append('m3')],
      ['owns', () => ({ op: 'claim' as const, entity: 'account:other' })],
      ['owns', () => withdraw, () => ({ op: 'claim' as const, entity: 'account:other' })],
      ['kept', () => append('k', { message: { ...append('k').message, given: true, digest: 'd' } })],
      ['dlq', () => ({ ...finish(1), outcome: { state: 'failed' as const, result: '', error: '{}' } })],
      ['expiry', () => ({ op: 'expire' as const, max: 5 })],
      ['ent', () => append('m3')],
      ['meta', () => append('m3')],
    ])('a key of another type in the place of %s: certainly refused, named, nothing changed', async (key, ...ops) => {
      const before = await occupied(key);
      const failure = await failureOf(session.apply(...ops.map((op) => op())));
      expect(failure).toMatchObject({ refused: true, permanent: true, message: expect.stringContaining('WRONGTYPE') });
      expect(await dump()).toEqual(before);
    });

    it.each([
      ['contract', 'join', () => store.control({ ...joinOf('g1'), serverId: 's2', token: 't-2' })],
      ['contract', 'leave', () => store.control({ op: 'leave', ...session.remembered })],
      ['dlqof', 'purge', () => store.control({ op: 'purge', letter: '1' })],
    ])('a key of another type in the place of %s: a %s is certainly refused too', async (key, _, call) => {
      const failed = { ...finish(1), outcome: { state: 'failed' as const, result: '', error: '{}' } };
      await session.apply(withdraw, failed, { op: 'release', entity: ENTITY, fence: 1, handoff: false });
      const before = await occupied(key);
      expect(await failureOf(call())).toMatchObject({ refused: true, message: expect.stringContaining('WRONGTYPE') });
      expect(await dump()).toEqual(before);
    });

    it('a key of another type in the place of contract: the take-over that forgets a dead member is certainly refused too', async () => {
      const dead = await store.control({ ...joinOf('g1', { leaseTtlMs: 1 }), serverId: 's2', token: 't-2' });
      if (!dead.ok) throw new Error(dead.code);
      const { incarnation } = dead;
      await new Session(store, dead, 't-2').apply({ op: 'claim', entity: 'account:other' });
      const evict = (): Promise<{ ok: boolean }> =>
        store.control({ op: 'evict', generation: 'g1', incarnation, heartbeatSeen: 0 });
      await until('its lease is over', async () => (await evict()).ok);
      const takeover = { op: 'takeover' as const, entity: 'account:other', incarnation };
      const before = await occupied('contract');
      expect(await failureOf(session.apply(takeover))).toMatchObject({ refused: true });
      expect(await dump()).toEqual(before);
    });

    it('a key of another type that a batch does not write to stops nothing', async () => {
      await admin.set('aq:{0}:expiry', 'foreign');
      expect(await session.apply(withdraw)).toMatchObject({ status: 'applied' });
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 1 });
    });

    it('an error that it cannot place counts as unknown', async () => {
      await admin.config('RESETSTAT');
      await admin.hset('aq:{0}:meta', 'depth', 'no number');
      expect(await failureOf(session.apply(append('m3')))).toMatchObject({ refused: false, permanent: false });
    });

    it('leaves nothing behind when everything has ended and is released', async () => {
      await session.apply(finish(1));
      await session.apply(finish(2), { op: 'release', entity: ENTITY, fence: 1, handoff: false });
      await store.control({ op: 'leave', ...session.remembered });
      expect(await admin.keys('aq:*')).toEqual(['aq:{0}:meta']);
    });

    it('what is gone of the dead letters and of what runs is passed over, the rest is shown', async () => {
      const failed = { state: 'failed' as const, result: '', error: '{}' };
      await session.apply({ ...finish(1), next: 2, outcome: failed }, { ...finish(2), outcome: failed }, append('m3'));
      expect(await store.control({ op: 'letters', after: '', max: 10 })).toMatchObject({ letters: [{ id: '1' }, { id: '2' }] });
      await admin.hdel('aq:{0}:dlq', '1');
      expect(await store.control({ op: 'letters', after: '', max: 10 })).toMatchObject({ letters: [{ id: '2' }] });
      expect(await store.control({ op: 'letters', after: '', max: 1 })).toMatchObject({ letters: [{ id: '2' }] });
      await admin.del('aq:{0}:dlq');
      expect(await store.control({ op: 'letters', after: '', max: 10 })).toMatchObject({ letters: [] });
      await session.apply(append('m4'));
      expect(await store.control({ op: 'entity', entity: ENTITY, max: 5 })).toMatchObject({ running: { seq: 3 } });
      await admin.hdel('aq:{0}:msg', `${ENTITY}\x1e3`);
      const shown = await store.control({ op: 'entity', entity: ENTITY, max: 5 });
      expect(shown).toMatchObject({ ok: true, running: undefined, pending: [{ seq: 4 }] });
    });

    it('an owned idle entity costs at most 200 bytes', async () => {
      const entities = Array.from({ length: 5000 }, (_, i) => `account:account-number-${i}`);
      const used = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1]);
      const before = await used();
      for (let i = 0; i < entities.length; i += 250) {
        await session.apply(...entities.slice(i, i + 250).map((entity) => ({ op: 'claim' as const, entity })));
      }
      expect(((await used()) - before) / entities.length).toBeLessThan(200);
    });
  },
  { own: true },
);
