import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import type { FinishOp, SessionOp } from '../../src/core/log/operations.js';
import { describeRedis, startRedis } from '../support/redis-server.js';
import { append, ENTITY, join, message, redisStore } from './support.js';

const ELSEWHERE = 99;

const finish = (seq: number): FinishOp => ({
  ...{ op: 'finish', entity: ENTITY, fence: 1, seq, attempt: 1, next: -1, sends: [] },
  outcome: { state: 'completed', result: '7', error: '' },
});
const begin: SessionOp = { op: 'begin', entity: ENTITY, fence: 1, have: 0 };

/** A call that waits elsewhere, one that nobody waits for, and two that come before the first begins. */
const STEPS: readonly SessionOp[] = [
  { op: 'claim', entity: ENTITY },
  ...[append('m1', { begin: false, message: message('m1', { waiter: ELSEWHERE }) }), begin, finish(1)],
  ...[append('m2', { begin: false }), begin, finish(2)],
  append('m3', { begin: false, message: message('m3', { waiter: ELSEWHERE }) }),
  ...[append('m4', { begin: false }), begin, finish(3), begin],
];

const untimed = (value: unknown): string => JSON.stringify(value).replace(/\d{13}/g, '0');

/** All that is stored, without times and without what a batch answered. */
async function stored(redis: Redis, prefix: string): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const key of (await redis.keys(`${prefix}:{0}:*`)).sort()) {
    const name = key.slice(key.lastIndexOf(':') + 1);
    const isHash = (await redis.type(key)) === 'hash';
    const value = isHash ? Object.entries(await redis.hgetall(key)).sort() : (await redis.zrange(key, 0, -1)).sort();
    all[name] = (JSON.parse(untimed(value)) as unknown[]).filter((field) => !(Array.isArray(field) && /^s\d/.test(field[0])));
  }
  return all;
}

describeRedis(
  'a lone step',
  () => {
    it('leaves in Redis what it leaves in a batch of several, after each', async () => {
      const server = await startRedis();
      const admin = new Redis(server.url);
      const prefixes = ['lone', 'several'];
      const stores = prefixes.map((keyPrefix) => redisStore(server.port, { keyPrefix }));
      for (const store of stores) await store.open();
      const [lone, several] = [await join(stores[0] as never), await join(stores[1] as never)];
      const kinds = new Set<string>();
      for (const op of STEPS) {
        const alone = await lone.apply(op);
        const among = await several.apply(op, { op: 'expire', max: 10 });
        if (alone.status !== 'applied' || among.status !== 'applied') throw new Error(`${alone.status} ${among.status}`);
        expect(untimed(alone.answers[0])).toBe(untimed(among.answers[0]));
        const [a, b] = [await stored(admin, 'lone'), await stored(admin, 'several')];
        expect(a).toEqual(b);
        for (const kind of Object.keys(a)) kinds.add(kind);
      }
      // What is kept for somebody has to end some time.
      expect(await admin.zcard('lone:{0}:expiry')).toBe(2);
      expect(await admin.hlen('lone:{0}:kept')).toBe(2);
      expect([...kinds]).toEqual(expect.arrayContaining(['ent', 'msg', 'ready', 'kept', 'expiry']));
      for (const store of stores) await store.close();
      admin.disconnect();
      await server.stop();
    });
  },
  { own: true },
);
