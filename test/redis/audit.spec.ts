/** What the audit misses in a store from which keys were deleted, one at a time, while no message waits or runs. */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RedisStore } from '../../src/redis/store.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { append, ENTITY, join, message, redisStore, type Session } from './support.js';

describeRedis(
  'the audit of a store whose messages have all ended',
  () => {
    let server: RedisServer;
    let admin: Redis;
    let store: RedisStore;
    let session: Session;

    const audit = async (): Promise<readonly string[]> => {
      const { incarnation } = session.joined;
      return (await store.control({ op: 'audit', incarnation, owned: 1, cursor: '0' })).missing;
    };

    /** Runs a message whose id its caller gave. */
    const run = (seq: number) =>
      session.apply(append(`m${seq}`, { message: message(`m${seq}`, { given: true, digest: 'd' }) }), {
        ...{ op: 'finish', entity: ENTITY, fence: 1, seq, attempt: 1, sends: [], next: -1 },
        outcome: { state: 'completed', result: '', error: '' },
      });

    beforeEach(async () => {
      server = await startRedis();
      admin = new Redis(server.url).on('error', () => {});
      store = redisStore(server.port);
      await store.open();
      session = await join(store, 'g1', { entryTtlMs: 60_000 });
      await session.apply({ op: 'claim', entity: ENTITY });
      await run(1);
      await run(2);
      expect(await audit()).toEqual([]);
    });

    afterEach(async () => {
      await store.close();
      admin.disconnect();
      await server.stop();
    });

    it.each(['kept', 'expiry', 'owns', 'contract'])('%s', async (key) => {
      expect(await admin.del(`aq:{0}:${key}`)).toBe(1);
      expect(await audit()).toEqual([key]);
    });

    it('one of the ids that are kept', async () => {
      expect(await admin.hdel('aq:{0}:kept', `${ENTITY}\x1em1`)).toBe(1);
      expect(await audit()).toEqual(['kept']);
    });

    it('the id of one that runs, and of one that waits', async () => {
      const given = (id: string, entity: string) => append(id, { entity, message: message(id, { given: true, digest: 'd' }) });
      await session.apply(given('m3', ENTITY), given('m4', 'account:waits'));
      expect(await audit()).toEqual([]);
      for (const field of [`${ENTITY}\x1em3`, 'account:waits\x1em4']) {
        const kept = (await admin.hget('aq:{0}:kept', field)) as string;
        expect(await admin.hdel('aq:{0}:kept', field)).toBe(1);
        expect(await audit()).toEqual(['kept']);
        await admin.hset('aq:{0}:kept', field, kept);
      }
    });

    it('the time at which one of them expires', async () => {
      expect(await admin.zrem('aq:{0}:expiry', `${ENTITY}\x1em2`)).toBe(1);
      expect(await audit()).toEqual(['expiry']);
    });

    it('the id of a message of old, which is kept once more for a new one, also past the time of the old one', async () => {
      const old = `${ENTITY}\x1em1`;
      expect(await admin.hdel('aq:{0}:kept', old)).toBe(1);
      const again = append('m1', { message: message('m1', { given: true, digest: 'd' }) });
      expect(await session.apply(again)).toMatchObject({ answers: [{ ok: true, seq: 3 }] });
      await admin.zadd('aq:{0}:expiry', 1, old);
      expect(await session.apply({ op: 'expire', max: 10 }, again)).toMatchObject({
        answers: [
          { ok: true, count: 0 },
          { ok: true, seq: 3, known: { state: 'live' } },
        ],
      });
    });

    it.each(['leaderTtl', 'leaderDebounce'])('%s of meta, without which no node becomes master', async (field) => {
      expect(await store.control({ op: 'lead', ...session.identity })).toMatchObject({ ok: true });
      expect(await admin.hdel('aq:{0}:meta', field)).toBe(1);
      expect(await audit()).toEqual([`meta ${field}`]);
      expect(await store.control({ op: 'lead', ...session.identity })).toMatchObject({ ok: false, code: 'LOST' });
    });
  },
  { own: true },
);
