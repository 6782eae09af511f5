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
  readonly delaysMs: number[] = [];
  monotonicMs = () => 0;
  wallMs = () => 0;
  defer = (run: () => void) => void setImmediate(run);
  setTimer(delayMs: number, fire: () => void) {
    this.delaysMs.push(delayMs);
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
    full: (waiting) => log.push(`full ${waiting}`),
  });
  const step = (name: string, kind: 'append' | 'finish' = 'append', chars = 0): Step => ({
    op: {
      ...{ op: kind, name, entity: '', message: { id: '', payload: 'x'.repeat(chars), headers: '', chain: '' } },
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
    for (let i = 0; i < 6; i++) session.submit(step(`m${i}`, 'append', MEGABYTE / 2 - 1000));
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

  it('waits longer before each resend, up to a limit', async () => {
    const { store, clock, session, step } = open();
    session.submit(step('a'));
    await tick();
    for (let failures = 0; failures < 10; failures++) {
      await store.copies.at(-1)?.fail(unknown());
      await clock.fire();
    }
    expect(store.numbers).toEqual(Array(11).fill(1));
    expect(clock.delaysMs).toEqual([10, 20, 40, 80, 160, 320, 500, 500, 500, 500]);
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

  it('counts a copy that met a gap as refused: its append is rejected with the next refusal, and frees what stands behind', async () => {
    const { store, clock, log, session, step, applied } = open();
    session.submit(step('f1', 'finish'));
    await tick();
    session.submit(step('a2'));
    session.submit(step('f2', 'finish'));
    await tick();
    await store.copies[1]?.reply({ status: 'gap', last: 0 });
    await store.copies[0]?.reply(applied('F1'));
    expect(store.numbers).toEqual([1, 2, 2]);
    await store.copies[2]?.fail(refused());
    expect(log).toEqual(['f1: "F1"', 'a2 refused STORE_UNAVAILABLE definite true']);
    await clock.fire();
    expect(store.copies[3]?.batch).toMatchObject({ n: 2, ops: [{ name: 'f2' }] });
  });

  it('rejects also what waits behind a refused batch: it would be refused as well', async () => {
    const { store, clock, log, session, step, applied } = open();
    session.submit(step('a1'));
    session.submit(step('f1', 'finish'));
    await tick();
    session.submit(step('a2'));
    await tick();
    await store.copies[1]?.reply({ status: 'gap', last: 0 });
    await store.copies[0]?.fail(refused());
    expect(log).toEqual(['a1 refused STORE_UNAVAILABLE definite true', 'a2 refused STORE_UNAVAILABLE definite true']);
    // Its number is free again.
    session.submit(step('f2', 'finish'));
    await tick();
    await clock.fire();
    expect(store.copies.slice(2).map(({ batch }) => [batch.n, batch.ops.length])).toEqual([
      [2, 1],
      [1, 1],
    ]);
    await store.copies[3]?.reply(applied('F1'));
    await store.copies[2]?.reply(applied('F2'));
    expect(log.slice(2)).toEqual(['f1: "F1"', 'f2: "F2"']);
  });

  describe('a lost copy, and then refusals for as long as nothing ends', () => {
    async function lostThenRefused() {
      const opened = open();
      const { store, clock, session, step } = opened;
      session.submit(step('a'));
      session.submit(step('f', 'finish'));
      await tick();
      await store.copies[0]?.fail(unknown());
      await clock.fire();
      await store.copies[1]?.fail(refused());
      await clock.fire();
      expect(opened.log).toEqual([]);
      expect(store.copies[2]?.batch).toMatchObject({ n: 1, ops: [{ name: 'f' }], former: [{ name: 'f' }, { name: 'a' }] });
      return opened;
    }

    it('what ends goes on without the append, whose fate the count of the answers tells: it was not applied', async () => {
      const { store, log, applied } = await lostThenRefused();
      await store.copies[2]?.reply(applied('F'));
      expect(log).toEqual(['a refused STORE_UNAVAILABLE definite true', 'f: "F"']);
    });

    it('or the lost copy was applied', async () => {
      const { store, log, applied } = await lostThenRefused();
      await store.copies[2]?.reply(applied('F', 'A'));
      expect(log).toEqual(['f: "F"', 'a: "A"']);
    });

    it('and at its end all of it is unknown', async () => {
      const { log, session } = await lostThenRefused();
      const { AtomicQueuesError } = await import('../../src/core/errors.js');
      session.end(new AtomicQueuesError('FENCED', 'dead'), new AtomicQueuesError('FENCED', 'never left'));
      expect(log).toEqual(['f unknown FENCED', 'a unknown FENCED']);
    });
  });

  it('takes the claim that an append came with back with it, and no other', async () => {
    const { store, clock, log, session, step } = open();
    const of = (name: string, op: object) => session.submit({ ...step(name), op } as never);
    of('claim x', { op: 'claim', entity: 'x' });
    of('claim y', { op: 'claim', entity: 'y' });
    of('a', { op: 'append', entity: 'x', message: { id: '', payload: '', headers: '', chain: '' } });
    await tick();
    await store.copies[0]?.fail(refused());
    await clock.fire();
    expect(log).toEqual([expect.stringMatching(/^claim x refused/), expect.stringMatching(/^a refused/)]);
    expect(store.copies[1]?.batch.ops).toEqual([{ op: 'claim', entity: 'y' }]);
  });

  it('lets a finish whose sends have no room wait aside, and one of them ask from time to time', async () => {
    const { store, clock, log, session, step, applied } = open();
    const send = { entity: 'account:x', depthMax: 0, message: { id: '', payload: 'x', headers: '', chain: '' } };
    const sender = (name: string): Step => {
      const made = step(name, 'finish');
      return { ...made, op: { ...made.op, sends: [send] } as never, parked: () => log.push(`${name} parked`) };
    };
    for (const name of ['s1', 's2']) session.submit(sender(name));
    session.submit(step('f', 'finish'));
    await tick();
    await store.copies[0]?.fail(refused());
    expect(log.splice(0)).toEqual(['s1 parked', 's2 parked', 'full 2']);
    expect([session.awaitingRoom, session.outstanding]).toEqual([2, 3]);
    await clock.fire();
    const names = () => store.copies.slice(1).map(({ batch }) => batch.ops.map((o) => (o as never as { name: string }).name));
    // Both timers have fired: what ends is sent again, and beside it one asks.
    expect(names()).toEqual([['f'], ['s1']]);
    await store.copies[1]?.reply(applied('F'));
    await store.copies[2]?.fail(refused());
    expect(log.splice(0)).toEqual(['f: "F"', 's1 parked']);
    await clock.fire();
    expect(names()[2]).toEqual(['s2']);
    await store.copies[3]?.reply(applied('S2'));
    await tick();
    expect(log.splice(0)).toEqual(['full 0', 's2: "S2"']);
    await store.copies[4]?.reply(applied('S1'));
    expect(log.splice(0)).toEqual(['s1: "S1"']);
    expect(session.outstanding).toBe(0);
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

  it('takes a script that fails three times in the same way for a loss, and other failures not', async () => {
    const { store, clock, log, session, step } = open();
    session.submit(step('a'));
    await tick();
    const broken = (what: string) => new StoreCallError(what, false, false, undefined, 'broken');
    const failures = [
      broken('line 7'),
      broken('line 7'),
      unknown(),
      unknown(),
      unknown(),
      broken('line 8'),
      broken('line 7'),
      broken('line 7'),
    ];
    for (const failure of failures) {
      await store.copies.at(-1)?.fail(failure);
      await clock.fire();
    }
    expect(log).toEqual([]);
    await store.copies.at(-1)?.fail(broken('line 7'));
    expect(log).toEqual([expect.stringMatching(/^lost: it fails in the same way each time .*line 7/)]);
  });

  it.each([
    [{ status: 'fenced' } as const, 'fenced'],
    [{ status: 'lost' } as const, 'lost: its generation changed, or fields of its meta key are gone'],
    [{ status: 'unknown' } as const, 'lost: it holds no join of incarnation 7 by this process'],
  ])('passes %o on', async (reply, event) => {
    const { store, log, session, step } = open();
    session.submit(step('a'));
    await tick();
    await store.copies[0]?.reply(reply);
    expect(log).toEqual([event]);
  });
});
