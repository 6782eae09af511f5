/** Connections whose other end is gone without a word, and reads that fail right after a reconnect. */
import type { Socket } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AtomicQueuesError } from '../../src/core/errors.js';
import type { PeerMessage } from '../../src/ports/network.js';
import type { RedisClient } from '../../src/redis/connection.js';
import { RedisNetwork } from '../../src/redis/network.js';
import type { RedisStore } from '../../src/redis/store.js';
import type { Node } from '../../src/runtime/node.js';
import { SystemClock } from '../../src/system/clock.js';
import { msg, node, until, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { type KeptReply, StrandingLink } from './stranding-link.js';
import { append, ENTITY, failureOf, join, joinOf, patiently, redisStore, type Session } from './support.js';

const CALL_TIMEOUT_MS = 400;
/** Beyond a deadline, for a loaded machine. */
const SLACK_MS = 600;
/** After so long a link on which nothing is sent is asked whether it stands. */
const PING_EVERY_MS = 2000;

/** As after its start. */
async function emptied({ url }: RedisServer): Promise<void> {
  const admin = new Redis(url);
  await admin.config('SET', 'maxmemory-policy', 'noeviction');
  await admin.flushall();
  admin.disconnect();
}

const wake = (entity: string): PeerMessage => ({ kind: 'wake', entity, message: undefined });

describeRedis(
  'a Redis connection whose other end is gone',
  () => {
    let server: RedisServer;
    let link: StrandingLink;
    let port: number;
    let closing: (() => unknown)[];

    beforeAll(async () => {
      server = await startRedis();
    });
    afterAll(() => server.stop());

    beforeEach(async () => {
      link = new StrandingLink();
      port = await link.listen(server.port);
      closing = [() => emptied(server), () => link.close()];
    });

    afterEach(async () => {
      for (const close of closing.reverse()) await close();
    });

    async function opened(): Promise<{ store: RedisStore; session: Session }> {
      const store = redisStore(port, { storeCallTimeoutMs: CALL_TIMEOUT_MS, connectTimeoutMs: 1000 });
      closing.push(() => store.close());
      await store.open();
      const session = await join(store);
      await session.apply({ op: 'claim', entity: ENTITY });
      return { store, session };
    }

    it.each([false, true])(
      'the store: calls in flight settle as unknown, it dials again, goes on (calls arrive: %s)',
      async (arrives) => {
        const { store, session } = await opened();
        const batches = [session.batch(append('m1'), append('m2')), session.batch(append('m3'))];
        const before = link.accepted;
        link.strand(arrives);
        const startMs = performance.now();
        const first = await Promise.all([
          ...batches.map((batch) => failureOf(store.apply(batch))),
          failureOf(store.control({ op: 'counts' })),
        ]);
        expect(first.map(({ refused }) => refused)).toEqual([false, false, false]);
        expect(performance.now() - startMs).toBeLessThan(CALL_TIMEOUT_MS + SLACK_MS);
        const replies = [];
        for (const batch of batches) replies.push(await patiently(() => store.apply(batch), SLACK_MS));
        expect(replies).toMatchObject([
          { status: 'applied', answers: [{ seq: 1 }, { seq: 2 }] },
          { status: 'applied', answers: [{ seq: 3 }] },
        ]);
        expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 3 });
        expect({ dialed: link.accepted - before, open: link.open }).toEqual({ dialed: 1, open: 1 });
      },
    );

    it.each(['stands', 'is opened', 'was lost'])(
      'the store: closes its socket at once, and dials no more (the link %s)',
      async (how) => {
        const client = new Redis({ port, lazyConnect: true, enableOfflineQueue: false, retryStrategy: () => 20 });
        const store = redisStore(port, {
          storeCallTimeoutMs: CALL_TIMEOUT_MS,
          connection: () => client as unknown as RedisClient,
        });
        closing.push(() => store.close());
        if (how === 'is opened') link.strandsNew = true;
        const opening = store.open();
        if (how === 'is opened') await until('it dials', () => link.accepted === 1);
        else await opening;
        link.strand();
        link.strandsNew = true;
        const call = how === 'is opened' ? failureOf(opening) : failureOf(store.control({ op: 'counts' }));
        if (how === 'was lost') await until('it dials again', () => link.accepted === 2);
        const startMs = performance.now();
        await store.close();
        expect((client as unknown as { stream: Socket }).stream.destroyed).toBe(true);
        await call;
        expect(performance.now() - startMs).toBeLessThan(CALL_TIMEOUT_MS / 2);
        const { accepted } = link;
        await new Promise((resolve) => setTimeout(resolve, 100));
        expect({ accepted: link.accepted, open: link.open, status: client.status }).toEqual({ accepted, open: 0, status: 'end' });
      },
    );

    it('the store: also twice in a row, and while it connects', async () => {
      const { store, session } = await opened();
      for (let i = 1; i <= 3; i++) {
        link.strand();
        // The second connection loses its other end before it has answered anything.
        if (i === 2) link.keeps = { to: /info/, how: 'hang' };
        const batch = session.batch(append(`m${i}`));
        await failureOf(store.apply(batch));
        expect(await patiently(() => store.apply(batch), 3000)).toMatchObject({ status: 'applied', answers: [{ seq: i }] });
      }
      expect(link.open).toBe(1);
    });

    it('the store: one slow call is given its patience, and the link then goes with it', async () => {
      const { store, session } = await opened();
      const before = link.accepted;
      link.strand();
      const startMs = performance.now();
      const large = session.batch(append('m1'));
      const failures = await Promise.all([failureOf(store.apply(large, 3)), failureOf(store.control({ op: 'counts' }))]);
      expect(failures.map(({ refused }) => refused)).toEqual([false, false]);
      expect(performance.now() - startMs).toBeGreaterThan(3 * CALL_TIMEOUT_MS - 10);
      expect(performance.now() - startMs).toBeLessThan(3 * CALL_TIMEOUT_MS + SLACK_MS);
      expect(await patiently(() => store.apply(large), SLACK_MS)).toMatchObject({ status: 'applied' });
      expect(link.accepted - before).toBe(1);
    });

    it('a node: what is under way ends once, with its result, and no call is lost', async () => {
      const ran: string[] = [];
      const store = redisStore(port, { storeCallTimeoutMs: CALL_TIMEOUT_MS, connectTimeoutMs: 1000 });
      const it = node(
        { ...world(), store },
        (payload) => {
          ran.push(String((payload as { i: number }).i));
          return 'done';
        },
        { ...fast({ nodeTTLMs: 3000 }), storeCallTimeoutMs: CALL_TIMEOUT_MS, serverId: 'n1' },
      );
      closing.push(() => it.stop());
      await it.start();
      const { incarnation } = it.status();
      for (let round = 0; round < 3; round++) {
        const ids = Array.from({ length: 20 }, (_, i) => round * 100 + i);
        // A copy that leaves while there is no connection is certainly refused, and its caller may try again.
        const call = (i: number): Promise<string> =>
          it.enqueueAndWait(msg(`e${i % 5}`, { i }), { timeoutMs: 4000 }).catch(async (error: AtomicQueuesError) => {
            expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', definite: true });
            await new Promise((resolve) => setTimeout(resolve, 20));
            return call(i);
          });
        const calls = ids.slice(0, 10).map(call);
        await new Promise((resolve) => setTimeout(resolve, round * 2));
        link.strand(round === 1);
        calls.push(...ids.slice(10).map(call));
        expect(await Promise.all(calls)).toEqual(ids.map(() => '"done"'));
      }
      expect(ran.length).toBe(new Set(ran).size);
      expect(ran).toHaveLength(60);
      expect(it.status()).toMatchObject({ incarnation, isReady: true });
    });

    describe('the network over pub/sub', () => {
      async function listening(incarnation: number, at: number): Promise<{ network: RedisNetwork; got: string[] }> {
        const network = new RedisNetwork({
          ...{ connection: { port: at }, keyPrefix: 'aq', callTimeoutMs: CALL_TIMEOUT_MS, clock: new SystemClock() },
        });
        closing.push(() => network.close());
        const got: string[] = [];
        network.listen(incarnation, (what) => got.push(what.kind === 'wake' ? what.entity : what.kind));
        expect(await network.listening(5000)).toBe(true);
        return { network, got };
      }

      it('that only listens: notices after a pause, and hears again', async () => {
        const a = await listening(1, port);
        const b = await listening(2, server.port);
        for (const what of ['first', 'second']) {
          link.strand();
          const startMs = performance.now();
          await until(
            `it hears again after the ${what} time`,
            () => {
              b.network.send(1, wake(what));
              return a.got.includes(what);
            },
            PING_EVERY_MS + CALL_TIMEOUT_MS + 2 * SLACK_MS,
          );
          expect(performance.now() - startMs).toBeGreaterThan(CALL_TIMEOUT_MS);
        }
        expect(a.network.stats()).toMatchObject({ isListening: true, isPublishing: true, problem: undefined });
        expect(link.open).toBe(2);
      });

      it('that sends: notices after a call, counts what it lost, and sends again', async () => {
        const a = await listening(1, port);
        const b = await listening(2, server.port);
        link.strand();
        a.network.send(2, wake('lost'));
        const startMs = performance.now();
        await until('it says so', () => a.network.problem() !== undefined, CALL_TIMEOUT_MS + SLACK_MS);
        expect(performance.now() - startMs).toBeGreaterThan(CALL_TIMEOUT_MS - 10);
        await until('it publishes again', () => a.network.stats().isPublishing, SLACK_MS);
        expect(a.network.stats().dropped).toBe(1);
        a.network.send(2, wake('found'));
        await until('that is heard', () => b.got.includes('found'), SLACK_MS);
        expect(b.got).toEqual(['found']);
      });
    });
  },
  { own: true },
);

const HOW: readonly (readonly [string, KeptReply['how']])[] = [
  ['never comes', 'hang'],
  ['is cut off', 'break'],
  ['is an error', { reply: '-BUSY Redis is busy running a script\r\n' }],
];
/** What is asked of a server after a reconnect. */
const READS: readonly (readonly [string, RegExp])[] = [
  ['the role', /info\r\n\$\d+\r\nreplication/],
  ['the eviction policy', /maxmemory-policy/],
  ['the run id', /info\r\n\$\d+\r\nserver/],
  ['the generation', /hget\r\n.*generation/s],
];

describeRedis(
  'a Redis that was replaced, and a read after the reconnect that fails',
  () => {
    let server: RedisServer;
    let other: RedisServer;
    let link: StrandingLink;
    let port: number;
    let closing: (() => unknown)[];

    beforeAll(async () => {
      [server, other] = [await startRedis(), await startRedis()];
    });
    afterAll(() => Promise.all([server.stop(), other.stop()]));

    beforeEach(async () => {
      link = new StrandingLink();
      port = await link.listen(server.port);
      closing = [() => emptied(server), () => emptied(other), () => link.close()];
    });

    afterEach(async () => {
      for (const close of closing.reverse()) await close();
    });

    const cases = READS.flatMap(([what, to]) => HOW.map(([how, kept]) => ({ what, how, to, kept })));

    it.each(cases)('is noticed all the same: the reply with $what $how', async ({ to, kept }) => {
      const store = redisStore(port, { storeCallTimeoutMs: CALL_TIMEOUT_MS, connectTimeoutMs: 1000 });
      closing.push(() => store.close());
      await store.open();
      const session = await join(store);
      const replaced: string[] = [];
      store.onReplaced((why) => replaced.push(why));
      link.target = other.port;
      link.keeps = { to, how: kept };
      link.reset();
      await until('the read is made', () => link.keeps === undefined);
      // Whatever a caller does next is an occasion to look again.
      const batch = session.batch(append('m1'));
      expect(await patiently(() => store.apply(batch), 4000)).toEqual({ status: 'lost' });
      await until('it is noticed', async () => {
        await store.control({ op: 'counts' }).catch(() => undefined);
        return replaced.length > 0;
      });
      expect(replaced).toEqual([expect.stringContaining('is empty')]);
      await store.control({ op: 'counts' });
      expect(replaced).toHaveLength(1);
    });

    it.each(cases.filter(({ what }) => what === 'the role' || what === 'the eviction policy'))(
      'is not trusted if it evicts: the reply with $what $how',
      async ({ to, kept }) => {
        const admin = new Redis(other.url);
        closing.push(() => admin.disconnect());
        await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
        const store = redisStore(port, { storeCallTimeoutMs: CALL_TIMEOUT_MS, connectTimeoutMs: 1000 });
        closing.push(() => store.close());
        await store.open();
        const session = await join(store);
        link.target = other.port;
        link.keeps = { to, how: kept };
        link.reset();
        await until('the read is made', () => link.keeps === undefined);
        const messages = new Set<string>();
        const batch = session.batch(append('m1'));
        await until('its settings are refused', async () => {
          messages.add((await failureOf(store.apply(batch))).message);
          return [...messages].some((text) => text.includes('allkeys-lru'));
        });
        expect(await admin.dbsize()).toBe(0);
      },
    );

    it.each(['a batch', 'a control operation'])('is not trusted before the client has reported it as ready: %s', async (what) => {
      const admin = new Redis(other.url);
      closing.push(() => admin.disconnect());
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const client = new Redis({ port, lazyConnect: true, enableOfflineQueue: false, retryStrategy: () => 20 });
      const store = redisStore(port, { storeCallTimeoutMs: CALL_TIMEOUT_MS, connection: () => client as unknown as RedisClient });
      closing.push(() => store.close());
      await store.open();
      const session = await join(store);
      link.target = other.port;
      // The client sets its status before it emits the event. This call is made between the two.
      const calls: Promise<unknown>[] = [];
      let { status } = client;
      Object.defineProperty(client, 'status', {
        get: () => status,
        set: (next: typeof status) => {
          status = next;
          if (next !== 'ready') return;
          const call = (): Promise<unknown> =>
            what === 'a batch' ? store.apply(session.batch(append('m1'))) : store.control(joinOf('g2'));
          queueMicrotask(() => calls.push(call().catch((error: unknown) => error)));
        },
      });
      link.reset();
      await until('the client connects again', () => calls.length > 0);
      expect(await calls[0]).toMatchObject({ name: 'StoreCallError', refused: true });
      expect(await admin.dbsize()).toBe(0);
      await until('its settings are refused', async () => {
        const { message } = await failureOf(store.apply(session.batch(append('m2'))));
        return message.includes('allkeys-lru');
      });
    });

    it.each(HOW)('closes a node, and the empty store stays empty: the reply with the role %s', async (_, kept) => {
      const it: Node = node(
        { ...world(), store: redisStore(port, { storeCallTimeoutMs: CALL_TIMEOUT_MS, connectTimeoutMs: 1000 }) },
        () => 'done',
        {
          ...fast({ nodeTTLMs: 3000 }),
          ...{ storeCallTimeoutMs: CALL_TIMEOUT_MS, serverId: 'n1' },
        },
      );
      closing.push(() => it.stop());
      await it.start();
      await it.enqueueAndWait(msg('a'), { timeoutMs: 2000 });
      link.target = other.port;
      link.keeps = { to: READS[0]![1], how: kept };
      link.reset();
      await until('it has closed', () => it.status().state === 'closed', 5000);
      await expect(it.enqueue(msg('a'))).rejects.toMatchObject({ code: 'STORE_LOST', definite: true });
      const admin = new Redis(other.url);
      closing.push(() => admin.disconnect());
      expect(await admin.dbsize()).toBe(0);
    });
  },
  { own: true },
);
