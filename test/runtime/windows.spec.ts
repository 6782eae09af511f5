/** What looks at a part of many things at a time has to come to all of them. */
import { describe, expect, it } from 'vitest';
import { LoopbackHub } from '../../src/memory/network.js';
import { MemoryStore } from '../../src/memory/store.js';
import type { Node } from '../../src/runtime/node.js';
import { SystemClock } from '../../src/system/clock.js';
import { msg, node, sleep, until, type World, world } from './harness.js';
import { fast, started } from './started.js';

const FAST = fast();

async function start(w: World, serverId: string, types: readonly string[], handle: () => unknown = () => 0): Promise<Node> {
  const it = node(w, handle, { ...FAST, serverId, serviceGroup: types[0] ?? 'none', maxConcurrentHandlers: 0 }, undefined, types);
  started.push(it);
  await it.start();
  return it;
}

/** A node that only sends, and whose hints reach no other node. */
const mute = (w: World): Promise<Node> => start({ ...w, hub: new LoopbackHub() }, 'mute', []);

describe('the sweep', () => {
  it('finds a message whose hint was lost behind 1200 entities that make no progress', async () => {
    const w = world();
    const stock = await start(w, 'stock', ['stock']);
    const client = await mute(w);
    await stock.stop();
    const stuck = Array.from({ length: 1200 }, (_, i) => msg(`s${i}`, {}, { type: 'stock' }));
    await client.enqueueBulk(stuck);
    await sleep(10);
    let runs = 0;
    await start(w, 'bank', ['account'], () => ++runs);
    await client.enqueue(msg('late'));
    await until('the sweep has found it', () => runs === 1);
    await until('only the others wait', async () => (await w.store.control({ op: 'counts' })).depth === stuck.length);
  });

  it('need not come again for what waits behind the messages that it found, also of entities that share a slot', async () => {
    const w = world();
    const former = await start(w, 'former', ['account']);
    const client = await mute(w);
    await former.stop();
    const messages = Array.from({ length: 5 }, (_, i) => ['a', 'b', 'c'].map((id) => msg(id, i))).flat();
    await client.enqueueBulk(messages);
    const ran: string[] = [];
    const config = { ...fast({ reconcileIntervalMs: 60_000 }), maxConcurrentHandlers: 1 };
    const bank = node(w, (payload, _, id) => void ran.push(`${id}${payload}`), config, undefined, ['account']);
    started.push(bank);
    await bank.start();
    await until('all ran', () => ran.length === messages.length);
    expect(ran.filter((one) => one.startsWith('a'))).toEqual(['a0', 'a1', 'a2', 'a3', 'a4']);
  });

  it('finds what waited when the clock of the store was set back', async () => {
    const clock = new SystemClock();
    let jumpMs = 0;
    const jumping = Object.assign(Object.create(clock) as SystemClock, { monotonicMs: () => clock.monotonicMs() + jumpMs });
    const w = world(new MemoryStore(jumping));
    let runs = 0;
    const client = await mute(w);
    const bank = await start(w, 'bank', ['account'], () => ++runs);
    await until('the client knows the bank', () => client.directory.find('account', 'Do') !== undefined);
    await client.enqueueBulk(Array.from({ length: 6 }, (_, i) => msg(`a${i}`)));
    jumpMs = -3_600_000;
    await until('all ran', () => runs === 6);
    expect(bank.status().suspended).toBe(false);
  });
});

describe('the table of the master', () => {
  it('stays bounded while 5000 entities are placed one after another', async () => {
    const w = world();
    const nodes = [await start(w, 'n1', ['account']), await start(w, 'n2', ['account'])];
    const tables = nodes.map((n) => (n as unknown as { master: { table: { readonly size: number } } }).master.table);
    await until('one leads', () => nodes.filter((n) => n.status().role === 'master').length === 1);
    await sleep(200);
    let rowsMax = 0;
    for (let i = 0; i < 5000; i++) {
      await nodes[i % 2]?.enqueue(msg(`a${i}`));
      rowsMax = Math.max(rowsMax, ...tables.map(({ size }) => size));
    }
    await until('all are owned', () => nodes.reduce((sum, n) => sum + n.status().owned, 0) === 5000);
    // Beside the settled rows there is one for each open assignment, of which there are 50 at most.
    expect(rowsMax).toBeGreaterThan(500);
    expect(rowsMax).toBeLessThanOrEqual(1050);
  });
});

describe('a join', () => {
  it('moves all idle entities that belong to the newcomer, however many they are', async () => {
    const w = world();
    const first = await start(w, 'n1', ['account']);
    const ids = Array.from({ length: 1200 }, (_, i) => `a${i}`);
    await first.enqueueBulk(ids.map((id) => msg(id)));
    await until('all are idle there', () => first.status().owned === ids.length && first.status().running === 0);
    await start(w, 'n2', ['account']);
    await until('half of them are released', () => first.status().owned < ids.length * 0.6);
    await sleep(100);
    expect(first.status().owned).toBeGreaterThan(ids.length * 0.4);
  });
});

describe('a reply that was lost', () => {
  const SLOW = 600;

  /** A bank that answers only what `isQuick` names, and a caller that is told of it or not. */
  async function callerAndBank() {
    const w = world();
    const heard = { replies: true };
    const deliver = w.hub.deliver.bind(w.hub);
    w.hub.deliver = (to, message, from) => {
      if (message.kind !== 'reply' || heard.replies) deliver(to, message, from);
    };
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const it = node(
      w,
      async (payload) => ((payload as { slow?: boolean }).slow === true ? await gate : 'quick'),
      { ...FAST, serverId: 'bank', maxConcurrentHandlers: 0 },
      undefined,
      ['account'],
    );
    started.push(it);
    await it.start();
    const client = await start(w, 'client', []);
    return { client, heard, open: () => open() };
  }

  it('is read back behind 600 calls that take longer', async () => {
    const { client, heard, open } = await callerAndBank();
    const slow = Array.from({ length: SLOW }, (_, i) =>
      client.enqueueAndWait(msg(`s${i}`, { slow: true }), { timeoutMs: 10_000 }),
    );
    await sleep(200);
    heard.replies = false;
    expect(await client.enqueueAndWait(msg('q'), { timeoutMs: 4000 })).toBe('"quick"');
    heard.replies = true;
    open();
    await Promise.all(slow);
  });

  it('is read back while an older call is asked for again and again', async () => {
    const { client, heard, open } = await callerAndBank();
    const again = () => client.enqueueAndWait(msg('s', { slow: true }, { id: 'one' }), { timeoutMs: 10_000 });
    const slow = [again()];
    await sleep(50);
    const asking = setInterval(() => slow.push(again()), 50);
    heard.replies = false;
    try {
      expect(await client.enqueueAndWait(msg('q'), { timeoutMs: 4000 })).toBe('"quick"');
    } finally {
      clearInterval(asking);
    }
    heard.replies = true;
    open();
    await Promise.all(slow);
  });
});
