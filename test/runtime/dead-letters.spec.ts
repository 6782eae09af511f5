import { expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import type { Store } from '../../src/ports/store.js';
import { DeadLetterBox } from '../../src/runtime/dead-letters.js';
import { SystemClock } from '../../src/system/clock.js';
import { append, ENTITY, join, type Session } from '../redis/support.js';

/** A store in which `count` messages have failed. */
async function storeOf(clock: SystemClock, count: number): Promise<{ store: MemoryStore; session: Session }> {
  const store = new MemoryStore(clock);
  const session = await join(store);
  await session.apply({ op: 'claim', entity: ENTITY });
  for (let seq = 1; seq <= count; seq++)
    await session.apply(append(`m${seq}`), {
      ...{ op: 'finish', entity: ENTITY, fence: 1, seq, attempt: 1, next: -1, sends: [] },
      outcome: { state: 'failed', result: '', error: '{"name":"Error","message":"no"}' },
    });
  return { store, session };
}

it('a log that is shut refuses to replay or to delete what it has, also where no node had noticed', async () => {
  const clock = new SystemClock();
  const { store, session } = await storeOf(clock, 1);
  const box = new DeadLetterBox(store, clock);
  await store.control({ op: 'closeStore', generation: session.joined.generation });
  for (const change of [box.replay('1', { force: true }), box.purge('1'), box.replayAll({}, { force: true }), box.purgeAll({})]) {
    const error = await change.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AtomicQueuesError);
    expect(error).toMatchObject({ code: 'STORE_LOST', definite: true });
  }
  expect((await box.list()).letters).toMatchObject([{ id: '1', replayedAs: null }]);
});

it('a run counts each letter that it was refused, by the reason', async () => {
  const clock = new SystemClock();
  const { store } = await storeOf(clock, 4);
  const box = new DeadLetterBox(store, clock);
  // Another operator deletes three of them once the run has read its page.
  const onProgress = async (): Promise<void> => {
    for (const letter of ['2', '3', '4']) await store.control({ op: 'purge', letter });
  };
  const result = await box.replayAll({}, { perSecond: 100, onProgress });
  expect(result).toEqual({ done: 1, refused: { absent: 3 }, stopped: undefined, lastLetter: '4' });
});

it('a run that is aborted reads no further page, also where no letter matches', async () => {
  const clock = new SystemClock();
  const { store } = await storeOf(clock, 1);
  const stop = new AbortController();
  const asked: string[] = [];
  // A page of the store is bounded in time: it may have found nothing and still not be the last.
  const control = async <O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> => {
    if (op.op !== 'letters') return store.control(op);
    asked.push(op.after);
    if (asked.length === 2) stop.abort();
    return { ok: true, letters: [], next: asked.length < 10 ? `${asked.length}` : '' } as unknown as ControlAnswerOf[O['op']];
  };
  const box = new DeadLetterBox({ control } as Store, clock);
  expect(await box.purgeAll({ entityType: 'other' }, { signal: stop.signal })).toMatchObject({ done: 0, stopped: 'aborted' });
  expect(asked).toEqual(['', '1']);
});
