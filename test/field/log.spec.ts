/** Cases from the field (docs/field-cases.md) whose answer is a step of the log, on a real Redis. */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { BatchReply, SessionOp } from '../../src/core/log/operations.js';
import type { RedisStore } from '../../src/redis/store.js';
import { failureOf, message, redisStore, Session } from '../redis/support.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';

const LEASE_MS = 1000;

describeRedis(
  'field cases on the log of a real Redis',
  () => {
    let server: RedisServer;
    let admin: Redis;
    let store: RedisStore;
    let nowMs: number;

    beforeEach(async () => {
      nowMs = 1_000_000;
      server = await startRedis();
      admin = new Redis(server.url).on('error', () => {});
      store = redisStore(server.port, { storeNowMs: () => nowMs });
      await store.open();
    });

    afterEach(async () => {
      await store.close();
      admin.disconnect();
      await server.stop();
    });

    async function join(serverId: string): Promise<Session> {
      const joined = await store.control({
        ...{ op: 'join', serverId, group: 'g', address: '', token: `t-${serverId}`, schema: 1, generation: 'g1', workersMax: 0 },
        settings: {
          ...{ leaseTtlMs: LEASE_MS, takeoverHoldMs: 100, entryTtlMs: 1000, resultTtlMs: 1000, depthMax: 0 },
          ...{ leaderTtlMs: 1000, leaderDebounceMs: 0 },
        },
        contracts: [{ type: 'account', maxAttempts: 1, onInterrupt: 'dead-letter', names: ['Deposit'], depthMax: 0 }],
      });
      if (!joined.ok) throw new Error(`join was refused: ${joined.code}`);
      return new Session(store, joined, `t-${serverId}`);
    }

    const append = (entity: string, id: string, begin: boolean): SessionOp => ({
      op: 'append',
      entity,
      message: message(id),
      depthMax: 0,
      begin,
    });
    const takeover = (entity: string, incarnation: number): SessionOp => ({ op: 'takeover', entity, incarnation });
    const answersOf = (reply: BatchReply) => (reply.status === 'applied' ? reply.answers : []);
    const letters = async () => (await store.control({ op: 'letters', after: '', max: 100 })).letters;

    /** A node that has begun a message of each of the first entities, holds one more of each of the others, and dies. */
    async function dead(running: readonly string[], waiting: readonly string[]): Promise<Session> {
      const owner = await join('dead');
      for (const entity of [...running, ...waiting])
        await owner.apply({ op: 'claim', entity }, append(entity, `m-${entity}`, running.includes(entity)));
      nowMs += LEASE_MS + 1;
      expect(await store.control({ op: 'evict', ...owner.identity, heartbeatSeen: 0 })).toMatchObject({ ok: true });
      return owner;
    }

    it('C7: heartbeats that come late, all at once or after the leave change nothing', async () => {
      const { identity } = await join('n1');
      const heartbeat = (number: number) => store.control({ op: 'heartbeat', ...identity, heartbeat: number, acknowledged: 0 });
      expect(await heartbeat(20)).toMatchObject({ ok: true });
      const before = await store.control({ op: 'members' });
      nowMs += 500;
      const late = await Promise.all(Array.from({ length: 10 }, (_, i) => heartbeat(19 - i)));
      expect(new Set(late.map((answer) => !answer.ok && answer.code))).toEqual(new Set(['STALE_HEARTBEAT']));
      expect((await store.control({ op: 'members' })).members).toEqual(before.members);
      expect(await store.control({ op: 'leave', ...identity, lastHeartbeat: 0, lastBatch: 0 })).toMatchObject({ ok: true });
      expect(await heartbeat(21)).toMatchObject({ ok: false, code: 'FENCED' });
      expect((await store.control({ op: 'members' })).members).toEqual([]);
    });

    it('E8: of two that recover the same dead owner, one has each entity; two letters, three messages wait', async () => {
      const [running, waiting] = [
        ['account:1', 'account:2'],
        ['account:3', 'account:4', 'account:5'],
      ];
      const { incarnation } = (await dead(running, waiting)).joined;
      const [a, b] = [await join('a'), await join('b')];
      const each = [...running, ...waiting].map(async (entity) => {
        const replies = await Promise.all([a, b].map((session) => session.apply(takeover(entity, incarnation))));
        return replies.flatMap(answersOf).filter((answer) => answer.ok).length;
      });
      expect(await Promise.all(each)).toEqual([1, 1, 1, 1, 1]);
      expect((await letters()).map(({ entity, reason }) => [entity, reason]).sort()).toEqual(
        running.map((entity) => [entity, 'interrupted']),
      );
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 3, letters: 2 });
    });

    it('D6, E14: what a dead owner still sends is fenced: no end, no begin, whatever its batch number', async () => {
      const owner = await dead(['account:1'], ['account:2']);
      const outcome = { state: 'completed', result: '1', error: '' } as const;
      const ends: SessionOp = { op: 'finish', entity: 'account:1', fence: 1, seq: 1, attempt: 1, outcome, sends: [], next: 0 };
      const begins: SessionOp = { op: 'begin', entity: 'account:2', fence: 2, have: 0 };
      for (const op of [ends, begins]) expect(await owner.apply(op)).toMatchObject({ status: 'fenced' });
      const heir = await join('a');
      const { incarnation } = owner.joined;
      await heir.apply(takeover('account:1', incarnation), takeover('account:2', incarnation));
      expect(await owner.apply(ends)).toMatchObject({ status: 'fenced' });
      expect(await letters()).toMatchObject([{ entity: 'account:1', reason: 'interrupted', late: '' }]);
    });

    it('E5: a late end is a note on the letter, and its replay then needs force', async () => {
      const { incarnation } = (await dead(['account:1'], [])).joined;
      const heir = await join('a');
      await heir.apply(takeover('account:1', incarnation));
      await heir.apply({ op: 'late', entity: 'account:1', seq: 1, attempt: 1, incarnation, outcome: 'completed', detail: '7' });
      const [letter] = await letters();
      expect(letter).toMatchObject({ reason: 'interrupted', late: 'completed', lateDetail: '7' });
      const replay = { op: 'replay', letter: letter?.id ?? '' } as const;
      expect(await store.control({ ...replay, force: false })).toMatchObject({ ok: false, code: 'NEEDS_FORCE' });
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 0 });
      expect(await store.control({ ...replay, force: true })).toMatchObject({ ok: true });
    });

    it('E10: recovered three times it is one letter; replayed twice at once it is one message, under another id', async () => {
      const { incarnation } = (await dead(['account:1'], [])).joined;
      const heir = await join('a');
      for (let i = 0; i < 3; i++) await heir.apply(takeover('account:1', incarnation));
      const [letter, ...others] = await letters();
      expect(others).toEqual([]);
      const replay = { op: 'replay', letter: letter?.id ?? '', force: false } as const;
      const replays = await Promise.all([store.control(replay), store.control(replay)]);
      expect(replays.filter(({ ok }) => ok)).toHaveLength(1);
      expect(replays.find(({ ok }) => !ok)).toMatchObject({ code: 'REPLAYED' });
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 1 });
      const claimed = await heir.apply({ op: 'claim', entity: 'account:1' });
      const fence = answersOf(claimed).map((answer) => 'fence' in answer && answer.fence)[0];
      nowMs += 200;
      const begun = answersOf(await heir.apply({ op: 'begin', entity: 'account:1', fence: Number(fence), have: 0 }))[0];
      expect(begun).toMatchObject({ ok: true, message: { replayOf: letter?.id } });
      expect(begun).not.toMatchObject({ message: { id: letter?.message.id } });
    });

    it('B5: where the dead letters are not what they must be, the step does nothing; repaired, it does everything', async () => {
      const { incarnation } = (await dead(['account:1'], [])).joined;
      const heir = await join('a');
      const dump = async (): Promise<unknown> =>
        Promise.all(
          (await admin.keys('aq:*')).sort().map(async (key) => [key, (await admin.dumpBuffer(key))?.toString('base64')]),
        );
      await admin.set('aq:{0}:dlq', 'not a hash');
      const before = await dump();
      const batch = heir.batch(takeover('account:1', incarnation));
      expect(await failureOf(store.apply(batch))).toMatchObject({ refused: true });
      expect(await dump()).toEqual(before);
      await admin.del('aq:{0}:dlq');
      expect(await store.apply(batch)).toMatchObject({ status: 'applied', answers: [{ interrupted: { seq: 1 } }] });
      expect(await letters()).toHaveLength(1);
    });

    it('B7: a node whose member record was taken away is fenced, and joins as another', async () => {
      const n1 = await join('n1');
      const { incarnation } = n1.joined;
      await admin.hdel('aq:{0}:member', String(incarnation));
      expect(await store.control({ op: 'heartbeat', ...n1.identity, heartbeat: 1, acknowledged: 0 })).toMatchObject({
        ok: false,
        code: 'FENCED',
      });
      const again = await join('n1');
      expect(again.joined.incarnation).toBeGreaterThan(incarnation);
    });
  },
  { own: true },
);
