import { expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import { MemoryStore } from '../../src/memory/store.js';
import { DeadLetterBox } from '../../src/runtime/dead-letters.js';
import { SystemClock } from '../../src/system/clock.js';
import { append, ENTITY, join } from '../redis/support.js';

it('a log that is shut refuses to replay or to delete what it has, also where nobody had noticed', async () => {
  const clock = new SystemClock();
  const store = new MemoryStore(clock);
  const session = await join(store);
  await session.apply({ op: 'claim', entity: ENTITY }, append('m1'), {
    ...{ op: 'finish', entity: ENTITY, fence: 1, seq: 1, attempt: 1, next: -1, sends: [] },
    outcome: { state: 'failed', result: '', error: '{"name":"Error","message":"no"}' },
  });
  const box = new DeadLetterBox(store, clock);
  await store.control({ op: 'shut', generation: session.joined.generation });
  for (const change of [box.replay('1', { force: true }), box.purge('1'), box.replayAll({}, { force: true }), box.purgeAll({})]) {
    const error = await change.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AtomicQueuesError);
    expect(error).toMatchObject({ code: 'STORE_LOST', definite: true });
  }
  expect((await box.list()).letters).toMatchObject([{ id: '1', replayedAs: null }]);
});
