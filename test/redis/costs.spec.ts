/**
 * The cost of one item on Redis must not grow with the number of items. Measured as the time that the server took for each script call, as
 * its slow log has it, so that neither the network nor this process counts; and judged as a ratio, so that the speed of the machine does not.
 * Each call is another instance of its operation, and the median of them stands for all: other processes of the machine interrupt a few.
 * Where one call is all there is, the server's CPU time is the bound of what an interruption adds.
 */
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Answer, AppendOp, SessionOp } from '../../src/core/log/operations.js';
import type { RedisStore } from '../../src/redis/store.js';
import { describeRedis, startRedis } from '../support/redis-server.js';
import { append, joinOf, message, redisStore, Session } from './support.js';

/** The largest takes half a minute to fill, so it is of the whole systems (npm run test:systems). */
const SIZES = process.env.AQ_TEST === 'systems' ? [1000, 10_000, 100_000] : [1000, 10_000];
/**
 * Ten and a hundred times as many may cost this much more for each: memory that is in no cache, skip lists of a few more levels (up to 2.7
 * was seen beside other work). What walks over all of them costs ten times as much.
 */
const GROWTH_MAX = 4;
/** What costs less, in microseconds of one item, is noise. */
const FLOOR_US = 4;
/** Calls that are measured, and the session operations in each of them. */
const CALLS = 15;
const OPS = 10;

const START_MS = 1_700_000_000_000;
const HOLD_MS = 1000;
const RESULT_TTL_MS = 5000;
const ENTRY_TTL_MS = 50_000;
const EXPIRE_MAX = 100;
const BATCH = 1000;
/** Withdrawn messages that one call passes (prelude.lua). */
const HOLES_MAX = 8000;

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** A store with n of everything, and the ways to work on it. */
class World {
  readonly costs = new Map<string, number>();
  nowMs = START_MS;
  readonly store: RedisStore;
  #members = 0;

  constructor(
    port: number,
    readonly admin: Redis,
    readonly n: number,
  ) {
    this.store = redisStore(port, { keyPrefix: `aq${n}`, storeCallTimeoutMs: 30_000, storeNowMs: () => this.nowMs });
  }

  async join(leaseTtlMs = 1e9): Promise<Session> {
    const token = `t${++this.#members}`;
    const op = joinOf('g1', { leaseTtlMs, takeoverHoldMs: HOLD_MS, entryTtlMs: ENTRY_TTL_MS, resultTtlMs: RESULT_TTL_MS });
    const joined = await this.store.control({ ...op, serverId: `s${this.#members}`, token });
    if (!joined.ok) throw new Error(joined.code);
    return new Session(this.store, joined, token);
  }

  /** Applies as many operations as wanted; each must succeed. */
  async all(session: Session, ops: readonly SessionOp[], size = BATCH): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let i = 0; i < ops.length; i += size) {
      const reply = await session.apply(...ops.slice(i, i + size));
      if (reply.status !== 'applied') throw new Error(reply.status);
      answers.push(...reply.answers);
    }
    const refused = answers.find(({ ok }) => !ok);
    if (refused !== undefined) throw new Error(JSON.stringify(refused));
    return answers;
  }

  /** Measures what runs meanwhile: microseconds of each script call, and of each of the `items` in it. */
  async measure<T>(name: string, items: number, run: () => Promise<T>): Promise<T> {
    // A new Lua state: what filled the store left garbage, and whatever allocates next would pay for its collection.
    await this.admin.script('FLUSH');
    await this.store.control({ op: 'counts' });
    await this.store.apply({ generation: 'none', incarnation: 1, token: '', n: 1, ops: [] });
    await this.admin.slowlog('RESET');
    const before = await this.cpuUs();
    const result = await run();
    const cpuUs = (await this.cpuUs()) - before;
    const log = (await this.admin.slowlog('GET', -1)) as [number, number, number, string[]][];
    const us = log.filter(([, , , [command]]) => command?.startsWith('eval')).map(([, , took]) => took);
    us.sort((a, b) => a - b);
    this.costs.set(name, Math.min(us[us.length >> 1]!, cpuUs / us.length) / items);
    return result;
  }

  /** Microseconds of CPU that the server has taken. */
  private async cpuUs(): Promise<number> {
    const info = await this.admin.info('cpu');
    return [...info.matchAll(/used_cpu_(?:sys|user):([\d.]+)/g)].reduce((sum, [, seconds]) => sum + 1e6 * Number(seconds), 0);
  }

  /** Measures session operations: `CALLS` batches with `OPS` of them. */
  ops(name: string, session: Session, op: (i: number) => SessionOp): Promise<Answer[]> {
    return this.measure(name, OPS, () => this.all(session, range(CALLS * OPS).map(op), OPS));
  }

  /** Measures control operations, one a call; `itemsOf`: how many of the page's items one answer has. */
  async control<O extends ControlOp>(
    name: string,
    op: (i: number) => O,
    itemsOf: (answer: ControlAnswerOf[O['op']]) => number = () => 1,
  ): Promise<void> {
    let items = 0;
    await this.measure(name, 1, async () => {
      for (const i of range(CALLS)) {
        const answer = await this.store.control(op(i));
        if (!answer.ok) throw new Error(`${name}: ${JSON.stringify(answer)}`);
        items = Math.max(items, itemsOf(answer));
      }
    });
    this.costs.set(name, this.costs.get(name)! / Math.max(items, 1));
  }
}

const given = (id: string, entity: string, more: Partial<AppendOp> = {}): AppendOp =>
  append(id, { entity, message: message(id, { given: true, digest: 'd' }), begin: false, ...more });

const seqs = (answers: readonly Answer[]): number[] => answers.map((answer) => ('seq' in answer ? answer.seq : 0));
const fences = (answers: readonly Answer[]): number[] => answers.map((answer) => ('fence' in answer ? answer.fence : 0));

const done = { state: 'completed', result: '"done"', error: '' } as const;
const failed = { state: 'failed', result: '', error: '{"name":"Error"}' } as const;

async function costsOf(port: number, admin: Redis, n: number): Promise<Map<string, number>> {
  const w = new World(port, admin, n);
  const { store } = w;
  await store.open();
  const me = await w.join();
  const all = range(n);
  const few = CALLS * OPS;

  // ---- n of everything
  const waiting = (i: number): string => `account:waiting-${i}`;
  const mine = (i: number): string => `account:mine-${i}`;
  const lost = (i: number): string => `account:lost-${i}`;
  await w.all(
    me,
    all.map((i) => append('first', { entity: waiting(i), begin: false })),
  );
  const fence = fences(
    await w.all(
      me,
      all.map((i) => ({ op: 'claim', entity: mine(i) })),
    ),
  );
  const first = seqs(
    await w.all(
      me,
      all.map((i) => given('first', mine(i), { begin: true })),
    ),
  );
  const end = (i: number, more: Partial<SessionOp> = {}): SessionOp =>
    ({
      op: 'finish',
      entity: mine(i),
      fence: fence[i]!,
      seq: first[i]!,
      attempt: 1,
      outcome: done,
      sends: [],
      next: -1,
      ...more,
    }) as SessionOp;
  await w.all(
    me,
    all.map((i) => end(i)),
  );
  const queue = 'account:queue';
  const queued = seqs(
    await w.all(
      me,
      all.map((i) => append(`q${i}`, { entity: queue, begin: false })),
    ),
  );
  // Members that die with n entities, something runs in each.
  const dead: Session[] = [];
  const ran: number[] = [];
  for (const k of range(CALLS)) {
    const other = await w.join(1);
    const its = all.filter((i) => i % CALLS === k);
    await w.all(
      other,
      its.map((i) => ({ op: 'claim', entity: lost(i) })),
    );
    const begun = seqs(
      await w.all(
        other,
        its.map((i) => given('ran', lost(i), { begin: true })),
      ),
    );
    for (const [j, i] of its.entries()) ran[i] = begun[j]!;
    dead.push(other);
  }
  w.nowMs += 10;
  const deadOf = (i: number): number => dead[i % CALLS]!.joined.incarnation;
  await w.control('bury', (i) => ({ op: 'bury', generation: 'g1', incarnation: deadOf(i), beatSeen: 0 }));
  const take = (i: number): SessionOp => ({ op: 'takeover', entity: lost(i), incarnation: deadOf(i) });
  await w.ops('takeover', me, take);
  await w.all(me, all.slice(few).map(take));
  await w.all(
    me,
    all.map((i) => ({ op: 'claim', entity: lost(i) })),
  );

  // ---- control operations that change little
  const identity = me.identity;
  await w.control('beat', (i) => ({ op: 'beat', ...identity, beat: i + 1, acknowledged: 0 }));
  await w.control('report', () => ({ op: 'report', ...identity, eligible: true, unreachable: [] }));
  await w.control('lead', () => ({ op: 'lead', ...identity }));
  const joined: Session[] = [];
  await w.measure('join', 1, async () => {
    for (const _ of range(CALLS)) joined.push(await w.join());
  });
  await w.control('leave', (i) => ({ op: 'leave', ...joined[i]!.remembered }));

  // ---- pages and single looks
  const { incarnation } = identity;
  await w.control('members', () => ({ op: 'members', contractsAbove: 0 }));
  await w.control('counts', () => ({ op: 'counts' }));
  await w.control(
    'ready, first page',
    () => ({ op: 'ready', after: '', max: 200 }),
    ({ entities }) => entities.length,
  );
  let after = '';
  for (let i = 0; i < n - 400; i += 512) {
    const page = await store.control({ op: 'ready', after, max: Math.min(512, n - 400 - i) });
    if (page.next !== '') after = page.next;
  }
  await w.control(
    'ready, last page',
    () => ({ op: 'ready', after, max: 200 }),
    ({ entities }) => entities.length,
  );
  let cursor = '0';
  const next = <T extends { cursor: string }>(answer: T): T => {
    cursor = answer.cursor;
    return answer;
  };
  /** A page is one item: what it looks at is not what it has. */
  const look = (answer: { cursor: string }): number => {
    next(answer);
    return 1;
  };
  await w.control(
    'owned',
    () => ({ op: 'owned', incarnation, cursor }),
    (answer) => next(answer).entities.length,
  );
  cursor = '0';
  await w.control('survey', () => ({ op: 'survey', cursor }), look);
  cursor = '0';
  await w.control('history', () => ({ op: 'history', entity: mine(0), cursor }), look);
  cursor = '0';
  await w.control('audit', () => ({ op: 'audit', incarnation, owned: n, cursor }), look);
  await w.control('lookup', (i) => ({ op: 'lookup', entity: mine(i), id: 'first', seq: first[i]! }));
  await w.control('entity', (i) => ({ op: 'entity', entity: waiting(i), max: 10 }));
  await w.control('entity, one with n waiting', () => ({ op: 'entity', entity: queue, max: 10 }));
  await w.control(
    'letters, first page',
    () => ({ op: 'letters', after: '', max: 100 }),
    ({ letters }) => letters.length,
  );
  await w.control(
    'letters, last page',
    () => ({ op: 'letters', after: String(n - 200), max: 100, type: 'account' }),
    ({ letters }) => letters.length,
  );
  await w.control('letters, of which none matches', () => ({ op: 'letters', after: '', max: 100, type: 'other' }));
  await w.control('purge, within limits', (i) => ({ op: 'purge', letter: String(i + 1), limits: { max: 1, ttlMs: 0 } }));
  await w.control('purge', (i) => ({ op: 'purge', letter: String(CALLS + i + 1) }));
  await w.control('replay', (i) => ({ op: 'replay', letter: String(n - i), force: false }));

  // ---- session operations
  await w.ops('append, new entity', me, (i) => append(`new${i}`, { entity: `account:new-${i}`, begin: false }));
  await w.ops('append, entity with something waiting', me, (i) => append('second', { entity: waiting(i), begin: false }));
  await w.ops('append, one with n waiting', me, (i) => append(`more${i}`, { entity: queue, begin: false }));
  await w.ops('append, known id', me, (i) => given('first', mine(i)));
  const fresh = seqs(await w.ops('append that begins', me, (i) => append('s', { entity: mine(i) })));
  await w.ops('retry', me, (i) => ({
    op: 'retry',
    entity: mine(i),
    fence: fence[i]!,
    seq: fresh[i]!,
    attempt: 1,
    delayMs: 0,
    error: '{}',
  }));
  await w.ops('begin', me, (i) => ({ op: 'begin', entity: mine(i), fence: fence[i]!, have: 0 }));
  await w.ops('finish, failed', me, (i) => end(i, { seq: fresh[i]!, attempt: 2, outcome: failed }));
  const again = seqs(
    await w.all(
      me,
      range(few).map((i) => given('third', mine(i), { begin: true })),
    ),
  );
  const sends = [{ entity: `account:sent`, message: message('sent'), depthMax: 0 }];
  await w.ops('finish, with a send', me, (i) => end(i, { seq: again[i]!, sends }));
  const fourth = seqs(
    await w.all(
      me,
      range(few).map((i) => append('fourth', { entity: mine(i) })),
    ),
  );
  await w.ops('finish', me, (i) => end(i, { seq: fourth[i]! }));
  await w.ops('late', me, (i) => {
    const k = few + i;
    return {
      ...{ op: 'late', entity: lost(k), seq: ran[k]!, attempt: 1, incarnation: deadOf(k) },
      outcome: 'failed',
      detail: '{}',
    };
  });
  await w.ops('release', me, (i) => ({ op: 'release', entity: mine(i), fence: fence[i]!, handoff: false }));
  await w.ops('claim', me, (i) => ({ op: 'claim', entity: mine(i) }));

  // ---- one entity with n waiting
  w.nowMs += HOLD_MS;
  const [queueFence = 0] = fences(await w.all(me, [{ op: 'claim', entity: queue }]));
  const at = (i: number): number => (n >> 1) + i;
  await w.ops('withdraw, in the middle of n', me, (i) => ({
    op: 'withdraw',
    entity: queue,
    id: `q${at(i)}`,
    seq: queued[at(i)]!,
  }));
  await w.all(me, [{ op: 'begin', entity: queue, fence: queueFence, have: 0 }]);
  await w.measure('finish and begin, one with n waiting', 1, async () => {
    for (const i of range(CALLS)) {
      await w.all(me, [
        { op: 'finish', entity: queue, fence: queueFence, seq: queued[i]!, attempt: 1, outcome: done, sends: [], next: 0 },
      ]);
    }
  });
  // All that wait but the last are withdrawn, the newest first, so that none is the head: what runs ends, and the next one is far away.
  const gone = all.slice(CALLS + 1, n - 1).filter((i) => i < n >> 1 || i >= (n >> 1) + few);
  await w.all(
    me,
    gone.reverse().map((i) => ({ op: 'withdraw', entity: queue, id: `q${i}`, seq: queued[i]! })),
  );
  await w.all(me, [
    { op: 'finish', entity: queue, fence: queueFence, seq: queued[CALLS]!, attempt: 1, outcome: done, sends: [], next: -1 },
  ]);
  await w.measure('begin, behind n that were withdrawn', Math.min(n, HOLES_MAX), async () => {
    for (let begun = false; !begun; ) {
      const reply = await me.apply({ op: 'begin', entity: queue, fence: queueFence, have: 0 });
      const [answer] = reply.status === 'applied' ? reply.answers : [];
      if (answer?.ok === false && answer.code !== 'NOT_BEFORE') throw new Error(JSON.stringify(answer));
      begun = answer?.ok === true;
      if (begun) expect(answer).toMatchObject({ seq: queued[n - 1]! });
    }
  });

  // ---- retention
  w.nowMs = START_MS + RESULT_TTL_MS + 1000;
  const shed = (from: number) => async (): Promise<void> => {
    for (const _ of range(CALLS)) await w.all(me, [{ op: 'shed', from }]);
  };
  await w.measure('shed, first page', 1, shed(0));
  await w.measure('shed, last page', 1, shed(n - 250));
  const expire = async (): Promise<void> => {
    for (const _ of range(5)) await w.all(me, [{ op: 'expire', max: EXPIRE_MAX }]);
  };
  await w.measure('expire, holds that are over', 1, async () => void (await w.all(me, [{ op: 'expire', max: EXPIRE_MAX }])));
  w.nowMs = START_MS + 2 * ENTRY_TTL_MS;
  await w.measure('expire', EXPIRE_MAX, expire);
  await store.close();
  return w.costs;
}

describeRedis(
  'what one item costs on Redis',
  () => {
    it('does not grow with their number', { timeout: 180_000 }, async () => {
      const server = await startRedis({
        extraArgs: ['--appendonly', 'no', '--slowlog-log-slower-than', '0', '--slowlog-max-len', '1024'],
      });
      const admin = new Redis(server.url);
      try {
        const costs: Map<string, number>[] = [];
        for (const n of SIZES) costs.push(await costsOf(server.port, admin, n));
        const names = [...costs[0]!.keys()];
        const rows = names.map((name) => {
          const us = costs.map((of) => of.get(name)!);
          return { name, us, growth: us.at(-1)! / Math.max(Math.min(...us.slice(0, -1)), FLOOR_US) };
        });
        const line = (cells: readonly string[]): string =>
          cells.map((cell, i) => (i === 0 ? cell.padEnd(48) : cell.padStart(10))).join('');
        const table = rows.map(({ name, us, growth }) => line([name, ...us.map((x) => x.toFixed(1)), growth.toFixed(1)]));
        console.log([line(['us of Redis for each', ...SIZES.map(String), 'growth']), ...table].join('\n'));
        expect(rows.filter(({ growth }) => growth > GROWTH_MAX).map(({ name, growth }) => `${name}: ${growth}`)).toEqual([]);
      } finally {
        admin.disconnect();
        await server.stop();
      }
    });
  },
  { own: true },
);
