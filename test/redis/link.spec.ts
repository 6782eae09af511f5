import { rmSync } from 'node:fs';
import { join as path } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RedisClient } from '../../src/redis/connection.js';
import type { RedisStore } from '../../src/redis/store.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { append, BreakingLink, ENTITY, failureOf, join, patiently, redisStore, type Session } from './support.js';

/** Of the store's deadline in these tests, plus what a loaded machine may take. */
const SETTLES_MS = 400 + 600;

describeRedis(
  'a link to Redis that breaks',
  () => {
    let server: RedisServer;
    let store: RedisStore;
    let session: Session;
    let closing: (() => unknown)[];

    beforeEach(async () => {
      closing = [];
      // With everysec it may answer before it has written, while an fsync is slow: then a kill loses what was answered.
      server = await startRedis({ appendfsync: 'always' });
      store = redisStore(server.port);
      await store.open();
      session = await join(store);
      await session.apply({ op: 'claim', entity: ENTITY });
    });

    afterEach(async () => {
      for (const close of closing) await close();
      await store.close();
      await server.stop();
    });

    it('a reply is lost: unknown, not sent again behind the back; the resend gets the same answer (field case A1)', async () => {
      const proxy = new BreakingLink();
      const proxied = redisStore(await proxy.listen(server.port));
      closing.push(
        () => proxied.close(),
        () => proxy.close(),
      );
      await proxied.open();
      const batch = session.batch(append('m1'), append('m2'));
      proxy.swallows = true;
      expect(await failureOf(proxied.apply(batch))).toMatchObject({ refused: false });
      const answer = await patiently(() => proxied.apply(batch));
      expect(answer).toMatchObject({
        status: 'applied',
        answers: [
          { seq: 1, begun: true },
          { seq: 2, depth: 2 },
        ],
      });
      expect(await proxied.apply(batch)).toEqual(answer);
      expect(await proxied.control({ op: 'counts' })).toMatchObject({ depth: 2 });
    });

    it('a reply is lost: every call settles, and the next ones work (field case A2)', async () => {
      const proxy = new BreakingLink();
      const proxied = redisStore(await proxy.listen(server.port));
      closing.push(
        () => proxied.close(),
        () => proxy.close(),
      );
      await proxied.open();
      for (let round = 0; round < 3; round++) {
        proxy.swallows = true;
        const startMs = Date.now();
        const calls = [
          proxied.control({ op: 'counts' }),
          proxied.apply(session.batch(append(`m${round}`))),
          proxied.control({ op: 'heartbeat', ...session.identity, heartbeat: round + 1, acknowledged: 0 }),
        ];
        const settled = await Promise.allSettled(calls);
        const texts = settled.map((call) => (call.status === 'rejected' ? (call.reason as Error).message : ''));
        expect(texts).toEqual(texts.map(() => 'the connection to Redis broke before the answer'));
        expect(Date.now() - startMs).toBeLessThan(SETTLES_MS);
        await patiently(() => proxied.control({ op: 'counts' }));
      }
      expect(await proxied.control({ op: 'counts' })).toMatchObject({ depth: 3 });
    });

    it('half-open: calls settle by the deadline, it recovers, and the late copy is harmless', async () => {
      const batch = session.batch(append('m1'));
      process.kill(server.pid, 'SIGSTOP');
      let calls: Promise<unknown>[];
      const startMs = Date.now();
      try {
        calls = [store.apply(batch), store.control({ op: 'counts' })];
        const settled = await Promise.allSettled(calls);
        expect(settled.map((one) => one.status === 'rejected' && one.reason.refused)).toEqual([false, false]);
        expect(Date.now() - startMs).toBeLessThan(SETTLES_MS);
        // While it is down, calls are certainly not sent.
        const down = await failureOf(store.apply(batch));
        expect(down.refused).toBe(true);
        // Longer than the deadline of the handshake, which hangs too.
        await new Promise((resolve) => setTimeout(resolve, 900));
      } finally {
        process.kill(server.pid, 'SIGCONT');
      }
      const answer = await patiently(() => store.apply(batch));
      expect(answer).toMatchObject({ status: 'applied', answers: [{ seq: 1, depth: 1 }] });
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 1 });
    });

    it('killed amid calls: each settles; after the restart every number is applied exactly once', async () => {
      const batches = Array.from({ length: 40 }, (_, i) => session.batch(append(`m${i}`)));
      const first = batches.map((batch) => store.apply(batch));
      const killed = server.kill9();
      await Promise.allSettled(first);
      await killed;
      // Until the end of the connection is noticed, a call leaves and is unknown.
      await vi.waitFor(async () => expect((await failureOf(store.control({ op: 'counts' }))).refused).toBe(true));
      await server.restart();
      for (const batch of batches) {
        const reply = await patiently(() => store.apply(batch));
        expect(['applied', 'stale']).toContain(reply.status);
      }
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 40 });
    });

    it('a restart that kept its data keeps the sessions, and is no replacement', async () => {
      const replaced: string[] = [];
      store.onReplaced((why) => replaced.push(why));
      const batch = session.batch(append('m1'));
      const answer = await store.apply(batch);
      await server.restart();
      expect(await patiently(() => store.apply(batch))).toEqual(answer);
      expect(await session.apply(append('m2'))).toMatchObject({ answers: [{ seq: 2 }] });
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(replaced).toEqual([]);
    });

    it('a restart without its data is told, and batches of the old generation are lost', async () => {
      const replaced: string[] = [];
      store.onReplaced((why) => replaced.push(why));
      await server.kill9();
      rmSync(path(server.dir, 'appendonlydir'), { recursive: true });
      await server.restart();
      expect(await patiently(() => session.apply(append('m1')))).toEqual({ status: 'lost' });
      await expect.poll(() => replaced).toEqual([expect.stringContaining('is empty')]);
    });

    it('FLUSHALL loses the generation; a new one keeps the batches of the old out', async () => {
      const admin = new Redis(server.url);
      closing.push(() => admin.disconnect());
      await admin.flushall();
      expect(await session.apply(append('m1'))).toEqual({ status: 'lost' });
      const next = await join(store, 'g2');
      expect(next.joined.generation).toBe('g2');
      expect(await session.apply(append('m1'))).toEqual({ status: 'lost' });
      expect(await next.apply(append('m1'))).toMatchObject({ status: 'applied', answers: [{ seq: 1 }] });
    });

    describe('behind an endpoint that moves', () => {
      let proxy: BreakingLink;
      let proxied: RedisStore;
      let admin: Redis;

      beforeEach(async () => {
        proxy = new BreakingLink();
        proxied = redisStore(await proxy.listen(server.port));
        admin = new Redis(server.url).on('error', () => {});
        closing.push(
          () => proxied.close(),
          () => proxy.close(),
          () => admin.disconnect(),
        );
        await proxied.open();
      });

      it('the primary is demoted and keeps its connections: the successor is found, and it is the same store', async () => {
        const successor = await startRedis();
        const heir = new Redis(successor.url).on('error', () => {});
        closing.push(
          () => heir.disconnect(),
          () => successor.stop(),
        );
        const replaced: string[] = [];
        proxied.onReplaced((why) => replaced.push(why));
        await proxied.apply(session.batch(append('m1')));
        // Else the first copy waits 5 s for other replicas.
        await admin.config('SET', 'repl-diskless-sync-delay', '0');
        await heir.replicaof('127.0.0.1', server.port);
        await expect.poll(() => heir.exists('aq:{0}:meta'), { timeout: 10_000 }).toBe(1);
        await heir.replicaof('NO', 'ONE');
        proxy.target = successor.port;
        await admin.replicaof('127.0.0.1', successor.port);

        const batch = session.batch(append('m2'));
        expect(await failureOf(proxied.apply(batch))).toMatchObject({
          refused: true,
          message: expect.stringContaining('replica'),
        });
        expect(await patiently(() => proxied.apply(batch), 2000)).toMatchObject({ status: 'applied', answers: [{ seq: 2 }] });
        expect(await heir.hget('aq:{0}:meta', 'depth')).toBe('2');
        expect(replaced).toEqual([]);
      });

      it('a primary that is demoted and has no successor is not stormed with connections', async () => {
        await admin.replicaof('127.0.0.1', 1);
        const batch = session.batch(append('m1'));
        const before = proxy.accepted;
        await expect(patiently(() => proxied.apply(batch), 2500)).rejects.toMatchObject({ refused: true });
        expect(proxy.accepted - before).toBeGreaterThanOrEqual(2);
        expect(proxy.accepted - before).toBeLessThanOrEqual(3);
        await admin.replicaof('NO', 'ONE');
        expect(await patiently(() => proxied.apply(batch), 2000)).toMatchObject({ status: 'applied', answers: [{ seq: 1 }] });
      });

      it('a demoted primary that takes writes all the same is left at the reconnect, and acknowledges nothing', async () => {
        await admin.config('SET', 'replica-read-only', 'no');
        await admin.replicaof('127.0.0.1', 1);
        await admin.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        const batch = session.batch(append('m1'));
        const messages = new Set<string>();
        await expect
          .poll(async () => messages.add((await failureOf(proxied.apply(batch))).message), { timeout: 3000 })
          .toContainEqual(expect.stringContaining('replica'));
        const reading = await failureOf(proxied.control({ op: 'counts' }));
        expect(reading.refused).toBe(true);
        expect(await admin.hget('aq:{0}:meta', 'depth')).toBe('0');
        await expect.poll(() => proxy.accepted, { timeout: 3000 }).toBeGreaterThan(2);
        await admin.replicaof('NO', 'ONE');
        expect(await patiently(() => proxied.apply(batch), 3000)).toMatchObject({ status: 'applied', answers: [{ seq: 1 }] });
      });

      it('a replica that lost its primary, and serves nothing stale, is left as well', async () => {
        await admin.config('SET', 'replica-serve-stale-data', 'no');
        await admin.replicaof('127.0.0.1', 1);
        const before = proxy.accepted;
        const call = (): Promise<unknown> => proxied.control({ op: 'counts' });
        expect(await failureOf(call())).toMatchObject({ refused: true, message: expect.stringContaining('MASTERDOWN') });
        await expect.poll(() => proxy.accepted).toBe(before + 1);
        await admin.replicaof('NO', 'ONE');
        await patiently(call, 2000);
      });
    });

    it('a call that the client cannot make is refused, and costs the others nothing', async () => {
      let fails = false;
      let closes = 0;
      const throwing = redisStore(server.port, {
        connection: () => {
          const client = new Redis({ port: server.port, lazyConnect: true, enableOfflineQueue: false });
          client.on('close', () => closes++);
          return new Proxy(client, {
            get(target, key) {
              const value = Reflect.get(target, key);
              if (key === 'evalsha' && fails) throw new RangeError('Maximum call stack size exceeded');
              return typeof value === 'function' ? value.bind(target) : value;
            },
          }) as unknown as RedisClient;
        },
      });
      closing.push(() => throwing.close());
      await throwing.open();
      const other = throwing.control({ op: 'counts' });
      fails = true;
      expect(await failureOf(throwing.control({ op: 'counts' }))).toMatchObject({ refused: true, permanent: false });
      fails = false;
      await other;
      // Had it stayed among the calls that wait, the connection would go with its deadline.
      await new Promise((resolve) => setTimeout(resolve, SETTLES_MS));
      expect(closes).toBe(0);
      expect(await throwing.control({ op: 'counts' })).toMatchObject({ depth: 0 });
    });

    it('closed: nothing more is sent, and what was under way settles', async () => {
      process.kill(server.pid, 'SIGSTOP');
      try {
        const call = failureOf(store.apply(session.batch(append('m1'))));
        await store.close();
        expect((await call).refused).toBe(false);
        expect((await failureOf(store.control({ op: 'counts' }))).refused).toBe(true);
      } finally {
        process.kill(server.pid, 'SIGCONT');
      }
    });
  },
  { own: true },
);
