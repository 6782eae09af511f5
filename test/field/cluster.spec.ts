/** Cases from the field (docs/field-cases.md) that need several nodes on one store. */
import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../src/core/breaker.js';
import { AssignmentTable } from '../../src/core/placement/assignment-table.js';
import { LoopbackHub } from '../../src/memory/network.js';
import { StoreCallError } from '../../src/ports/store.js';
import { Loop } from '../../src/runtime/loop.js';
import type { Node } from '../../src/runtime/node.js';
import { FlakyStore } from '../runtime/flaky-store.js';
import { type Handle, msg, node, sleep, until, type World, world } from '../runtime/harness.js';
import { fast, started } from '../runtime/started.js';

const FAST = fast();
const wait = { timeoutMs: 3000 };

/** A network on which the answers to list-workers of one node get lost. */
class LossyHub extends LoopbackHub {
  mute = 0;

  override deliver(...[to, message, from]: Parameters<LoopbackHub['deliver']>): void {
    if (from !== this.mute || message.kind !== 'workers') super.deliver(to, message, from);
  }
}

interface Member {
  readonly node: Node;
  readonly link: FlakyStore;
}

async function member(w: World, serverId: string | undefined, handle: Handle, config = {}): Promise<Member> {
  const link = new FlakyStore(w.store);
  const it = node({ ...w, store: link }, handle, { ...FAST, serverId, ...config });
  started.push(it);
  await it.start();
  return { node: it, link };
}

async function cluster(w: World, ids: readonly string[], handle: (serverId: string) => Handle, config = {}): Promise<Member[]> {
  const members: Member[] = [];
  for (const id of ids) members.push(await member(w, id, handle(id), config));
  await until('one is master', () => members.some(({ node }) => node.status().role === 'master'));
  await sleep(100);
  return members;
}

const lettersOf = async (w: World): Promise<number> => (await w.store.control({ op: 'counts' })).letters;
const masterOf = (members: readonly Member[]): Node | undefined =>
  members.find(({ node }) => node.status().role === 'master')?.node;

describe('field cases of several nodes', () => {
  it('E1: a node that starts, named or not, leaves alone what its living peers do', async () => {
    const w = world();
    const ran: string[] = [];
    const handle: Handle = async (p, _name, id) => {
      ran.push(`${id}.${(p as { m: number }).m}`);
      await sleep(400);
    };
    const first = await member(w, 'n1', handle);
    const results = [1, 2].map((m) => first.node.enqueueAndWait(msg('e1', { m }), wait));
    results.push(first.node.enqueueAndWait(msg('e2', { m: 3 }), wait));
    await until('two run', () => first.node.status().running === 2);
    for (const serverId of ['n0', undefined, undefined]) await member(w, serverId, handle);
    await Promise.all(results);
    expect(ran.sort()).toEqual(['e1.1', 'e1.2', 'e2.3']);
    expect(await lettersOf(w)).toBe(0);
  });

  it('C4: a lower id that comes and goes does not drag the leadership along', async () => {
    const w = world();
    const members = await cluster(w, ['n1', 'n2', 'n3'], () => () => 'ok');
    const [flapping, stable] = members as [Member, Member, Member];
    flapping.link.cut = true;
    await until('the second leads', () => stable.node.status().role === 'master');
    const { epoch } = stable.node.status();
    let failed = 0;
    for (let round = 0; round < 5; round++) {
      flapping.link.cut = round % 2 === 1;
      const calls = Array.from({ length: 10 }, (_, i) => stable.node.enqueueAndWait(msg(`e${i}`), wait));
      failed += (await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected').length;
      await sleep(350);
    }
    expect(stable.node.status()).toMatchObject({ role: 'master', epoch });
    expect(failed).toBe(0);
  });

  it('D1: a replica whose answer to a new master is lost is not taken to own nothing', async () => {
    const hub = new LossyHub();
    const w: World = { ...world(), hub };
    const at = new Set<string>();
    let overlaps = 0;
    const members = await cluster(w, ['n1', 'n2', 'n3', 'n4'], () => async (_p, _name, id) => {
      if (at.has(id)) overlaps++;
      at.add(id);
      await sleep(60);
      at.delete(id);
    });
    const [first, second, third] = members as [Member, Member, Member, Member];
    const ids = Array.from({ length: 16 }, (_, i) => `e${i}`);
    await Promise.all(ids.map((id) => second.node.enqueueAndWait(msg(id), wait)));
    hub.mute = third.node.status().incarnation;
    expect(third.node.status().owned).toBeGreaterThan(0);
    first.link.cut = true;
    for (let round = 0; round < 10; round++) {
      await Promise.all(ids.map((id) => second.node.enqueue(msg(id))));
      await sleep(80);
    }
    await Promise.all(ids.map((id) => second.node.enqueueAndWait(msg(id), { timeoutMs: 10_000 })));
    expect(overlaps).toBe(0);
    expect(second.node.status().role).toBe('master');
  });

  it('D7: after a rolling restart of every node, each entity is answered', async () => {
    const w = world();
    const ids = ['n1', 'n2', 'n3', 'n4'];
    const members = await cluster(w, ids, () => () => 'ok');
    const entities = Array.from({ length: 60 }, (_, i) => `e${i}`);
    await Promise.all(entities.map((id, i) => members[i % 4]?.node.enqueueAndWait(msg(id), wait)));
    for (const [i, id] of ids.entries()) {
      await members[i]?.node.stop();
      members[i] = await member(w, id, () => 'ok');
    }
    const answers = await Promise.all(entities.map((id, i) => members[i % 4]?.node.enqueueAndWait(msg(id), wait)));
    expect(new Set(answers)).toEqual(new Set(['"ok"']));
    expect(await lettersOf(w)).toBe(0);
  });

  it('I2: a master that lost only the store is obeyed by nobody, and its own orders cost time only', async () => {
    const w = world();
    const running = new Set<string>();
    let overlaps = 0;
    const members = await cluster(w, ['n1', 'n2', 'n3', 'n4'], () => async (_p, _name, id) => {
      if (running.has(id)) overlaps++;
      running.add(id);
      await sleep(5);
      running.delete(id);
    });
    const [old, second] = members as [Member, Member, Member, Member];
    const { epoch } = old.node.status();
    old.link.cut = true;
    const calls: Promise<unknown>[] = [];
    await until('another leads', () => {
      for (let i = 0; i < 8; i++) calls.push(second.node.enqueueAndWait(msg(`e${i}`), wait));
      return second.node.status().role === 'master';
    });
    expect(old.node.status().role).toBe('replica');
    old.link.cut = false;
    await Promise.all(calls);
    expect(second.node.status().epoch).toBeGreaterThan(epoch);
    expect(masterOf(members)).toBe(second.node);
    expect(overlaps).toBe(0);
  });

  it('E7: whatever ended badly, at idle every count is zero and everything is accepted again', async () => {
    const w = world();
    const handle: Handle = async (p) => {
      await sleep(2);
      if ((p as { bad?: boolean }).bad) throw new Error('no');
    };
    const limits = { maxTotalQueueDepth: 20, maxConcurrentHandlers: 3, grpc: { ...FAST.grpc, maxConcurrentPetitions: 3 } };
    const members = await cluster(w, ['n1', 'n2', 'n3'], () => handle, limits);
    const [first, second, third] = members as [Member, Member, Member];
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 50; i++) {
      if (i === 20) third.link.cut = true;
      const options = { timeoutMs: i % 3 === 0 ? 1 : 3000, onTimeout: 'withdraw', signal: AbortSignal.timeout(2000) } as const;
      const { node: from } = [first, second, third][i % 3] as Member;
      const call = Promise.resolve().then(() => from.enqueueAndWait(msg(`e${i % 10}`, { bad: i % 4 === 0 }), options));
      calls.push(call.catch(() => undefined));
      await sleep(3);
    }
    await Promise.all(calls);
    third.link.cut = false;
    await until('nothing is left', async () => {
      const { depth, active } = await w.store.control({ op: 'counts' });
      return (
        depth === 0 && active === 0 && members.every(({ node }) => node.status().running === 0 && node.status().waiting === 0)
      );
    });
    await until('the third is back', () => {
      const { state, degraded, suspended } = third.node.status();
      return state === 'running' && degraded === undefined && !suspended;
    });
    // A call of the third that nobody waits for any longer may still be logged late: it needs room.
    const again = Array.from({ length: 15 }, (_, i) => members[i % 3]?.node.enqueueAndWait(msg(`f${i}`), wait));
    expect((await Promise.allSettled(again)).map(({ status }) => status)).toEqual(again.map(() => 'fulfilled'));
  });

  it('F5: failed handlers and refusals cut nobody off from a healthy node', async () => {
    const w = world();
    const handle: Handle = async (p) => {
      if ((p as { bad?: boolean }).bad) throw new Error('no');
      await sleep(20);
      return 'ok';
    };
    const members = await cluster(w, ['n1', 'n2', 'n3'], () => handle, { entities: { account: { workerMaxQueueDepth: 2 } } });
    const from = (members[2] as Member).node;
    const ids = Array.from({ length: 9 }, (_, i) => `e${i}`);
    const call = (id: string, bad: boolean): Promise<string> =>
      from.enqueueAndWait(msg(id, { bad }), wait).catch((error: { code: string }) => error.code);
    for (let i = 0; i < 5; i++)
      expect(new Set(await Promise.all(ids.map((id) => call(id, true))))).toEqual(new Set(['HANDLER_FAILED']));
    const flood = await Promise.all(Array.from({ length: 5 }, () => ids.map((id) => call(id, false))).flat());
    expect(flood.filter((code) => code === 'QUEUE_DEPTH_EXCEEDED').length).toBeGreaterThan(ids.length);
    expect(await Promise.all(ids.map((id) => call(`new-${id}`, false)))).toEqual(ids.map(() => '"ok"'));
  });

  it('E3: a caller that was told "unknown" sends again under its id, and it runs once', async () => {
    const w = world();
    let withdrawn = 0;
    const link = new FlakyStore(w.store);
    const one = node({ ...w, store: link }, () => ++withdrawn, {
      ...FAST,
      serverId: 'n1',
      storeCallTimeoutMs: 200,
      enqueueTimeoutMs: 300,
    });
    started.push(one);
    await one.start();
    // Every reply is lost, but the store applies what it gets.
    link.flaky = { lostAfter: 1 };
    (link as unknown as { random: () => number }).random = () => 0.5;
    const first = one.enqueue(msg('e', { amount: 100 }, { id: 'payment-1' }));
    await expect(first).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', definite: false, retryable: false });
    link.flaky = {};
    await until('it is admitted again', () => one.status().degraded === undefined && one.status().state === 'running');
    await one.enqueueAndWait(msg('e', { amount: 100 }, { id: 'payment-1' }), wait);
    await one.enqueueAndWait(msg('e', { amount: 100 }, { id: 'payment-1' }), wait);
    expect(withdrawn).toBe(1);
  });
});

describe('field cases of small parts', () => {
  it('D3: a list of an older epoch fills gaps of the table and changes no row', () => {
    const table = new AssignmentTable();
    table.set('account:e', 3);
    table.add('account:e', 1);
    table.add('account:f', 1);
    expect([...table.entries()]).toEqual([
      ['account:e', 3],
      ['account:f', 1],
    ]);
  });

  it('E13: a background duty outlives each failure of a turn, and says so unless it was the store', async () => {
    const w = world();
    const failures = [new TypeError('x is not a function'), new StoreCallError('READONLY', true), 'a string'];
    const turns: unknown[] = [...failures, ...failures];
    const told: string[] = [];
    const trace = { verbose: false, emit: (event: string) => told.push(event) };
    let sound = 0;
    const loop = new Loop(w.clock, trace, 'test', 1, () => {
      const failure = turns.shift();
      // The second half throws before there is a promise.
      if (failure !== undefined && turns.length < failures.length) throw failure;
      if (failure !== undefined) return Promise.reject(failure);
      sound++;
      return Promise.resolve(undefined);
    });
    loop.start();
    await until('it goes on', () => sound > 3);
    loop.stop();
    expect(told).toEqual(Array.from({ length: 4 }, () => 'loop-failed'));
  });

  it('F4: after calls that failed at once, one probe passes as soon as the cool-down is over', () => {
    for (let failures = 3; failures <= 8; failures++) {
      const breaker = new CircuitBreaker(3, 2000, 500);
      for (let i = 0; i < failures; i++) breaker.failed(1000 + i);
      expect(breaker.tryPass(2900)).toBe(false);
      expect([breaker.tryPass(3010), breaker.tryPass(3010)]).toEqual([true, false]);
      // That probe never answers: the next one may pass when its time is over.
      expect([breaker.tryPass(3400), breaker.tryPass(3511)]).toEqual([false, true]);
      breaker.succeeded();
      expect(breaker.state(3512)).toBe('closed');
    }
  });
});
