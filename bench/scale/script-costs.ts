/**
 * Measures what one item costs on Redis where there are n of everything, for each operation of the store protocol
 * (src/redis/scripts).
 */
import { Redis } from 'ioredis';
import type { SessionOp } from '../../src/core/log/operations.js';
import { append, message, Session } from '../../test/redis/support.js';
import {
  CALLS,
  done,
  ENTRY_TTL_MS,
  failed,
  fences,
  given,
  HOLD_MS,
  OPS,
  RESULT_TTL_MS,
  range,
  ScriptWorld,
  START_MS,
  seqs,
} from './script-world.js';

const EXPIRE_MAX = 100;
/** Number of withdrawn messages that one call passes (prelude.lua). */
const HOLES_MAX = 8000;
const FEW = CALLS * OPS;
const QUEUE = 'account:queue';

const waiting = (i: number): string => `account:waiting-${i}`;
const mine = (i: number): string => `account:mine-${i}`;
const lost = (i: number): string => `account:lost-${i}`;

/** Contents of the filled store. */
interface Stock {
  readonly me: Session;
  /** Fence of entity `mine(i)`. */
  readonly fence: readonly number[];
  /** Sequence of the first message of entity `mine(i)`. */
  readonly first: readonly number[];
  /** Sequences of the messages that wait in the entity `QUEUE`. */
  readonly queued: readonly number[];
  /** Members that die. Entity `lost(i)` belongs to member number i modulo CALLS. */
  readonly dead: readonly Session[];
  /** Sequence of the message that ran in entity `lost(i)`. */
  readonly ran: readonly number[];
}

/** Returns microseconds of Redis for one item, by the name of the operation. */
export async function scriptCosts(port: number, admin: Redis, n: number): Promise<Map<string, number>> {
  const w = new ScriptWorld(port, admin, n);
  await w.store.open();
  const stock = await fill(w);
  await deaths(w, stock);
  await membership(w, stock);
  await pages(w, stock);
  await letters(w);
  await steps(w, stock);
  await longQueue(w, stock);
  await retention(w, stock);
  await w.store.close();
  return w.costs;
}

const end = ({ fence, first }: Stock, i: number, more: Partial<SessionOp> = {}): SessionOp =>
  ({
    ...{ op: 'finish', entity: mine(i), fence: fence[i]!, seq: first[i]!, attempt: 1, outcome: done, sends: [], next: -1 },
    ...more,
  }) as SessionOp;

/**
 * Fills the store: n entities with a message that waits, n that are owned and have ended one, n messages in one entity, and n
 * entities of members that die.
 */
async function fill(w: ScriptWorld): Promise<Stock> {
  const me = await w.join();
  const all = range(w.n);
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
  const stock = { me, fence, first, queued: [] as number[], dead: [] as Session[], ran: [] as number[] };
  await w.all(
    me,
    all.map((i) => end(stock, i)),
  );
  stock.queued = seqs(
    await w.all(
      me,
      all.map((i) => append(`q${i}`, { entity: QUEUE, begin: false })),
    ),
  );
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
    for (const [j, i] of its.entries()) stock.ran[i] = begun[j]!;
    stock.dead.push(other);
  }
  return stock;
}

const deadOf = ({ dead }: Stock, i: number): number => dead[i % CALLS]!.joined.incarnation;

/** Evicts members that own n entities, with a message running in each, and takes the entities over. */
async function deaths(w: ScriptWorld, stock: Stock): Promise<void> {
  const { me } = stock;
  const all = range(w.n);
  w.nowMs += 10;
  await w.control('evict', (i) => ({ op: 'evict', generation: 'g1', incarnation: deadOf(stock, i), heartbeatSeen: 0 }));
  const take = (i: number): SessionOp => ({ op: 'takeover', entity: lost(i), incarnation: deadOf(stock, i) });
  await w.ops('takeover', me, take);
  await w.all(me, all.slice(FEW).map(take));
  await w.all(
    me,
    all.map((i) => ({ op: 'claim', entity: lost(i) })),
  );
}

async function membership(w: ScriptWorld, { me }: Stock): Promise<void> {
  const { identity } = me;
  await w.control('heartbeat', (i) => ({ op: 'heartbeat', ...identity, heartbeat: i + 1, acknowledged: 0 }));
  await w.control('report', () => ({ op: 'report', ...identity, eligible: true, unreachable: [] }));
  await w.control('lead', () => ({ op: 'lead', ...identity }));
  const joined: Session[] = [];
  await w.measure('join', 1, async () => {
    for (const _ of range(CALLS)) joined.push(await w.join());
  });
  await w.control('leave', (i) => ({ op: 'leave', ...joined[i]!.remembered }));
  await w.control('members', () => ({ op: 'members', contractsAbove: 0 }));
  await w.control('counts', () => ({ op: 'counts' }));
}

/** Measures pages over n items, and look-ups of one of n. */
async function pages(w: ScriptWorld, { me, first }: Stock): Promise<void> {
  const { n, store } = w;
  const { incarnation } = me.identity;
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
  /** Counts a page as one item: the operation reads more entries than the page has. */
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
  await w.control('entity, one with n waiting', () => ({ op: 'entity', entity: QUEUE, max: 10 }));
}

async function letters(w: ScriptWorld): Promise<void> {
  const { n } = w;
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
}

/** Measures session operations, each on another entity. */
async function steps(w: ScriptWorld, stock: Stock): Promise<void> {
  const { me, fence, ran } = stock;
  await w.ops('append, new entity', me, (i) => append(`new${i}`, { entity: `account:new-${i}`, begin: false }));
  await w.ops('append, entity with something waiting', me, (i) => append('second', { entity: waiting(i), begin: false }));
  await w.ops('append, one with n waiting', me, (i) => append(`more${i}`, { entity: QUEUE, begin: false }));
  await w.ops('append, known id', me, (i) => given('first', mine(i)));
  const fresh = seqs(await w.ops('append that begins', me, (i) => append('s', { entity: mine(i) })));
  await w.ops('retry', me, (i) => ({
    ...{ op: 'retry', entity: mine(i), fence: fence[i]!, seq: fresh[i]!, attempt: 1, delayMs: 0, error: '{}' },
  }));
  await w.ops('begin', me, (i) => ({ op: 'begin', entity: mine(i), fence: fence[i]!, have: 0 }));
  await w.ops('finish, failed', me, (i) => end(stock, i, { seq: fresh[i]!, attempt: 2, outcome: failed }));
  const again = seqs(
    await w.all(
      me,
      range(FEW).map((i) => given('third', mine(i), { begin: true })),
    ),
  );
  const sends = [{ entity: `account:sent`, message: message('sent'), depthMax: 0 }];
  await w.ops('finish, with a send', me, (i) => end(stock, i, { seq: again[i]!, sends }));
  const fourth = seqs(
    await w.all(
      me,
      range(FEW).map((i) => append('fourth', { entity: mine(i) })),
    ),
  );
  await w.ops('finish', me, (i) => end(stock, i, { seq: fourth[i]! }));
  await w.ops('late', me, (i) => {
    const k = FEW + i;
    return {
      ...{ op: 'late', entity: lost(k), seq: ran[k]!, attempt: 1, incarnation: deadOf(stock, k) },
      outcome: 'failed',
      detail: '{}',
    };
  });
  await w.ops('release', me, (i) => ({ op: 'release', entity: mine(i), fence: fence[i]!, handoff: false }));
  await w.ops('claim', me, (i) => ({ op: 'claim', entity: mine(i) }));
}

/** Measures one entity with n messages that wait. */
async function longQueue(w: ScriptWorld, { me, queued }: Stock): Promise<void> {
  const { n } = w;
  w.nowMs += HOLD_MS;
  const [fence = 0] = fences(await w.all(me, [{ op: 'claim', entity: QUEUE }]));
  const at = (i: number): number => (n >> 1) + i;
  const taken = (i: number): SessionOp => ({ op: 'withdraw', entity: QUEUE, id: `q${i}`, seq: queued[i]! });
  await w.ops('withdraw, in the middle of n', me, (i) => taken(at(i)));
  await w.all(me, [{ op: 'begin', entity: QUEUE, fence, have: 0 }]);
  const finish = (i: number, next: number): SessionOp => ({
    ...{ op: 'finish', entity: QUEUE, fence, seq: queued[i]!, attempt: 1, outcome: done, sends: [], next },
  });
  await w.measure('finish and begin, one with n waiting', 1, async () => {
    for (const i of range(CALLS)) await w.all(me, [finish(i, 0)]);
  });
  // Withdraw all waiting messages but the last, the newest first, so that none of them is the head. Then the running message
  // ends, and the next one is far away.
  const gone = range(n)
    .slice(CALLS + 1, n - 1)
    .filter((i) => i < n >> 1 || i >= (n >> 1) + FEW);
  await w.all(me, gone.reverse().map(taken));
  await w.all(me, [finish(CALLS, -1)]);
  await w.measure('begin, behind n that were withdrawn', Math.min(n, HOLES_MAX), async () => {
    for (let begun = false; !begun; ) {
      const reply = await me.apply({ op: 'begin', entity: QUEUE, fence, have: 0 });
      const [answer] = reply.status === 'applied' ? reply.answers : [];
      if (answer?.ok === false && answer.code !== 'NOT_BEFORE') throw new Error(JSON.stringify(answer));
      begun = answer?.ok === true;
      if (begun && seqs([answer!])[0] !== queued[n - 1]) throw new Error(`another message began: ${JSON.stringify(answer)}`);
    }
  });
}

async function retention(w: ScriptWorld, { me }: Stock): Promise<void> {
  w.nowMs = START_MS + RESULT_TTL_MS + 1000;
  const shed = (from: number) => async (): Promise<void> => {
    for (const _ of range(CALLS)) await w.all(me, [{ op: 'shed', from }]);
  };
  await w.measure('shed, first page', 1, shed(0));
  await w.measure('shed, last page', 1, shed(w.n - 250));
  const expire = async (times: number): Promise<void> => {
    for (const _ of range(times)) await w.all(me, [{ op: 'expire', max: EXPIRE_MAX }]);
  };
  await w.measure('expire, holds that are over', 1, () => expire(1));
  w.nowMs = START_MS + 2 * ENTRY_TTL_MS;
  await w.measure('expire', EXPIRE_MAX, () => expire(5));
}

/** Returns microseconds of Redis for one step, or for one member of those that a step reads, with n live members. */
export async function memberCosts(port: number, admin: Redis, n: number): Promise<Map<string, number>> {
  const w = new ScriptWorld(port, admin, n);
  await w.store.open();
  const me = await w.join();
  const { identity } = me;
  for (const _ of range(n - 1)) await w.join();
  await w.control('heartbeat, n members', (i) => ({ op: 'heartbeat', ...identity, heartbeat: i + 1, acknowledged: 0 }));
  await w.control('report, n members', () => ({ op: 'report', ...identity, eligible: true, unreachable: [] }));
  await w.ops('claim, n members', me, (i) => ({ op: 'claim', entity: mine(i) }));
  await w.ops('append that begins, n members', me, (i) => append('s', { entity: mine(i) }));
  const perMember = () => n;
  await w.control('lead, for each of n members', () => ({ op: 'lead', ...identity }), perMember);
  await w.control('members, for each of n', () => ({ op: 'members' }), perMember);
  const joined: Session[] = [];
  await w.measure('join, for each of n members', n, async () => {
    for (const _ of range(CALLS)) joined.push(await w.join());
  });
  await w.control('leave, for each of n members', (i) => ({ op: 'leave', ...joined[i]!.remembered }), perMember);
  await w.store.close();
  return w.costs;
}
