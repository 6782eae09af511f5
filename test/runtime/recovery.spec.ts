import { describe, expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import { applyBatch, applyControl } from '../../src/core/log/apply.js';
import type { ControlOp } from '../../src/core/log/control-operations.js';
import type { Batch } from '../../src/core/log/operations.js';
import { PartitionState } from '../../src/core/log/state.js';
import { MemoryStore } from '../../src/memory/store.js';
import type { Store } from '../../src/ports/store.js';
import { EntityContext } from '../../src/runtime/context.js';
import type { Node } from '../../src/runtime/node.js';
import { FlakyStore, prng } from './flaky-store.js';
import { type Handle, msg, node, sleep, until, world } from './harness.js';
import { started } from './started.js';

const FAST = {
  shutdownGraceMs: 300,
  grpc: {
    heartbeatMs: 40,
    nodeTTLMs: 200,
    leaseMarginMs: 20,
    reconcileIntervalMs: 60,
    takeoverHoldMs: 100,
    redisHealthCheckMs: 40,
  },
};
const track = (n: Node): Node => {
  started.push(n);
  return n;
};

/** Two nodes on one store, each with its own link to it. */
async function two(handle: (node: 1 | 2) => Handle, config: Record<string, unknown> = {}) {
  const w = world();
  const links = [new FlakyStore(w.store), new FlakyStore(w.store)] as const;
  const make = (i: 1 | 2) =>
    track(node({ ...w, store: links[i - 1] as FlakyStore }, handle(i), { ...FAST, serverId: `n${i}`, ...config }));
  const n1 = make(1);
  await n1.start();
  const startSecond = async (): Promise<Node> => {
    const n2 = make(2);
    await n2.start();
    return n2;
  };
  return { w, links, n1, startSecond };
}
const outcome = (p: Promise<unknown>): Promise<unknown> =>
  p.then(
    (v) => v,
    (e) => (e instanceof AtomicQueuesError ? e.code : e),
  );

describe('a node that is cut off for good', () => {
  it('loses what ran to one dead letter (I4), and nothing else, and the rest runs (L1); a late end is a note, not a verdict', async () => {
    const ran: string[] = [];
    let release: () => void = () => undefined;
    const { w, links, n1, startSecond } = await two((i) => async (p) => {
      ran.push(`n${i}:${(p as { m: number }).m}`);
      if (i === 1) await new Promise<void>((resolve) => (release = resolve));
      return i;
    });
    const first = outcome(n1.enqueueAndWait(msg('a', { m: 1 }), { timeoutMs: 5000 }));
    await n1.enqueueBulk([2, 3].map((m) => msg('a', { m })));
    const n2 = await startSecond();
    links[0].cut = true;
    await until('the second node has taken over', () => ran.length === 3);
    expect(ran).toEqual(['n1:1', 'n2:2', 'n2:3']);
    const letters = async () => (await w.store.control({ op: 'letters', after: '', max: 10 })).letters;
    expect(await letters()).toMatchObject([{ reason: 'interrupted', message: { payload: '{"m":1}' }, late: '' }]);

    links[0].cut = false;
    await until('it rejoins', () => n1.status().state === 'running' && n1.status().incarnation > 2);
    await n1.enqueue(msg('a', { m: 4 }));
    await until('the owner runs it', () => ran.length === 4);
    expect(ran[3]).toBe('n2:4');
    release();
    await until('the note arrived', async () => (await letters())[0]?.late === 'completed');
    expect(await first).toBe('INTERRUPTED');
    expect(n2.status().owned).toBe(1);
  });

  it('aborts the signal of what runs before anybody may take over', async () => {
    let abortedAt = 0;
    let startedAt = 0;
    const { links, n1, startSecond } = await two((i) => async () => {
      if (i === 2) {
        startedAt = performance.now();
        return;
      }
      const { signal } = EntityContext.current();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      abortedAt = performance.now();
    });
    await n1.enqueueBulk([msg('a'), msg('a')]);
    await startSecond();
    links[0].cut = true;
    await until('the second message ran elsewhere', () => startedAt > 0);
    expect(abortedAt).toBeGreaterThan(0);
    expect(startedAt - abortedAt).toBeGreaterThan(FAST.grpc.takeoverHoldMs);
  });

  it('puts an interrupted message back at the head where the policy says so', async () => {
    const ran: string[] = [];
    const { w, links, n1, startSecond } = await two(
      (i) => async (p) => {
        ran.push(`n${i}:${(p as { m: number }).m}.${EntityContext.current().attempt}`);
        if (i === 1) await new Promise(() => undefined);
      },
      { entities: { account: { onInterrupt: 'retry', retry: { maxAttempts: 2 } } } },
    );
    await n1.enqueueBulk([1, 2].map((m) => msg('a', { m })));
    await startSecond();
    links[0].cut = true;
    await until('both ran', () => ran.length === 3);
    expect(ran).toEqual(['n1:1.1', 'n2:1.2', 'n2:2.1']);
    expect((await w.store.control({ op: 'counts' })).letters).toBe(0);
  });
});

describe('a node that is cut off and comes back before it is buried', () => {
  it('goes on as the same incarnation: nothing is lost, nothing runs twice', async () => {
    const ran: number[] = [];
    const { links, n1, w } = await two(() => async (p) => {
      ran.push((p as { m: number }).m);
      await sleep(30);
      return (p as { m: number }).m;
    });
    const calls = [1, 2, 3].map((m) => n1.enqueueAndWait(msg('a', { m }), { timeoutMs: 5000 }));
    await sleep(40);
    links[0].cut = true;
    await until('the lease lapsed', () => n1.status().suspended);
    await sleep(100);
    const begun = ran.length;
    links[0].cut = false;
    expect(await Promise.all(calls)).toEqual(['1', '2', '3']);
    expect(begun).toBeLessThan(3);
    expect(ran).toEqual([1, 2, 3]);
    expect(n1.status().incarnation).toBe(1);
    expect(w.events.map((e) => e.event)).toContain('resumed');
  });

  it('refuses new work at once while the store does not answer, and accepts again by itself', async () => {
    const { links, n1 } = await two(() => () => 'ok');
    await n1.enqueueAndWait(msg('a'), { timeoutMs: 1000 });
    links[0].cut = true;
    await until('it is degraded', () => n1.status().degraded !== undefined);
    expect(await outcome(n1.enqueue(msg('a')))).toBe('STORE_UNAVAILABLE');
    links[0].cut = false;
    await until('it has recovered', () => n1.status().degraded === undefined);
    expect(await n1.enqueueAndWait(msg('a'), { timeoutMs: 1000 })).toBe('"ok"');
  });

  it('settles every call by its deadline (L2) while the store is gone', async () => {
    const { links, n1 } = await two(() => () => 'ok', { enqueueTimeoutMs: 300, storeCallTimeoutMs: 100 });
    links[0].cut = true;
    const at = performance.now();
    const calls = await Promise.all([
      outcome(n1.enqueue(msg('a'))),
      outcome(n1.enqueueAndWait(msg('b'), { timeoutMs: 5000 })),
      ...Array.from({ length: 600 }, (_, i) => outcome(n1.enqueue(msg(`e${i}`)))),
    ]);
    expect(performance.now() - at).toBeLessThan(900);
    expect(new Set(calls)).toEqual(new Set(['OUTCOME_UNKNOWN', 'STORE_UNAVAILABLE']));
    expect(calls[0]).toBe('OUTCOME_UNKNOWN');
  });
});

describe('two nodes that lose the store together for longer than the lease', () => {
  it('do not bury each other when it is back: an outage is nobody standing still', async () => {
    const { w, links, n1, startSecond } = await two(() => async () => {
      await sleep(5);
      return 'ok';
    });
    const n2 = await startSecond();
    await n1.enqueueAndWait(msg('a'), { timeoutMs: 1000 });
    await n2.enqueueAndWait(msg('b'), { timeoutMs: 1000 });
    for (const link of links) link.cut = true;
    await until('both are suspended', () => n1.status().suspended && n2.status().suspended);
    await sleep(3 * FAST.grpc.nodeTTLMs);
    links[0].cut = false;
    await sleep(FAST.grpc.heartbeatMs);
    links[1].cut = false;
    await until('both are back', () => !n1.status().suspended && !n2.status().suspended);
    await sleep(2 * FAST.grpc.nodeTTLMs);
    expect([n1.status().incarnation, n2.status().incarnation]).toEqual([1, 2]);
    expect(w.events.filter((e) => e.event === 'buried' || e.event === 'lease-lost')).toEqual([]);
  });
});

describe('a stable serverId', () => {
  it('waits for the lease of its dead predecessor, and takes over what it left', async () => {
    const ran: string[] = [];
    const { w, links, n1 } = await two((i) => async (p) => {
      ran.push(`n${i}:${(p as { m: number }).m}`);
      if (i === 1) await new Promise(() => undefined);
    });
    await n1.enqueueBulk([1, 2].map((m) => msg('a', { m })));
    links[0].cut = true;
    const again = track(node(w, async (p) => void ran.push(`again:${(p as { m: number }).m}`), { ...FAST, serverId: 'n1' }));
    await again.start();
    await until('the rest ran', () => ran.length === 2);
    expect(ran).toEqual(['n1:1', 'again:2']);
  });

  it('is refused while its twin lives', async () => {
    const { w, n1 } = await two(() => () => 1);
    const twin = node(w, () => 2, { ...FAST, serverId: 'n1' });
    await expect(twin.start()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await n1.enqueueAndWait(msg('a'), { timeoutMs: 1000 })).toBe('1');
  });
});

describe('a store that lost its data', () => {
  // Idle: the loss shows first in a beat, which a store without members answers as to a dead incarnation.
  it.each([0, 2])('closes the node, with %i messages under way: nothing is started on a guess', async (messages) => {
    const w = world();
    let inner: MemoryStore = new MemoryStore(w.clock);
    const store = {
      apply: (b: never) => inner.apply(b),
      control: (o: never) => inner.control(o),
      onReplaced() {},
      async open() {},
      async close() {},
    };
    let closed: AtomicQueuesError | undefined;
    const n = track(node({ ...w, store: store as never }, () => sleep(30), FAST));
    (n as unknown as { options: { onClosed(e: AtomicQueuesError): void } }).options.onClosed = (e) => {
      closed = e;
    };
    await n.start();
    const calls = Array.from({ length: messages }, () => outcome(n.enqueueAndWait(msg('a'), { timeoutMs: 2000 })));
    await sleep(10);
    inner = new MemoryStore(w.clock);
    expect(await Promise.all(calls)).toEqual(calls.map(() => 'STORE_LOST'));
    await until('it has closed', () => n.status().state === 'closed');
    await expect(n.enqueue(msg('a'))).rejects.toMatchObject({ code: 'STORE_LOST', definite: true });
    expect(closed?.code).toBe('STORE_LOST');
  });
});

describe('a store that has lost the tail of its log', () => {
  it('is closed by the node that remembers it: to the others, and to newcomers', async () => {
    const w = world();
    const log: (() => void)[] = [];
    let inner = new MemoryStore(w.clock);
    const store = {
      apply(b: never) {
        log.push(() => inner.apply(b));
        return inner.apply(b);
      },
      control(o: never) {
        log.push(() => inner.control(o));
        return inner.control(o);
      },
      onReplaced() {},
      async open() {},
      async close() {},
    };
    const [a, b] = ['a', 'b'].map((serverId) =>
      track(node({ ...w, store: store as never }, () => sleep(1), { ...FAST, serverId })),
    );
    await a?.start();
    await b?.start();
    await a?.enqueueAndWait(msg('x'), { timeoutMs: 2000 });
    const kept = log.length;
    await a?.enqueueAndWait(msg('x'), { timeoutMs: 2000 });
    inner = new MemoryStore(w.clock);
    for (const call of log.splice(0, kept)) call();
    expect(await outcome(a!.enqueue(msg('x')))).toBe('OUTCOME_UNKNOWN');
    await until('both have closed', async () => [a, b].every((n) => n?.status().state === 'closed'));
    expect(await outcome(track(node({ ...w, store: store as never }, () => sleep(1), { ...FAST, serverId: 'c' })).start())).toBe(
      'STORE_LOST',
    );
  });
});

describe.each([1, 2, 3, 4, 5, 6])('lost, late, doubled and refused store calls, seed %i', (seed) => {
  it('run every accepted message once and in order, and tell the truth about the others', async () => {
    const random = prng(seed);
    const w = world();
    const store = new FlakyStore(w.store, random, {
      lostBefore: 0.05,
      lostAfter: 0.1,
      lateCopy: 0.1,
      refused: 0.1,
      delayMsMax: 4,
    });
    const ran = new Map<string, number[]>();
    const n = track(
      node(
        { ...w, store },
        async (p, _n, id) => {
          const { i } = p as { i: number };
          ran.set(id, [...(ran.get(id) ?? []), i]);
          if (random() < 0.3) await sleep(random() * 4);
          return i;
        },
        {
          ...FAST,
          enqueueTimeoutMs: 4000,
          storeCallTimeoutMs: 1000,
          grpc: { ...FAST.grpc, nodeTTLMs: 4000, redisHealthFailureThreshold: 50 },
        },
      ),
    );
    const calm = store.flaky;
    store.flaky = {};
    await n.start();
    store.flaky = calm;
    const told = new Map<string, unknown>();
    const senders = Array.from({ length: 20 }, async (_, s) => {
      for (let i = 0; i < 40; i++) {
        const id = `e${s % 7}`;
        const key = `${id}/${s * 100 + i}`;
        told.set(key, await outcome(n.enqueueAndWait(msg(id, { i: s * 100 + i }), { timeoutMs: 10_000 })));
      }
    });
    await Promise.all(senders);
    for (const [key, verdict] of told) {
      const [id, i] = key.split('/') as [string, string];
      const times = (ran.get(id) ?? []).filter((x) => x === Number(i)).length;
      expect(times, key).toBeLessThanOrEqual(1);
      if (verdict === i) expect(times, key).toBe(1);
      else if (verdict === 'STORE_UNAVAILABLE') expect(times, key).toBe(0);
      else expect(verdict, key).toBe('never another verdict here');
    }
    for (const [id, list] of ran)
      for (let s = 0; s < 20; s++) {
        const own = list.filter((x) => Math.floor(x / 100) === s);
        expect(own, id).toEqual([...own].sort((a, b) => a - b));
      }
    expect(Math.min(...Object.values(store.counts))).toBeGreaterThan(5);
    store.flaky = {};
    await until('nothing is left', async () => (await w.store.control({ op: 'counts' })).depth === 0);
    expect(n.status()).toMatchObject({ running: 0, waiting: 0 });
  });
});

describe('a log that contradicts what it acknowledged', () => {
  it('closes the node: an operator has deleted the record of an entity that runs', async () => {
    const state = new PartitionState();
    const store = {
      apply: async (batch: Batch) => applyBatch(state, batch, Date.now()),
      control: async (op: ControlOp) => applyControl(state, op, Date.now()),
      onReplaced() {},
      async open() {},
      async close() {},
    };
    const n = track(node(world(store as Store), () => sleep(50), FAST));
    await n.start();
    const call = outcome(n.enqueueAndWait(msg('a'), { timeoutMs: 2000 }));
    await sleep(10);
    state.entities.clear();
    expect(await call).toBe('STORE_LOST');
    expect(n.status().state).toBe('closed');
  });
});
