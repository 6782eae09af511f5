/** What has not left the process, or was certainly refused, is told so, and does not run later. */
import { describe, expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import { type Store, StoreCallError } from '../../src/ports/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { msg, node, sleep, until, world } from './harness.js';
import { started } from './started.js';

const codeOf = (call: Promise<unknown>): Promise<AtomicQueuesError> =>
  call.then(
    () => Promise.reject(new Error('it went well')),
    (error) => (error instanceof AtomicQueuesError ? error : Promise.reject(error)),
  );

/** Stands still when told: batches wait, as in the socket of a server that is stopped, and go on with it. */
class StandingStill implements Store {
  readonly inner = new MemoryStore(new SystemClock());
  batches = 0;
  private still: Promise<void> | undefined;
  private wake: () => void = () => undefined;

  stop(): void {
    this.still = new Promise((resolve) => (this.wake = resolve));
  }

  goOn(): void {
    this.still = undefined;
    this.wake();
  }

  apply = async (batch: Batch): Promise<BatchReply> => {
    this.batches++;
    await this.still;
    return this.inner.apply(batch);
  };
  control: Store['control'] = (op) => this.inner.control(op);
  onReplaced(): void {}
  open = (): Promise<void> => this.inner.open();
  close = (): Promise<void> => this.inner.close();
}

const SLOW = { storeCallTimeoutMs: 5000, enqueueTimeoutMs: 10_000 };

async function onStandingStill(config: Record<string, unknown> = {}) {
  const store = new StandingStill();
  const ran: string[] = [];
  const n = node(world(store), (_p, _name, id) => void ran.push(id), { ...SLOW, ...config });
  started.push(n);
  await n.start();
  return { store, ran, n };
}

describe('a wait that withdraws, while the store stands still', () => {
  it('takes back what has not left: definite, at its time, and it never runs', async () => {
    const { store, ran, n } = await onStandingStill();
    store.stop();
    const before = store.batches;
    // Two batches may be on their way; what comes behind them stays here.
    const left = [n.enqueue(msg('left-1'))];
    await until('the first batch has left', () => store.batches === before + 1);
    left.push(n.enqueue(msg('left-2')));
    await until('the second batch has left', () => store.batches === before + 2);
    const at = performance.now();
    const waits = Array.from({ length: 10 }, (_, i) =>
      codeOf(n.enqueueAndWait(msg(`w${i}`), { timeoutMs: 100, onTimeout: 'withdraw' })),
    );
    for (const error of await Promise.all(waits)) {
      expect(error).toMatchObject({ code: 'REPLY_TIMEOUT', definite: true, details: { withdrawn: true } });
    }
    expect(performance.now() - at).toBeLessThan(2000);
    store.goOn();
    await Promise.all(left);
    await n.enqueueAndWait(msg('after'), { timeoutMs: 5000 });
    expect(ran.sort()).toEqual(['after', 'left-1', 'left-2']);
  });

  it('keeps waiting for what has left, and withdraws that as soon as it is answered', async () => {
    const { store, ran, n } = await onStandingStill();
    const blocker = n.enqueueAndWait(msg('a', { first: true }), { timeoutMs: 5000 });
    await blocker;
    store.stop();
    const before = store.batches;
    // The second one of its entity does not begin as it is logged.
    const first = n.enqueue(msg('a'));
    const second = codeOf(n.enqueueAndWait(msg('a'), { timeoutMs: 50, onTimeout: 'withdraw' }));
    await until('both have left', () => store.batches === before + 1);
    await sleep(200);
    store.goOn();
    await first;
    const error = await second;
    expect([error.code, error.definite]).toEqual(['REPLY_TIMEOUT', true]);
    await n.enqueueAndWait(msg('a'), { timeoutMs: 5000 });
    expect(ran).toHaveLength(3);
  });

  it('is not definite for what has left and begun', async () => {
    const { store, ran, n } = await onStandingStill({ storeCallTimeoutMs: 100 });
    await n.enqueueAndWait(msg('a'), { timeoutMs: 5000 });
    store.stop();
    const error = await codeOf(n.enqueueAndWait(msg('a'), { timeoutMs: 50, onTimeout: 'withdraw' }));
    expect([error.code, error.definite]).toEqual(['REPLY_TIMEOUT', false]);
    store.goOn();
    await until('it has run', () => ran.length === 2);
  });
});

/** Answers the next batches as told, and does nothing then. */
class Answering extends StandingStill {
  next: ('fenced' | 'silent')[] = [];
  /** When those are answered; by default soon. */
  answer: Promise<unknown> | undefined;

  override apply = async (batch: Batch): Promise<BatchReply> => {
    this.batches++;
    const how = batch.ops.some(({ op }) => op === 'append') ? this.next.shift() : undefined;
    if (how === undefined) return this.inner.apply(batch);
    await (this.answer ?? sleep(5));
    if (how === 'silent') throw new StoreCallError('no answer', false);
    return { status: 'fenced' };
  };
}

describe('the calls of a node that was declared dead', () => {
  async function fenced(next: Answering['next'], config: Record<string, unknown> = {}) {
    const store = new Answering();
    const ran: string[] = [];
    const n = node(world(store), (_p, _name, id) => void ran.push(id), {
      storeCallTimeoutMs: 200,
      onLeaseLost: 'rejoin',
      ...config,
    });
    started.push(n);
    await n.start();
    await n.enqueueAndWait(msg('before'), { timeoutMs: 5000 });
    store.next = next;
    return { n, ran, store };
  }

  it('go on with its next incarnation, if every copy was answered so', async () => {
    const { n, ran } = await fenced(['fenced']);
    expect(await n.enqueue(msg('a'))).toMatchObject({ duplicate: false });
    await until('it has run', () => ran.includes('a'));
    expect(ran).toEqual(['before', 'a']);
    expect(n.status().incarnation).toBe(2);
  });

  it('have certainly not been logged, also if that answer waited beside a deadline that passed while the process stood still', async () => {
    const { n, ran, store } = await fenced(['fenced'], { enqueueTimeoutMs: 300 });
    let read = (_: unknown): void => undefined;
    store.answer = new Promise((resolve) => (read = resolve));
    const error = codeOf(n.enqueue(msg('a')));
    const left = store.batches + 1;
    await until('it has left', () => store.batches === left);
    // A loop that was blocked looks at its timers first, and at its sockets then.
    setImmediate(() => {
      for (const end = performance.now() + 1000; performance.now() < end; );
      setTimeout(() => setImmediate(read, undefined));
    });
    expect(await error).toMatchObject({ code: 'STORE_UNAVAILABLE', definite: true });
    await n.enqueueAndWait(msg('after'), { timeoutMs: 5000 }).catch(() => undefined);
    expect(ran).not.toContain('a');
  });

  it('are unknown, if one copy got no answer', async () => {
    const { n } = await fenced(['silent', 'fenced']);
    expect(await codeOf(n.enqueue(msg('a')))).toMatchObject({ code: 'OUTCOME_UNKNOWN', definite: false });
  });
});

describe('the calls of a node that closes itself while the store stands still', () => {
  it('end at once, with why: unknown if they have left, and with the loss if they have not', async () => {
    const { store, ran, n } = await onStandingStill({ grpc: { heartbeatMs: 40, nodeTTLMs: 400, leaseMarginMs: 20 } });
    store.stop();
    const before = store.batches;
    const left: Promise<AtomicQueuesError>[] = [];
    for (const count of [1, 2]) {
      left.push(codeOf(n.enqueue(msg(`left-${count}`))));
      await until('its batch has left', () => store.batches === before + count);
    }
    const unsent = [codeOf(n.enqueue(msg('a'))), codeOf(n.enqueueAndWait(msg('a'), { timeoutMs: 8000 }))];
    const bulk = n.enqueueBulk([msg('b'), msg('c')]);
    const { control } = store;
    store.control = (op) => (op.op === 'heartbeat' ? Promise.resolve({ ok: false, code: 'LOST', at: 0 } as never) : control(op));
    const since = performance.now();
    expect((await Promise.all(left)).map(({ code }) => code)).toEqual(['OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN']);
    expect((await Promise.all(unsent)).map(({ code }) => code)).toEqual(['STORE_LOST', 'STORE_LOST']);
    expect(await bulk).toMatchObject(Array(2).fill({ ok: false, error: { code: 'STORE_LOST' } }));
    expect(performance.now() - since).toBeLessThan(SLOW.enqueueTimeoutMs / 2);
    expect(n.status().state).toBe('closed');
    store.goOn();
    await sleep(20);
    expect(ran).toEqual([]);
  });
});
