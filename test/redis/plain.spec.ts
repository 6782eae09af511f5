import { Redis } from 'ioredis';
import { expect, it, vi } from 'vitest';
import type { AppendOp, FinishOp, NewMessage, SessionOp } from '../../src/core/log/operations.js';
import { describeRedis, startRedis } from '../support/redis-server.js';
import { append, join, message, redisStore } from './support.js';

const ELSEWHERE = 99;
const [A, B, C] = ['account:a', 'account:b', 'account:c'] as const;
const FENCE = { [A]: 1, [B]: 2, [C]: 3 };
type Entity = keyof typeof FENCE;

const claim = (entity: Entity): SessionOp => ({ op: 'claim', entity });
const add = (entity: Entity, id: string, more: Partial<NewMessage> = {}, op: Partial<AppendOp> = {}): SessionOp =>
  append(id, { entity, message: message(id, more), begin: false, ...op });
const waited = (entity: Entity, id: string): SessionOp => add(entity, id, { waiter: ELSEWHERE });
const begun = (entity: Entity, id: string): SessionOp => add(entity, id, {}, { begin: true });
const given = (entity: Entity, id: string): SessionOp => add(entity, id, { given: true, digest: 'd' });
const begin = (entity: Entity, have = 0): SessionOp => ({ op: 'begin', entity, fence: FENCE[entity], have });
const finish = (entity: Entity, seq: number, next = 0): FinishOp => ({
  ...{ op: 'finish', entity, fence: FENCE[entity], seq, attempt: 1, next, sends: [] },
  outcome: { state: 'completed', result: '7', error: '' },
});

interface Batch {
  readonly ops: readonly SessionOp[];
  /** The short way leaves it to the general part. */
  readonly isGeneral?: boolean;
}

/** The entities of all stand in each state that the short way knows, and leave it by each of its steps. */
const BATCHES: readonly Batch[] = [
  { ops: [claim(A), claim(B), claim(C)] },
  // A call from elsewhere by itself, then several on their way at once.
  { ops: [waited(A, 'a1')] },
  { ops: [begin(A)] },
  { ops: [finish(A, 1)] },
  { ops: [add(A, 'a2'), waited(B, 'b1'), begun(C, 'c1')] },
  { ops: [add(A, 'a3'), waited(B, 'b2')] },
  { ops: [begin(A, 2), begin(B), add(C, 'c2')] },
  { ops: [waited(A, 'a4'), add(B, 'b3'), waited(C, 'c3')] },
  // Next is one for nobody, one for somebody elsewhere, and one for nobody again.
  { ops: [finish(A, 2), finish(B, 1, 2), finish(C, 1, 2)] },
  { ops: [finish(A, 3), finish(B, 2), finish(C, 2, 0)] },
  { ops: [finish(A, 4), finish(B, 3), finish(C, 3)] },
  // What the caller named is kept for longer.
  { ops: [given(A, 'x')], isGeneral: true },
  { ops: [begin(A)] },
  { ops: [finish(A, 5)] },
  // What is not plain: nothing to begin, nothing that may begin, a step on what has changed in this batch.
  { ops: [begin(B)], isGeneral: true },
  { ops: [begun(B, 'b4'), add(C, 'c4')] },
  { ops: [add(B, 'b5'), finish(B, 4, -1)], isGeneral: true },
  { ops: [begin(B), begin(C)] },
  { ops: [finish(C, 4), add(C, 'c5'), begin(C)], isGeneral: true },
  { ops: [finish(B, 5), finish(C, 5)] },
  { ops: [add(B, 'b6'), add(B, 'b7'), waited(C, 'c6')] },
  { ops: [begin(B), finish(B, 6, -1), begin(C)], isGeneral: true },
  { ops: [begin(B), finish(C, 6)] },
  { ops: [finish(B, 7), add(A, 'a6')] },
  { ops: [begin(A), finish(A, 6), add(A, 'a7')], isGeneral: true },
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

/** Times at which what is kept expires, in seconds from now. */
async function keptSeconds(redis: Redis, prefix: string): Promise<readonly number[]> {
  const [now] = await redis.time();
  const scored = await redis.zrange(`${prefix}:{0}:expiry`, 0, -1, 'WITHSCORES');
  return scored.filter((_, i) => i % 2 === 1).map((atMs) => Math.round(Number(atMs) / 1000 - Number(now)));
}

describeRedis(
  'the short way of plain steps',
  () => {
    it('is taken, answers and leaves in Redis what the general part does, after each', async () => {
      const server = await startRedis();
      const admin = new Redis(server.url);
      const monitor = await admin.monitor();
      const stores = ['short', 'general'].map((keyPrefix) => redisStore(server.port, { keyPrefix }));
      for (const store of stores) await store.open();
      const ttls = { resultTtlMs: 1000_000, entryTtlMs: 5000_000 };
      const [short, general] = [await join(stores[0] as never, 'g', ttls), await join(stores[1] as never, 'g', ttls)];
      const commands: (readonly string[])[] = [];
      monitor.on('monitor', (_time: string, command: readonly string[]) => commands.push(command));
      const kinds = new Set<string>();
      for (const { ops, isGeneral = false } of BATCHES) {
        await admin.echo('before');
        const alone = await short.apply(...ops);
        await admin.echo('after');
        await vi.waitFor(() => expect(commands.at(-1)).toContain('after'));
        const ran = commands.slice(commands.findLastIndex((command) => command.includes('before')));
        // A field that the general part alone writes.
        const isSeqWritten = ran.some(([name, ...rest]) => name?.toUpperCase() === 'HSET' && rest.includes('seq'));
        expect(isSeqWritten, JSON.stringify(ops)).toBe(isGeneral);
        const among = await general.apply(...ops, { op: 'expire', max: 10 });
        if (alone.status !== 'applied' || among.status !== 'applied') throw new Error(`${alone.status} ${among.status}`);
        expect(untimed(alone.answers)).toBe(untimed(among.answers.slice(0, -1)));
        const [a, b] = [await stored(admin, 'short'), await stored(admin, 'general')];
        expect(a).toEqual(b);
        for (const kind of Object.keys(a)) kinds.add(kind);
      }
      expect([...kinds]).toEqual(expect.arrayContaining(['ent', 'msg', 'ready', 'kept', 'expiry']));
      const [a, b] = [await keptSeconds(admin, 'short'), await keptSeconds(admin, 'general')];
      expect(a.map((seconds) => Math.round(seconds / 1000))).toEqual([1, 1, 1, 1, 1, 1, 5]);
      expect(b.map((seconds) => Math.round(seconds / 1000))).toEqual([1, 1, 1, 1, 1, 1, 5]);
      for (const store of stores) await store.close();
      for (const client of [admin, monitor]) client.disconnect();
      await server.stop();
    });
  },
  { own: true },
);
