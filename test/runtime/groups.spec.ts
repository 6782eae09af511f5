/** Service groups that share a store: calls between them, types of several groups, and nodes that only send. */
import { describe, expect, it } from 'vitest';
import type { PeerMessage } from '../../src/ports/network.js';
import { StoreCallError } from '../../src/ports/store.js';
import { EntityContext } from '../../src/runtime/context.js';
import type { Node } from '../../src/runtime/node.js';
import { FlakyStore } from './flaky-store.js';
import { type Handle, msg, node, sleep, until, type World, world } from './harness.js';
import { codeOf, fast, started } from './started.js';

// What is done in less than a sweep was not found by one.
const FAST = fast({ reconcileIntervalMs: 2000 });
const SWEEP_MS = FAST.grpc.reconcileIntervalMs;
const wait = { timeoutMs: 3000 };

interface Shape {
  readonly group: string;
  readonly types?: readonly string[];
  readonly names?: readonly string[];
  readonly config?: Record<string, unknown>;
  readonly handle?: Handle;
}

/** A node of a group, whose handlers answer with its name. */
async function start(w: World, serverId: string, { group, types = [], names, config, handle }: Shape): Promise<Node> {
  const own = { ...FAST, serverId, serviceGroup: group, ...config };
  const it = node(w, handle ?? (() => serverId), own, names, types);
  started.push(it);
  await it.start();
  return it;
}

const leads = (...nodes: Node[]) => until('each group has a master', () => nodes.every((n) => n.status().role === 'master'));
const stock = (id: string, more = {}) => msg(id, {}, { type: 'stock', ...more });
const count = async (w: World): Promise<number> => (await w.store.control({ op: 'counts' })).depth;

/** What is sent between nodes, as [kind, from, to]. */
function overheard(w: World): [kind: PeerMessage['kind'], from: number, to: number][] {
  const heard: [PeerMessage['kind'], number, number][] = [];
  const deliver = w.hub.deliver.bind(w.hub);
  w.hub.deliver = (to, message, from) => {
    heard.push([message.kind, from, to]);
    deliver(to, message, from);
  };
  return heard;
}

describe('a call to a type that another group handles', () => {
  it('is placed by the master of that group, runs there, and is answered without a sweep', async () => {
    const w = world();
    const bank = await start(w, 'b1', { group: 'bank', types: ['account'] });
    const first = await start(w, 'w1', { group: 'warehouse', types: ['stock'] });
    const second = await start(w, 'w2', { group: 'warehouse', types: ['stock'] });
    await leads(bank, first);
    await sleep(100);
    const heard = overheard(w);
    const atMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => bank.enqueueAndWait(stock(`s${i}`), wait)));
    expect(performance.now() - atMs).toBeLessThan(SWEEP_MS / 2);
    expect(new Set(answers)).toEqual(new Set(['"w1"', '"w2"']));
    const [me, master] = [bank.status().incarnation, first.status().incarnation];
    const petitions = heard.filter(([kind]) => kind === 'petition');
    expect(petitions).toHaveLength(20);
    expect(petitions.every(([, from, to]) => from === me && to === master)).toBe(true);
    // A master commands its own group only.
    expect(heard.filter(([kind, from]) => kind === 'assign' && from !== master)).toEqual([]);
    expect(bank.status().owned).toBe(0);
    // Once owned, the owner is rung and nobody is asked.
    heard.length = 0;
    await bank.enqueueAndWait(stock('s0'), wait);
    expect(heard.map(([kind]) => kind)).toEqual(['wake', 'reply']);
    expect(second.status().owned).toBeGreaterThan(0);
  });

  it('that nobody declares is refused, and so is a message that nobody declares; nothing is logged', async () => {
    const w = world();
    const bank = await start(w, 'b1', { group: 'bank', types: ['account'] });
    await start(w, 'w1', { group: 'warehouse', types: ['stock'], names: ['Reserve', 'Ship'] });
    const type = await codeOf(bank.enqueue(msg('s', {}, { type: 'stok' })));
    expect(type).toMatchObject({ code: 'UNKNOWN_ENTITY_TYPE', definite: true, details: { nearest: 'stock' } });
    const name = await codeOf(bank.enqueueAndWait(stock('s', { name: 'Reserv' }), wait));
    expect(name).toMatchObject({ code: 'UNKNOWN_MESSAGE', definite: true, details: { nearest: 'Reserve' } });
    const bulk = await bank.enqueueBulk([stock('s', { name: 'Ship' }), stock('s', { name: 'Sink' }), msg('a')]);
    expect(bulk.map((o) => (o.ok ? o.receipt.sequence : o.error.code))).toEqual([1, 'UNKNOWN_MESSAGE', 1]);
    await until('both ran', async () => (await count(w)) === 0);
  });

  it('is known from the first call on, whoever started first', async () => {
    const w = world();
    const bank = await start(w, 'b1', { group: 'bank', types: ['account'] });
    // The bank has read the members just now, and reads them again in a heartbeat: the call must not be refused by what it knows.
    const warehouse = await start(w, 'w1', { group: 'warehouse', types: ['stock'] });
    const receipts = await Promise.all([bank.enqueue(stock('s')), warehouse.enqueue(msg('a'))]);
    expect(receipts.map(({ sequence }) => sequence)).toEqual([1, 1]);
  });

  it('keeps the order of calls, also of those that had to be asked for', async () => {
    const w = world();
    const seen: number[] = [];
    // Every call takes a while, so that many messages are sent while the members are being read.
    const link = new FlakyStore(w.store, () => 1, { delayMsMax: 30 });
    const bank = await start({ ...w, store: link }, 'b1', { group: 'bank', types: ['account'] });
    const handle: Handle = (p) => void seen.push((p as { i: number }).i);
    await start(w, 'w1', { group: 'warehouse', types: ['stock'], handle });
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 40; i++) {
      calls.push(bank.enqueue(stock('s', { payload: JSON.stringify({ i }) })));
      await sleep(3);
    }
    await Promise.all(calls);
    await until('all ran', () => seen.length === 40);
    expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  it('ends by its deadline where the store cannot be asked, and nothing was sent', async () => {
    const w = world();
    const link = new FlakyStore(w.store);
    const bank = await start({ ...w, store: link }, 'b1', {
      group: 'bank',
      types: ['account'],
      config: { enqueueTimeoutMs: 1000 },
    });
    await start(w, 'w1', { group: 'warehouse', types: ['stock'] });
    link.cut = true;
    const atMs = performance.now();
    const error = await codeOf(bank.enqueue(stock('s')));
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', definite: true });
    expect(performance.now() - atMs).toBeLessThan(2000);
    expect(await count(w)).toBe(0);
  });

  it('is known from a service whose lease was over when it was first listed, once it has proved its lease again', async () => {
    const w = world();
    const eyes = new FlakyStore(w.store);
    const control = eyes.control.bind(eyes);
    let isBlind = false;
    eyes.control = (op) => {
      if (isBlind && op.op === 'members') return Promise.reject(new StoreCallError('no answer', false));
      return control(op);
    };
    const bank = await start({ ...w, store: eyes }, 'b1', { group: 'bank', types: ['account'] });
    isBlind = true;
    const link = new FlakyStore(w.store);
    const warehouse = await start({ ...w, store: link }, 'w1', { group: 'warehouse', types: ['stock'] });
    link.cut = true;
    await until('its lease is over in the store', async () => {
      const { members, nowMs } = await w.store.control({ op: 'members' });
      return members.some((m) => m.serverId === 'w1' && m.leaseUntilMs <= nowMs);
    });
    isBlind = false;
    expect(await codeOf(bank.enqueue(stock('s')))).toMatchObject({ code: 'UNKNOWN_ENTITY_TYPE', definite: true });
    link.cut = false;
    await until('it has proved its lease', () => !warehouse.status().suspended);
    expect(await bank.enqueueAndWait(stock('s'), wait)).toBe('"w1"');
  });

  it('waits in the log while its services are down, for those who knew them', async () => {
    const w = world();
    const bank = await start(w, 'b1', { group: 'bank', types: ['account'] });
    const warehouse = await start(w, 'w1', { group: 'warehouse', types: ['stock'] });
    await bank.enqueueAndWait(stock('s'), wait);
    await warehouse.stop();
    await sleep(100);
    const waiting = bank.enqueueAndWait(stock('s'), { timeoutMs: 8000 });
    await until('it is logged', async () => (await count(w)) === 1);
    await start(w, 'w2', { group: 'warehouse', types: ['stock'] });
    expect(await waiting).toBe('"w2"');
    const stranger = await start(w, 'x1', { group: 'x' });
    expect(await stranger.enqueueAndWait(stock('s'), wait)).toBe('"w2"');
  });

  it('respects the limit of the service that handles it', async () => {
    const w = world();
    const bank = await start(w, 'b1', { group: 'bank', types: ['account'] });
    const config = { entities: { stock: { workerMaxQueueDepth: 3 } } };
    await start(w, 'w1', { group: 'warehouse', types: ['stock'], config, handle: () => sleep(300) });
    const outcomes = await bank.enqueueBulk(Array.from({ length: 5 }, () => stock('s')));
    expect(outcomes.map((o) => (o.ok ? 'ok' : o.error.code))).toEqual([
      ...['ok', 'ok', 'ok', 'QUEUE_DEPTH_EXCEEDED', 'QUEUE_DEPTH_EXCEEDED'],
    ]);
  });

  it('may be a transactional send of a handler', async () => {
    const w = world();
    const handle: Handle = (p) => {
      EntityContext.current().enqueue(stock('s', { name: (p as { name: string }).name }));
      return 'sent';
    };
    const bank = await start(w, 'b1', { group: 'bank', types: ['account'], handle });
    const ran: string[] = [];
    await start(w, 'w1', { group: 'warehouse', types: ['stock'], handle: (_p, name, id) => void ran.push(`${name} ${id}`) });
    await until('the bank knows', () => bank.directory.types().includes('stock'));
    await bank.enqueueAndWait(msg('a', { name: 'Do' }), wait);
    await until('it ran', () => ran.length === 1, SWEEP_MS / 2);
    const error = await codeOf(bank.enqueueAndWait(msg('a', { name: 'Dont' }), wait));
    expect(error).toMatchObject({ code: 'HANDLER_FAILED' });
    expect(error.message).toContain('UNKNOWN_MESSAGE');
    expect(ran).toEqual(['Do s']);
  });

  it('is read back from the log if its reply is lost', async () => {
    const w = world();
    const bank = await start(w, 'b1', {
      group: 'bank',
      types: ['account'],
      config: { grpc: { ...FAST.grpc, reconcileIntervalMs: 200 } },
    });
    const warehouse = await start(w, 'w1', { group: 'warehouse', types: ['stock'] });
    await leads(warehouse);
    const deliver = w.hub.deliver.bind(w.hub);
    w.hub.deliver = (to, message, from) => {
      if (message.kind !== 'reply') deliver(to, message, from);
    };
    expect(await bank.enqueueAndWait(stock('s'), wait)).toBe('"w1"');
  });
});

describe('a type of several groups', () => {
  it('is shared among all who declared it, each entity placed by one master', async () => {
    const w = world();
    const a = await start(w, 'a1', { group: 'a', types: ['stock'] });
    const b = await start(w, 'b1', { group: 'b', types: ['stock'] });
    const caller = await start(w, 'c1', { group: 'c' });
    await leads(a, b);
    await sleep(100);
    const heard = overheard(w);
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => caller.enqueueAndWait(stock(`s${i}`), wait)));
    expect(answers.filter((answer) => answer === '"a1"').length).toBeGreaterThan(8);
    expect(answers.filter((answer) => answer === '"b1"').length).toBeGreaterThan(8);
    expect(heard.filter(([kind]) => kind === 'petition')).toHaveLength(40);
    // Each was asked for its own, so nobody had to be told twice.
    expect(heard.filter(([kind]) => kind === 'assign')).toEqual([]);
    const claims = w.events.filter(({ event }) => event === 'claimed');
    expect(claims).toHaveLength(40);
  });

  it('finds the node that declared the message, in whatever group that is', async () => {
    const w = world();
    const a = await start(w, 'a1', { group: 'a', types: ['stock'], names: ['Ship'] });
    const b = await start(w, 'b1', { group: 'b', types: ['stock'], names: ['Count'] });
    await leads(a, b);
    await sleep(100);
    const calls = Array.from({ length: 12 }, (_, i) => a.enqueueAndWait(stock(`s${i}`, { name: 'Count' }), wait));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['"b1"']));
  });

  it('is spread again when a node of another group joins', async () => {
    const w = world();
    const a = await start(w, 'a1', { group: 'a', types: ['stock'] });
    await leads(a);
    for (let i = 0; i < 40; i++) await a.enqueueAndWait(stock(`s${i}`), wait);
    await start(w, 'b1', { group: 'b', types: ['stock'] });
    await until('its share is released', () => a.status().owned < 32);
  });
});

describe('a node that only sends', () => {
  it('sends, waits and leaves; it is given nothing and leads nobody, though its id is the lowest', async () => {
    const w = world();
    const producer = await start(w, 'a0', { group: 'bank', config: { entities: {} } });
    const bank = await start(w, 'b1', { group: 'bank', types: ['account'] });
    await leads(bank);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => producer.enqueueAndWait(msg(`e${i}`), wait)));
    expect(new Set(answers)).toEqual(new Set(['"b1"']));
    // Past the time after which a lower id takes over.
    await sleep(5 * FAST.grpc.nodeTTLMs);
    expect(producer.status()).toMatchObject({ role: 'producer', owned: 0, state: 'running' });
    expect(bank.status().role).toBe('master');
    await producer.stop();
    const { members } = await w.store.control({ op: 'members' });
    expect(members.map((m) => m.serverId)).toEqual(['b1']);
  });

  it('makes up no group of its own: nobody leads there', async () => {
    const w = world();
    const producers = [await start(w, 'p1', { group: 'front' }), await start(w, 'p2', { group: 'front' })];
    await sleep(400);
    expect((await w.store.control({ op: 'members' })).leaders).toEqual([]);
    expect(producers.map((n) => n.status().role)).toEqual(['producer', 'producer']);
  });

  it('buries a dead handler and tells its callers', async () => {
    const w = world();
    const link = new FlakyStore(w.store);
    const producer = await start(w, 'p1', { group: 'front' });
    await start({ ...w, store: link }, 'b1', { group: 'bank', types: ['account'], handle: () => sleep(5000) });
    const waiting = codeOf(producer.enqueueAndWait(msg('e'), wait));
    await until('it runs', async () => w.events.some(({ event }) => event === 'began'));
    link.cut = true;
    expect(await waiting).toMatchObject({ code: 'INTERRUPTED' });
    expect((await w.store.control({ op: 'counts' })).letters).toBe(1);
  });

  it.each([
    ['costs the others no walk over all entities', [], 0],
    ['costs them one if it had handlers, since what it owned may be miscounted', ['account'], 1],
  ] as const)('when it dies and owns nothing, %s', async (_, types, walks) => {
    const w = world();
    const asked: string[] = [];
    const control: World['store']['control'] = (op) => {
      asked.push(op.op);
      return w.store.control(op);
    };
    const watching: World['store'] = {
      apply: (batch) => w.store.apply(batch),
      control,
      onReplaced: () => undefined,
      open: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    const link = new FlakyStore(w.store);
    await start({ ...w, store: watching }, 'b1', { group: 'bank', types: ['account'] });
    await start({ ...w, store: link }, 'p1', { group: 'front', types });
    asked.length = 0;
    link.cut = true;
    await until('it is buried', async () => (await w.store.control({ op: 'members' })).members.length === 1);
    await sleep(200);
    expect(asked.filter((op) => op === 'evict')).toHaveLength(1);
    expect(asked.filter((op) => op === 'owned')).toHaveLength(walks);
  });

  it('adds nothing to the limit of workers', async () => {
    const w = world();
    const producer = await start(w, 'p1', { group: 'front', config: { maxTotalWorkers: 0 } });
    const handle: Handle = () => sleep(300);
    await start(w, 'b1', { group: 'bank', types: ['account'], config: { maxTotalWorkers: 2 }, handle });
    const outcomes = await producer.enqueueBulk([msg('a'), msg('b'), msg('c')]);
    expect(outcomes.map((o) => (o.ok ? 'ok' : o.error.code))).toEqual(['ok', 'ok', 'WORKER_LIMIT_EXCEEDED']);
  });
});
