/** Who gets what nobody owns, when not every node can take it: field cases H22, D8, G1, C6. */
import { expect, it } from 'vitest';
import type { Node } from '../../src/runtime/node.js';
import { FlakyStore } from '../runtime/flaky-store.js';
import { msg, node, sleep, until, world } from '../runtime/harness.js';
import { fast, started } from '../runtime/started.js';

const FAST = fast({}, 4000);
const hasMaster = (nodes: readonly Node[]) => until('one is master', () => nodes.some((n) => n.status().role === 'master'));

it.each([0, 2])('1. what the ring gives to a draining node (number %i) runs elsewhere while that node drains', async (index) => {
  const w = world();
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const nodes = ['n1', 'n2', 'n3'].map((serverId) =>
    node(
      w,
      async (_p, _n, id) => {
        if (id.startsWith('long')) await gate;
        return serverId;
      },
      { ...FAST, serverId },
    ),
  );
  for (const n of nodes) {
    started.push(n);
    await n.start();
  }
  await hasMaster(nodes);
  await sleep(200);
  const draining = nodes[index] as Node;
  for (let i = 0; i < 12; i++) void draining.enqueueAndWait(msg(`long${i}`), { timeoutMs: 8000 }).catch(() => undefined);
  await until('something runs there', () => draining.status().running > 0);
  const stopping = draining.stop();
  await sleep(150);
  const results = await Promise.allSettled(
    Array.from({ length: 30 }, (_, i) => (nodes[1] as Node).enqueueAndWait(msg(`x${i}`), { timeoutMs: 2000 })),
  );
  open();
  await stopping;
  expect(results.filter((r) => r.status === 'rejected')).toEqual([]);
});

it('2. a message that only one of three nodes declares reaches it, and nobody spins', async () => {
  const w = world();
  const nodes = ['n1', 'n2', 'n3'].map((serverId, i) =>
    node(w, () => serverId, { ...FAST, serverId }, i === 2 ? ['Do', 'New'] : ['Do']),
  );
  for (const n of nodes) {
    started.push(n);
    await n.start();
  }
  await hasMaster(nodes);
  await sleep(200);
  w.events.length = 0;
  const results = await Promise.allSettled(
    Array.from({ length: 12 }, (_, i) =>
      (nodes[2] as Node).enqueueAndWait(msg(`x${i}`, {}, { name: 'New' }), { timeoutMs: 2000 }),
    ),
  );
  const claims = w.events.filter(({ event }) => event === 'claimed').length;
  expect(claims).toBeLessThan(100);
  expect(results.filter((r) => r.status === 'rejected')).toEqual([]);
});

it('3. a node ends its lease before the store does, whatever nodeTTLMs another one joined with', async () => {
  const w = world();
  const link = new FlakyStore(w.store);
  const ran: string[] = [];
  const slow = node(
    { ...w, store: link },
    async () => {
      ran.push('a');
      await sleep(2000);
      return 'a';
    },
    { ...FAST, serverId: 'a', grpc: { ...FAST.grpc, nodeTTLMs: 3000 } },
  );
  started.push(slow);
  await slow.start();
  void slow.enqueueAndWait(msg('e'), { timeoutMs: 4000 }).catch(() => undefined);
  await until('it runs', () => ran.length > 0);
  const other = node(w, () => ran.push('b'), { ...FAST, serverId: 'b' });
  started.push(other);
  await other.start();
  await sleep(200);
  link.cut = true;
  void other.enqueue(msg('e'));
  await until('the other took over', () => ran.includes('b'));
  expect(slow.status().suspended).toBe(true);
});

it('4. an entity whose handler of a former incarnation still runs there is given to another node', async () => {
  const w = world();
  const links = ['n1', 'n2', 'n3'].map(() => new FlakyStore(w.store));
  const nodes = links.map((store, i) =>
    node(
      { ...w, store },
      async (p) => {
        if ((p as { long?: boolean }).long) await sleep(6000);
        return `n${i + 1}`;
      },
      { ...FAST, serverId: `n${i + 1}` },
    ),
  );
  for (const n of nodes) {
    started.push(n);
    await n.start();
  }
  await hasMaster(nodes);
  await sleep(200);
  const ids = Array.from({ length: 12 }, (_, i) => `x${i}`);
  const third = nodes[2] as Node;
  for (const id of ids) void third.enqueueAndWait(msg(id, { long: true }), { timeoutMs: 9000 }).catch(() => undefined);
  await sleep(150);
  const mine = w.events.filter(({ event, data }) => event === 'claimed' && data !== undefined).length;
  expect(mine).toBe(12);
  const { incarnation } = third.status();
  const owned = (await w.store.control({ op: 'owned', incarnation, cursor: '0' })).entities.map((key) =>
    key.slice('account:'.length),
  );
  expect(owned.length).toBeGreaterThan(0);
  (links[2] as FlakyStore).cut = true;
  await sleep(900);
  (links[2] as FlakyStore).cut = false;
  await until('it is back', () => third.status().state === 'running' && third.status().incarnation !== incarnation);
  const results = await Promise.allSettled(owned.map((id) => (nodes[0] as Node).enqueueAndWait(msg(id), { timeoutMs: 3000 })));
  expect(results.filter((r) => r.status === 'rejected')).toEqual([]);
});
