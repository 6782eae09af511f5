import { describe, expect, it } from 'vitest';
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import { StoreCallError } from '../../src/ports/store.js';
import { patienceFor } from '../../src/runtime/batch-size.js';
import { EntityContext } from '../../src/runtime/context.js';
import { SystemClock } from '../../src/system/clock.js';
import { msg, sleep, until, world } from './harness.js';
import { start } from './started.js';
import { ThinStore } from './thin-store.js';

const TIMEOUT_MS = 200;
const KB = 1024;
const text = (kb: number): string => 'x'.repeat(kb * KB);

describe('a link that carries little in the time of a call', () => {
  it('128 callers with one id and a large result: the answers are bounded, and all get the result', async () => {
    const store = new ThinStore(TIMEOUT_MS);
    const w = world(store);
    const node = await start(w, () => text(256), { storeCallTimeoutMs: TIMEOUT_MS });
    await node.enqueueAndWait(msg('a', {}, { id: 'one' }), { timeoutMs: 5000 });
    // Two results take half of a call.
    store.charsPerMs = (512 * KB) / 100;
    store.replyChars.length = 0;
    const calls = Array.from({ length: 128 }, () => node.enqueueAndWait(msg('a', {}, { id: 'one' }), { timeoutMs: 15_000 }));
    const results = await Promise.all(calls);
    expect(new Set(results.map((result) => result.length))).toEqual(new Set([256 * KB + 2]));
    expect(Math.max(...store.replyChars)).toBeLessThan(400 * KB);
    await node.stop();
  });

  it('results that are read back come few at once', async () => {
    const store = new ThinStore(TIMEOUT_MS);
    const w = world(store);
    const node = await start(w, () => text(256), { storeCallTimeoutMs: TIMEOUT_MS });
    const ids = Array.from({ length: 40 }, (_, i) => `id-${i}`);
    await Promise.all(ids.map((id, i) => node.enqueueAndWait(msg(`e${i}`, {}, { id }), { timeoutMs: 10_000 })));
    store.charsPerMs = (512 * KB) / 100;
    const again = ids.map((id, i) => node.enqueueAndWait(msg(`e${i}`, {}, { id }), { timeoutMs: 15_000 }));
    expect((await Promise.all(again)).every((result) => result.length > 256 * KB)).toBe(true);
    // The first answers of all batches have room for one result each.
    expect(store.atOnceMax).toBe(1);
    await node.stop();
  });

  it('a message that takes three calls gets across, and later batches are small', async () => {
    const store = new ThinStore(TIMEOUT_MS);
    const w = world(store);
    let ran = 0;
    const config = { storeCallTimeoutMs: TIMEOUT_MS, enqueueTimeoutMs: 15_000 };
    const node = await start(w, () => ++ran, config);
    store.charsPerMs = (300 * KB) / TIMEOUT_MS;
    const large = node.enqueue(msg('a', { text: text(900) }));
    await sleep(1.5 * TIMEOUT_MS);
    const others = Array.from({ length: 8 }, () => node.enqueue(msg('a', { text: text(100) })));
    await Promise.all([large, ...others]);
    await until('all have run', () => ran === 9, 15_000);
    expect(store.requestChars.filter((chars) => chars > 800 * KB).length).toBeLessThan(7);
    // One batch may have left before it was known that the link is thin.
    const bundled = store.requestChars.filter((chars) => chars > 320 * KB && chars < 800 * KB);
    expect(new Set(bundled).size).toBeLessThan(2);
    await node.stop();
  });

  it.each([
    ['payloads', { text: text(200) }, undefined],
    ['headers', {}, { note: text(200) }],
  ])('what a handler sends in all is limited where it sends, also by its %s', async (_, payload, headers) => {
    const w = world(new ThinStore(TIMEOUT_MS));
    const refused: unknown[] = [];
    const node = await start(
      w,
      (_, name) => {
        if (name !== 'Send') return 'ok';
        for (let i = 0; i < 50; i++) {
          try {
            EntityContext.current().enqueue(msg(`t${i}`, payload, { headers: headers && JSON.stringify(headers) }));
          } catch (error) {
            refused.push(error);
          }
        }
        return 'sent';
      },
      { storeCallTimeoutMs: TIMEOUT_MS },
    );
    await node.enqueueAndWait(msg('a', {}, { name: 'Send' }), { timeoutMs: 5000 });
    // 200 ms at 6,250 bytes: 1.25 MB, which six of them have.
    expect(refused).toHaveLength(44);
    expect(refused[0]).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', definite: true, details: { limit: 1_250_000 } });
    await node.stop();
  });
});

/** A store that answers everything but the batches of incarnations up to a certain one. */
class WedgedStore extends MemoryStore {
  wedgedUpTo = 0;
  everything = false;

  override async apply(batch: Batch): Promise<BatchReply> {
    if (batch.incarnation <= this.wedgedUpTo || this.everything) throw new StoreCallError('no answer', false);
    return super.apply(batch);
  }

  override async control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    if (this.everything) throw new StoreCallError('no answer', false);
    return super.control(op);
  }
}

describe('a session that gets nothing through while heartbeats are acknowledged', () => {
  const TTL_MS = 200;
  // 4 node TTLs, 48 calls.
  const LIMIT_MS = 960;
  const config = {
    ...{ storeCallTimeoutMs: 20, enqueueTimeoutMs: 20_000 },
    grpc: { nodeTTLMs: TTL_MS, heartbeatMs: 40, leaseMarginMs: 20 },
  };

  it('is given up: the node goes on as another incarnation, and what waits runs', async () => {
    const store = new WedgedStore(new SystemClock());
    const w = world(store);
    let ran = 0;
    const node = await start(w, () => ++ran, config);
    await node.enqueue(msg('a'));
    await until('it has run', () => ran === 1);
    const first = node.status().incarnation;
    store.wedgedUpTo = first;
    const lost = node.enqueue(msg('a')).catch((error) => error.code);
    const startedMs = performance.now();
    await until('the node is another one', () => node.status().incarnation > first && node.status().state === 'running', 15_000);
    expect(performance.now() - startedMs).toBeGreaterThan(LIMIT_MS * 0.8);
    expect(await lost).toBe('OUTCOME_UNKNOWN');
    expect(w.events.filter(({ event }) => event === 'lease-lost')).toMatchObject([
      { data: { incarnation: first, why: expect.stringContaining('no step got through for 960 ms') } },
    ]);
    await node.enqueueAndWait(msg('a'), { timeoutMs: 5000 });
    await node.stop();
  });

  it('is kept over an outage of the store, however long, and while nothing is under way', async () => {
    const store = new WedgedStore(new SystemClock());
    const w = world(store);
    let ran = 0;
    const node = await start(w, () => ++ran, config);
    const first = node.status().incarnation;
    await sleep(LIMIT_MS * 1.5);
    store.everything = true;
    const late = node.enqueue(msg('a'));
    await sleep(LIMIT_MS * 1.5);
    store.everything = false;
    await late;
    await until('it has run', () => ran === 1);
    expect(node.status().incarnation).toBe(first);
    await node.stop();
  });
});

describe('the patience with a batch', () => {
  it('grows with each try, as far as the size explains it', () => {
    expect([0, 1, 2, 9].map((tries) => patienceFor(10 * KB, tries))).toEqual([1, 1, 1, 1]);
    expect([0, 1, 2, 3, 4, 9, 99].map((tries) => patienceFor(300 * KB, tries))).toEqual([1, 2, 4, 5, 5, 5, 5]);
    expect([0, 3, 99].map((tries) => patienceFor(2 ** 30, tries))).toEqual([1, 8, 16]);
  });
});
