import { describe, expect, it } from 'vitest';
import type { AtomicQueuesError } from '../../src/core/errors.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import type { Clock } from '../../src/ports/clock.js';
import { type Store, StoreCallError } from '../../src/ports/store.js';
import { type Step, StoreSession } from '../../src/runtime/session.js';

/** A store whose every copy is answered by hand. */
class ScriptedStore {
  readonly copies: { batch: Batch; reply: (r: BatchReply) => Promise<void>; fail: (e: StoreCallError) => Promise<void> }[] = [];

  apply(batch: Batch): Promise<BatchReply> {
    return new Promise((resolve, reject) => {
      const copy = { ...batch, ops: [...batch.ops] };
      this.copies.push({
        batch: copy,
        reply: (r) => {
          resolve(r);
          return tick();
        },
        fail: (e) => {
          reject(e);
          return tick();
        },
      });
    });
  }

  get numbers(): number[] {
    return this.copies.map((c) => c.batch.n);
  }
}
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A clock whose timers fire when told. */
class HandClock implements Clock {
  timers: (() => void)[] = [];
  monotonicMs = () => 0;
  wallMs = () => 0;
  defer = (run: () => void) => void setImmediate(run);
  setTimer(_ms: number, fire: () => void) {
    this.timers.push(fire);
    return { cancel: () => undefined };
  }
  async fire(): Promise<void> {
    for (const t of this.timers.splice(0)) t();
    await tick();
  }
}

const MEMBER = { generation: 'g', incarnation: 7, token: 't' };

function open() {
  const store = new ScriptedStore();
  const clock = new HandClock();
  const log: string[] = [];
  const session = new StoreSession(store as unknown as Store, clock, { next: () => 0, token: () => '' }, MEMBER, {
    fenced: () => log.push('fenced'),
    lost: (why) => log.push(`lost: ${why}`),
    health: () => undefined,
  });
  const step = (name: string, kind: 'append' | 'finish' = 'append', chars = 0): Step => ({
    op: {
      ...{ op: kind, name, message: { payload: 'x'.repeat(chars), headers: '' } },
      ...{ outcome: { result: '', error: '' }, sends: [], next: -1 },
    } as never,
    answered: (answer) => log.push(`${name}: ${JSON.stringify(answer)}`),
    refused: (error: AtomicQueuesError) => log.push(`${name} refused ${error.code} definite ${error.definite}`),
    unknown: (error: AtomicQueuesError) => log.push(`${name} unknown ${error.code}`),
  });
  const applied = (...answers: unknown[]): BatchReply => ({ status: 'applied', answers: answers as never });
  return { store, clock, log, session, step, applied };
}
const unknown = () => new StoreCallError('reply lost', false);
const MEGABYTE = 1024 * 1024;
const refused = () => new StoreCallError('OOM', true);

describe('the session', () => {
  it('bounds a batch in size: one that takes longer than a call may would be sent for ever', async () => {
    const { store, session, step } = open();
    for (let i = 0; i < 6; i++) session.submit(step(`m${i}`, 'append', MEGABYTE / 2));
    session.submit(step('large', 'append', 8 * MEGABYTE));
    await tick();
    expect(store.copies.map(({ batch }) => batch.ops.length)).toEqual([2, 2]);
  });

  it('gathers what comes while two batches are in flight, and puts what ends before what begins', async () => {
    const { store, session, step, applied } = open();
    session.submit(step('a'));
    await tick();
    session.submit(step('b'));
    await tick();
    for (const name of ['c', 'd']) session.submit(step(name));
    session.submit(step('f', 'finish'));
    await tick();
    expect(store.numbers).toEqual([1, 2]);
    await store.copies[0]?.reply(applied(1));
    await tick();
    expect(store.copies[2]?.batch.ops.map((o) => (o as never as { name: string }).name)).toEqual(['f', 'c', 'd']);
  });

  it('tells the answers in order of the numbers, whichever comes first', async () => {
    const { store, log, session, step, applied } = open();
    session.submit(step('a'));
    await tick();
    session.submit(step('b'));
    await tick();
    await store.copies[1]?.reply(applied('B'));
    expect(log).toEqual([]);
    await store.copies[0]?.reply(applied('A'));
    expect(log).toEqual(['a: "A"', 'b: "B"']);
  });

  it('sends the same number with the same steps again when a reply is lost', async () => {
    const { store, clock, log, session, step, applied } = open();
    session.submit(step('a'));
    await tick();
    await store.copies[0]?.fail(unknown());
    session.submit(step('late'));
    await clock.fire();
    expect(store.numbers).toEqual([1, 1, 2]);
    expect(store.copies[1]?.batch.ops).toEqual(store.copies[0]?.batch.ops);
    await store.copies[1]?.reply(applied('A'));
    expect(log).toEqual(['a: "A"']);
  });

  it('sends what waits out a backoff at once when the store is known to answer again', async () => {
    const { store, log, session, step, applied } = open();
    session.submit(step('a'));
    await tick();
    await store.copies[0]?.fail(unknown());
    expect(store.numbers).toEqual([1]);
    session.storeAnswers();
    session.storeAnswers();
    expect(store.numbers).toEqual([1, 1]);
    await store.copies[1]?.reply(applied('A'));
    expect(log).toEqual(['a: "A"']);
  });

  it('rejects appends only if every copy of their number was refused, and then uses the number for the rest', async () => {
    const { store, clock, log, session, step, applied } = open();
    session.submit(step('a'));
    session.submit(step('f', 'finish'));
    await tick();
    await store.copies[0]?.fail(refused());
    expect(log).toEqual(['a refused STORE_UNAVAILABLE definite true']);
    await clock.fire();
    expect(store.copies[1]?.batch).toMatchObject({ n: 1, ops: [{ name: 'f' }] });
    await store.copies[1]?.reply(applied('F'));
    expect(log[1]).toBe('f: "F"');
  });

  it('rejects nothing after a copy whose reply was lost: that one may have been applied', async () => {
    const { store, clock, log, session, step, applied } = open();
    session.submit(step('a'));
    await tick();
    await store.copies[0]?.fail(unknown());
    await clock.fire();
    await store.copies[1]?.fail(refused());
    await clock.fire();
    expect(log).toEqual([]);
    await store.copies[2]?.reply(applied('A'));
    expect(log).toEqual(['a: "A"']);
  });

  it('frees a refused number if nothing younger is in flight, and fills it with nothing otherwise', async () => {
    const { store, clock, session, step, applied } = open();
    session.submit(step('a'));
    await tick();
    await store.copies[0]?.fail(refused());
    session.submit(step('b'));
    await tick();
    session.submit(step('c'));
    await tick();
    expect(store.numbers).toEqual([1, 1, 2]);
    await store.copies[1]?.fail(refused());
    await clock.fire();
    expect(store.copies[3]?.batch).toMatchObject({ n: 1, ops: [] });
    await store.copies[2]?.reply({ status: 'gap', last: 0 });
    await store.copies[3]?.reply(applied());
    expect(store.copies[4]?.batch).toMatchObject({ n: 2, ops: [{ name: 'c' }] });
  });

  it('takes a gap behind what was acknowledged before the copy left for a loss of the store', async () => {
    const { store, log, session, step, applied } = open();
    session.submit(step('a'));
    await tick();
    await store.copies[0]?.reply(applied('A'));
    session.submit(step('b'));
    await tick();
    await store.copies[1]?.reply({ status: 'gap', last: 0 });
    expect(log[1]).toMatch(/^lost: batch 1 was acknowledged/);
  });

  it('takes a gap that an answer overtook for what it is: a copy that came early', async () => {
    const { store, log, session, step, applied } = open();
    session.submit(step('a'));
    await tick();
    session.submit(step('b'));
    await tick();
    await store.copies[0]?.reply(applied('A'));
    await store.copies[1]?.reply({ status: 'gap', last: 0 });
    expect(log).toEqual(['a: "A"']);
  });

  it('calls what is in flight unknown at its end, and what never left refused', async () => {
    const { store, log, session, step } = open();
    const { AtomicQueuesError } = await import('../../src/core/errors.js');
    for (const name of ['a', 'b']) {
      session.submit(step(name));
      await tick();
    }
    session.submit(step('c'));
    session.end(new AtomicQueuesError('FENCED', 'dead'), new AtomicQueuesError('FENCED', 'never left'));
    expect(log).toEqual(['a unknown FENCED', 'b unknown FENCED', 'c refused FENCED definite true']);
    await store.copies[0]?.reply({ status: 'applied', answers: [1] as never });
    session.submit(step('d'));
    expect(log.slice(3)).toEqual(['d refused FENCED definite true']);
  });

  it.each([
    [{ status: 'fenced' } as const, 'fenced'],
    [{ status: 'lost' } as const, 'lost: its generation changed'],
    [{ status: 'unknown' } as const, 'lost: it holds no join of incarnation 7 by this process'],
  ])('passes %o on', async (reply, event) => {
    const { store, log, session, step } = open();
    session.submit(step('a'));
    await tick();
    await store.copies[0]?.reply(reply);
    expect(log).toEqual([event]);
  });
});
