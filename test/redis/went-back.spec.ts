/** A Redis that comes back from an older state than it had acknowledged, and processes that are not who they say they are. */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ControlOp } from '../../src/core/log/control-operations.js';
import type { RedisStore } from '../../src/redis/store.js';
import type { Node } from '../../src/runtime/node.js';
import { SystemClock } from '../../src/system/clock.js';
import { msg, node, until, type World, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { append, ENTITY, join, joinOf, redisStore, Session } from './support.js';

const FAST = { ...fast(), enqueueTimeoutMs: 2000, storeCallTimeoutMs: 400 };

describeRedis(
  'a Redis that went back',
  () => {
    let server: RedisServer;
    let admin: Redis;
    let open: { close(): Promise<unknown> }[];

    beforeEach(async () => {
      // Snapshots only, taken when the test says so.
      server = await startRedis({ extraArgs: ['--appendonly', 'no'] });
      admin = new Redis(server.url).on('error', () => undefined);
      open = [];
    });

    afterEach(async () => {
      await Promise.all(open.map((it) => it.close()));
      admin.disconnect();
      await server.stop();
    });

    async function storeOf(): Promise<RedisStore> {
      const store = redisStore(server.port);
      await store.open();
      open.push(store);
      return store;
    }

    async function start(w: World, serverId: string): Promise<Node> {
      const clock = new SystemClock();
      const it = node({ ...w, clock, store: redisStore(server.port) }, () => 'done', { ...FAST, serverId });
      open.push({ close: () => it.stop() });
      await it.start();
      return it;
    }

    /** A member that came and went, and a snapshot of what it left. */
    async function snapshotBeforeTheNodes(): Promise<void> {
      const session = await join(await storeOf());
      await session.store.control({ op: 'leave', ...session.remembered });
      await admin.save();
    }

    async function comesBack(): Promise<void> {
      await server.kill9();
      await server.restart();
    }

    const closed = (n: Node): boolean => n.status().state === 'closed';

    it.each([1, 2, 3])('to before the join of %i nodes: all of them notice, and the store is closed', async (count) => {
      await snapshotBeforeTheNodes();
      const w = world();
      const nodes: Node[] = [];
      for (let i = 1; i <= count; i++) nodes.push(await start(w, `n${i}`));
      await (nodes[0] as Node).enqueueAndWait(msg('a'), { timeoutMs: 3000 });
      await comesBack();
      await until('all have closed', () => nodes.every(closed), 10_000);
      expect(w.events.filter(({ event }) => event === 'store-lost')).toHaveLength(count);
      await until('the store is closed', async () => (await admin.hget('aq:{0}:meta', 'generation')) === 'closed');
      await expect(start(w, 'next')).rejects.toMatchObject({ code: 'STORE_LOST' });
    });

    it('to before the join of a node that had done nothing', async () => {
      await snapshotBeforeTheNodes();
      const w = world();
      const idle = await start(w, 'n1');
      await comesBack();
      await until('it has closed', () => closed(idle), 10_000);
    });

    it('to before a heartbeat, while the numbers of batches are as before', async () => {
      const store = await storeOf();
      const { identity } = await join(store);
      const heartbeat = (number: number, acknowledged: number) =>
        store.control({ op: 'heartbeat', ...identity, heartbeat: number, acknowledged });
      expect(await heartbeat(1, 0)).toMatchObject({ ok: true });
      await admin.save();
      expect(await heartbeat(2, 1)).toMatchObject({ ok: true });
      await comesBack();
      const back = await storeOf();
      expect(await back.control({ op: 'heartbeat', ...identity, heartbeat: 3, acknowledged: 2 })).toMatchObject({
        ok: false,
        code: 'UNKNOWN',
      });
    });

    it('and then evicts a member by what is left: its heartbeat, its batch, its next join and its leave each tell a loss', async () => {
      const session = await join(await storeOf(), 'g1', { leaseTtlMs: 1 });
      const { identity, joined } = session;
      const heartbeat = (number: number, acknowledged: number) =>
        ({ op: 'heartbeat', ...identity, heartbeat: number, acknowledged }) as const;
      expect(await session.store.control(heartbeat(1, 0))).toMatchObject({ ok: true });
      expect(await session.apply(append('a1'))).toMatchObject({ status: 'applied' });
      await admin.save();
      expect(await session.store.control(heartbeat(2, 1))).toMatchObject({ ok: true });
      expect(await session.apply(append('a2'))).toMatchObject({ status: 'applied' });
      await comesBack();
      const back = await storeOf();
      expect(
        await back.control({ op: 'evict', generation: 'g1', incarnation: joined.incarnation, heartbeatSeen: 1 }),
      ).toMatchObject({
        ok: true,
      });
      const code = async (op: ControlOp) => {
        const answer = await back.control(op);
        return answer.ok ? 'ok' : answer.code;
      };
      expect([await code(heartbeat(3, 1)), await code(heartbeat(3, 2))]).toEqual(['FENCED', 'UNKNOWN']);
      expect(await back.apply({ ...identity, n: 3, ops: [append('a3')] })).toEqual({ status: 'fenced', last: 1 });
      for (const [lastHeartbeat, lastBatch, leave] of [
        [1, 1, 'ok'],
        [2, 1, 'UNKNOWN'],
        [1, 2, 'UNKNOWN'],
      ] as const) {
        const former = { ...identity, lastHeartbeat, lastBatch };
        expect(await code({ op: 'leave', ...former })).toBe(leave);
        expect(await code({ ...joinOf('g1'), token: `next ${lastHeartbeat} ${lastBatch}`, former })).toBe(leave);
      }
    });

    it.each([
      ['epoch', 'epochs'],
      ['fence', 'fences'],
      ['letter', 'dead letters'],
    ])('its counter %s goes back: the node that has seen it closes', async (field, words) => {
      const w = world();
      const n = await start(w, 'n1');
      await n.enqueueAndWait(msg('a'), { timeoutMs: 3000 });
      await until('it is master', () => n.status().role === 'master');
      await admin.hset('aq:{0}:meta', 'letter', '3');
      await until('a heartbeat has shown it', async () => {
        const members = await admin.hgetall('aq:{0}:member');
        return Number(Object.values(members)[0]?.split('\x1f')[6]) > 3;
      });
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(closed(n)).toBe(false);
      await admin.hset('aq:{0}:meta', field, '0');
      await until('it has closed', () => closed(n));
      expect(JSON.stringify(w.events.find(({ event }) => event === 'store-lost')?.data)).toContain(`count of ${words} went back`);
    });

    it('one number for two living processes: the first is told that it is unknown, and nothing of it is applied', async () => {
      await snapshotBeforeTheNodes();
      const first = await join(await storeOf(), 'g1', {});
      expect(await first.apply(append('a1'))).toMatchObject({ status: 'applied' });
      await comesBack();
      const store = await storeOf();
      const answer = await store.control({ ...joinOf('g2'), serverId: 'other', token: 'other' });
      if (!answer.ok) throw new Error(answer.code);
      expect(answer.incarnation).toBe(first.joined.incarnation);
      const second = new Session(store, answer, 'other');
      expect(await second.apply(append('b1'))).toMatchObject({ status: 'applied' });
      expect(await second.apply(append('b2'))).toMatchObject({ status: 'applied' });
      const wasFirst = new Session(store, first.joined, first.token);
      for (const n of [1, 2, 3])
        expect(await store.apply({ ...wasFirst.identity, n, ops: [append('a2')] })).toEqual({ status: 'unknown' });
      for (const op of ['leave', 'lead'] as const)
        expect(await store.control({ op, ...wasFirst.remembered })).toMatchObject({ code: 'UNKNOWN' });
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 2 });
    });

    it('a process of a former generation: its heartbeat is refused, and the owner of the number is not disturbed', async () => {
      const old = await join(await storeOf(), 'g1');
      await admin.flushall();
      const fresh = await join(await storeOf(), 'g2');
      expect(fresh.joined.incarnation).toBe(old.joined.incarnation);
      const { store } = fresh;
      expect(await store.control({ op: 'heartbeat', ...old.identity, heartbeat: 9000, acknowledged: 0 })).toMatchObject({
        code: 'LOST',
      });
      expect(await store.control({ op: 'heartbeat', ...fresh.identity, heartbeat: 1, acknowledged: 0 })).toMatchObject({
        ok: true,
      });
      expect(await store.control({ op: 'report', ...old.identity, eligible: false, unreachable: [] })).toMatchObject({
        code: 'LOST',
      });
      expect(await store.control({ op: 'leave', ...old.remembered })).toMatchObject({ code: 'LOST' });
      const { generation, incarnation } = old.identity;
      expect(await store.control({ op: 'evict', generation, incarnation, heartbeatSeen: 1 })).toMatchObject({ code: 'LOST' });
      expect(await store.control({ op: 'lookup', generation, entity: ENTITY, id: 'x', seq: 1 })).toMatchObject({ code: 'LOST' });
      const { members } = await store.control({ op: 'members' });
      expect(members).toMatchObject([{ incarnation: fresh.joined.incarnation, heartbeat: 1, eligible: true }]);
    });

    it('tells an incarnation that was evicted from one that was never given, for the last 1024 joins', async () => {
      const store = await storeOf();
      const sessions: Session[] = [];
      for (let i = 0; i < 1030; i++) {
        const session = await join(store);
        await store.control({ op: 'leave', ...session.remembered });
        sessions.push(session);
      }
      const heartbeatOf = (s: Session, more = {}) =>
        store.control({ op: 'heartbeat', ...s.identity, heartbeat: 1, acknowledged: 0, ...more });
      for (const at of [0, 10, 1029]) expect(await heartbeatOf(sessions[at] as Session)).toMatchObject({ code: 'FENCED' });
      for (const at of [10, 1029])
        expect(await heartbeatOf(sessions[at] as Session, { token: 'x' })).toMatchObject({ code: 'UNKNOWN' });
      expect(await heartbeatOf(sessions[0] as Session, { token: 'x' })).toMatchObject({ code: 'FENCED' });
      expect(await heartbeatOf(sessions[0] as Session, { incarnation: 1031 })).toMatchObject({ code: 'UNKNOWN' });
      const fields = await admin.hkeys('aq:{0}:meta');
      expect(fields.filter((field) => /^t\d+$/.test(field))).toHaveLength(1024);
    });
  },
  { own: true },
);
