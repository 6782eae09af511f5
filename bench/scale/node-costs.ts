/**
 * Measures what one of n items costs a node, on either store: CPU of Node and CPU of Redis. A scenario starts from an empty
 * store, runs one or two nodes, and measures each phase. The name of a phase says what one item is.
 */
import type { SessionOp } from '../../src/core/log/operations.js';
import { DeadLetterBox } from '../../src/runtime/dead-letters.js';
import { DeadLetterLimits } from '../../src/runtime/letter-limits.js';
import type { Node } from '../../src/runtime/node.js';
import { append, Session } from '../../test/redis/support.js';
import { FlakyStore } from '../../test/runtime/flaky-store.js';
import { msg, sleep } from '../../test/runtime/harness.js';
import { Gate, NodeWorld, send, wait } from './node-world.js';

/** Number of measured steps on a store or node that has n items. */
const STEPS = 2000;
const PAGES = 200;
const LETTER_STEPS = 200;
const IDLE_SECONDS = 2;

/** Config of nodes whose background duties are measured. Short periods: the idle duties of a long wait would count as well. */
const SOON = {
  ...{ heartbeatMs: 40, nodeTTLMs: 1000, leaseMarginMs: 50, reconcileIntervalMs: 1000, takeoverHoldMs: 100 },
  ...{ redisHealthCheckMs: 200, leaderTTLMs: 1000, leaderRenewalMs: 200, leaderDebounceMs: 50 },
  deadlines: { syncMs: 300, forwardMs: 500 },
};

const entityAt = (i: number): string => `e${i}`;

/** Resolves when all calls have been rejected. Throws if the code of one is not among `codes`. */
async function rejected(calls: readonly Promise<unknown>[], ...codes: readonly string[]): Promise<void> {
  const settled = await Promise.allSettled(calls);
  for (const one of settled) {
    const code = one.status === 'rejected' ? (one.reason as { code: string }).code : 'a result';
    if (!codes.includes(code)) throw new Error(`a call ended with ${code}, not ${codes.join(' or ')}`);
  }
}

/** The entities of one node: activation, a message among n idle ones, an idle second, n handlers at once, the release of all. */
async function entities(w: NodeWorld, n: number): Promise<void> {
  const gate = new Gate();
  // Two sweeps fall into the idle seconds.
  const node = await w.start(gate.handle, { grpc: { reconcileIntervalMs: 1000 } });
  await w.measure('entity activated by its first message', n, async () => {
    await send(node, n, entityAt);
    await wait('all have run', () => gate.done === n);
  });
  await sleep(200);
  await w.measure('message to one of n idle entities', STEPS, async () => {
    await send(node, STEPS, (i) => entityAt(Math.floor((i * n) / STEPS)));
    await wait('they have run', () => gate.done === n + STEPS);
  });
  await w.measure('second of a node with n idle entities', IDLE_SECONDS, () => sleep(IDLE_SECONDS * 1000));
  gate.isClosed = true;
  await w.measure('handler begun, n at once', n, async () => {
    await send(node, n, entityAt);
    await wait('all run', () => gate.running === n);
  });
  await w.measure('handler ended, n at once', n, async () => {
    gate.openAll();
    await wait('all have ended', () => !node.isBusy);
  });
  await w.measure('idle entity released at the stop', n, () => node.stop());
}

/**
 * Makes n calls, one to each entity, with one common deadline. Returns them before the log has replied. The caller must handle
 * the rejections.
 */
async function callAll(node: Node, n: number, onTimeout: 'keep' | 'withdraw', dueMs: number) {
  const calls: Promise<unknown>[] = [];
  for (let i = 0; i < n; i++) {
    calls.push(node.enqueueAndWait(msg(entityAt(i)), { timeoutMs: Math.max(1, dueMs - performance.now()), onTimeout }));
    calls.at(-1)?.catch(() => undefined);
    if (i % 1000 === 999) await sleep(0);
  }
  return calls;
}

async function waiters(w: NodeWorld, n: number): Promise<void> {
  const gate = new Gate();
  const node = await w.start(gate.handle);
  await send(node, n, entityAt);
  await wait('all entities are owned', () => gate.done === n);
  gate.isClosed = true;
  let calls: Promise<unknown>[] = [];
  const startMs = performance.now();
  await w.measure('call that waits, n at once', n, async () => {
    calls = await callAll(node, n, 'keep', performance.now() + 600_000);
    await wait('all run', () => gate.running === n);
  });
  const loggedMs = performance.now() - startMs;
  await w.measure('reply to one of n calls', n, async () => {
    gate.openAll();
    await Promise.all(calls);
  });
  await expiry(w, node, gate, { n, dueAfterMs: 3 * loggedMs + 1000 });
  await hotEntity(w, node, gate, n);
  await node.stop();
}

/** Deadlines of n calls: of calls whose message runs, and of calls that withdraw a message which waits behind another. */
async function expiry(w: NodeWorld, node: Node, gate: Gate, { n, dueAfterMs }: { n: number; dueAfterMs: number }): Promise<void> {
  const leadMs = 200 + n / 100;
  const expired = async (name: string, onTimeout: 'keep' | 'withdraw', logged: number): Promise<void> => {
    const dueMs = performance.now() + dueAfterMs + leadMs;
    const calls = await callAll(node, n, onTimeout, dueMs);
    await wait('all are logged', async () => (await node.depth()).messages === logged);
    // Collect garbage here and not in `measure`, which would begin shortly before the deadlines.
    globalThis.gc?.();
    await sleep(Math.max(0, dueMs - leadMs - performance.now()));
    const lateMs = performance.now() - dueMs;
    if (lateMs > 0) throw new Error(`the deadlines of ${n} calls were over ${Math.round(lateMs)} ms before they were measured`);
    await w.measureAtOnce(name, n, () => rejected(calls, 'REPLY_TIMEOUT'));
  };
  gate.isClosed = true;
  await expired('deadline of one of n calls', 'keep', n);
  await expired('deadline of one of n calls that withdraws its message', 'withdraw', 2 * n);
  gate.openAll();
  await wait('all have ended', () => !node.isBusy);
}

/** One entity with n calls that wait for their turn. */
async function hotEntity(w: NodeWorld, node: Node, gate: Gate, n: number): Promise<void> {
  gate.isClosed = true;
  const calls = Array.from({ length: n }, () => node.enqueueAndWait(msg('hot'), { timeoutMs: 600_000 }));
  await wait('all are logged', async () => (await node.depth()).messages === n);
  await w.measure('reply of one entity with n calls in its queue', n, async () => {
    gate.openAll();
    await Promise.all(calls);
  });
}

/** Calls that cannot reach the store: they expire, their signal withdraws them, or they leave once the store is back. */
async function unsent(w: NodeWorld, n: number): Promise<void> {
  const expiring = new FlakyStore(await w.link());
  const short = await w.start(() => 'ok', { store: expiring, config: { enqueueTimeoutMs: 1000, storeCallTimeoutMs: 500 } });
  await w.measure('unsent append that expires', n, async () => {
    expiring.cut = true;
    const calls = Array.from({ length: n }, (_, i) => short.enqueue(msg(entityAt(i))));
    // Appends that had left when the link broke may have been applied.
    await rejected(calls, 'STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN');
    expiring.cut = false;
  });
  await short.stop();
  const store = new FlakyStore(await w.link());
  const gate = new Gate();
  const long = await w.start(gate.handle, { store });
  await w.measure('unsent call that its signal withdraws', n, async () => {
    store.cut = true;
    const wait = (signal: AbortSignal) => ({ timeoutMs: 600_000, signal, onTimeout: 'withdraw' as const });
    const aborts = Array.from({ length: n }, () => new AbortController());
    const calls = aborts.map(({ signal }, i) => long.enqueueAndWait(msg(entityAt(i)), wait(signal)));
    for (const call of calls) call.catch(() => undefined);
    await sleep(0);
    for (const abort of aborts) abort.abort();
    store.cut = false;
    await rejected(calls, 'REPLY_TIMEOUT');
  });
  await wait('the node is well again', () => long.status().isReady && !long.isBusy);
  const before = gate.done;
  await w.measure('unsent append that leaves later', n, async () => {
    store.cut = true;
    const calls = Array.from({ length: n }, (_, i) => long.enqueue(msg(entityAt(i))));
    await sleep(0);
    store.cut = false;
    await Promise.all(calls);
    await wait('all have run', () => gate.done >= before + n);
  });
  await long.stop();
}

/** Applies n operations. Throws unless each succeeds. */
async function applyAll(session: Session, n: number, op: (i: number) => SessionOp): Promise<void> {
  for (let from = 0; from < n; from += 1000) {
    const ops = Array.from({ length: Math.min(1000, n - from) }, (_, i) => op(from + i));
    const reply = await session.apply(...ops);
    if (reply.status !== 'applied' || reply.answers.some(({ ok }) => !ok)) throw new Error(JSON.stringify(reply).slice(0, 300));
  }
}

const claim = (i: number): SessionOp => ({ op: 'claim', entity: `account:${entityAt(i)}` });
const begin = (i: number): SessionOp => {
  const plain = append('m', { entity: `account:${entityAt(i)}` });
  return { ...plain, message: { ...plain.message, name: 'Do' } };
};

/** A member that owned n entities is dead: a node evicts it and takes them over. */
async function takeOver(w: NodeWorld, n: number): Promise<void> {
  for (const ran of [false, true]) {
    const dead = await w.member(`dead-${ran}`, 1);
    await applyAll(dead, n, claim);
    if (ran) await applyAll(dead, n, begin);
    const evicted = w.next('buried');
    const name = ran ? 'entity of a dead member whose handler ran' : 'idle entity of a dead member';
    let node: Node | undefined;
    await w.measure(`${name}, taken over`, n, async () => {
      node = await w.start(() => 'ok', { grpc: SOON });
      const { owned } = await evicted;
      if (owned !== n) throw new Error(`${owned} entities were taken over, not ${n}`);
    });
    await node?.stop();
  }
}

/** A new master reads the entities of a member that does not reply from the store. */
async function rebuild(w: NodeWorld, n: number): Promise<void> {
  const silent = await w.member('z-silent', 3_600_000);
  await applyAll(silent, n, claim);
  const leading = w.next('leading');
  const rebuilt = w.next('rebuilt');
  const node = await w.start(() => 'ok', { serverId: 'm', grpc: SOON });
  // The new master waits `syncMs` for the member's list before it reads the store.
  await leading;
  await w.measure('entity of a silent member, read by a new master', n, async () => {
    const { entities } = await rebuilt;
    if (entities < n) throw new Error(`the table has ${entities} of ${n} rows`);
  });
  await node.stop();
}

/** A node owns n idle entities. A new master asks for its list, then a new node gets its share of them. */
async function rebalance(w: NodeWorld, n: number): Promise<void> {
  const gate = new Gate();
  const owner = await w.start(gate.handle, { serverId: 'm', grpc: SOON });
  await send(owner, n, entityAt);
  await wait('all have run', () => gate.done === n);
  await sleep(300);
  // This node handles another type, so no entity is moved to it. Its serverId is lower, so it becomes master after a while.
  const rebuilt = w.next('leading').then(() => w.next('rebuilt'));
  const other = await w.start(gate.handle, { serverId: 'a', types: ['other'], grpc: SOON });
  await w.measure('entity of a member, listed to a new master', n, async () => {
    const { entities } = await rebuilt;
    if (entities < n) throw new Error(`the table has ${entities} of ${n} rows`);
  });
  await other.stop();
  const newcomer = await w.start(gate.handle, { serverId: 'b', grpc: SOON });
  let owned = owner.status().owned;
  await w.measure('idle entity released to a newcomer', n / 2, async () => {
    for (let still = 0; still < 5; ) {
      await sleep(200);
      const now = owner.status().owned;
      still = now < n && now === owned ? still + 1 : 0;
      owned = now;
    }
  });
  if (owned > n * 0.6 || owned < n * 0.4) throw new Error(`the owner kept ${owned} of ${n}`);
  await Promise.all([owner.stop(), newcomer.stop()]);
}

async function letters(w: NodeWorld, n: number): Promise<void> {
  let fails = true;
  const node = await w.start(() => {
    if (fails) throw new Error('no');
    return 'ok';
  });
  await w.measure('dead letter made', n, async () => {
    await send(node, n, entityAt);
    await wait('all have failed', async () => (await node.depth()).deadLetters === n);
  });
  const store = await w.link();
  const box = new DeadLetterBox(store, w.clock);
  const listed = (name: string, after: string): Promise<void> =>
    w.measure(name, PAGES, async () => {
      for (let i = 0; i < PAGES; i++) {
        const page = await box.list({ after, limit: 50 });
        if (page.letters.length !== 50) throw new Error(`${page.letters.length} dead letters on a page`);
      }
    });
  await listed('page of dead letters, the first', '');
  await listed('page of dead letters, the last', String(n - 50));
  await w.measure('dead letter looked at, none matches', n, () => box.list({ reason: 'interrupted' }));
  fails = false;
  await w.measure('dead letter replayed', LETTER_STEPS, async () => {
    for (let i = 0; i < LETTER_STEPS; i++) {
      const outcome = await box.replay(String(n - i));
      if (!outcome.ok) throw new Error(outcome.message);
    }
    await wait('the replays have run', () => !node.isBusy);
  });
  await w.measure('dead letter purged', LETTER_STEPS, async () => {
    for (let i = 0; i < LETTER_STEPS; i++) if (!(await box.purge(String(n - i)))) throw new Error('it is absent');
  });
  const dropped = n >> 1;
  const max = n - LETTER_STEPS - dropped;
  const limits = new DeadLetterLimits(store, { verbose: false, emit: () => undefined }, { max, ttlMs: 0 });
  await w.measure('dead letter over the limit, deleted', dropped, async () => {
    while (await limits.enforce(Date.now(), () => false));
  });
  if ((await box.count()) !== max) throw new Error(`${await box.count()} dead letters are left, not ${max}`);
  const purged = n / 5;
  const throughLetter = String(dropped + purged);
  await w.measure('dead letter purged with all that match', purged, () => box.purgeAll({}, { throughLetter }));
  await node.stop();
}

const SCENARIOS = { entities, waiters, unsent, takeOver, rebuild, rebalance, letters } as const;

export type ScenarioName = keyof typeof SCENARIOS;
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];

/** Scenarios with a single node: the memory store serves one process. */
export const OF_ONE_NODE: readonly ScenarioName[] = ['entities', 'waiters', 'unsent', 'letters'];

/** Runs a scenario from an empty store. Returns the cost of one item, by the name of its phase. */
export async function nodeCosts(name: ScenarioName, redisPort: number | undefined, n: number) {
  const w = new NodeWorld(redisPort);
  await w.open();
  try {
    await SCENARIOS[name](w, n);
  } finally {
    await w.close();
  }
  return w.costs;
}
