import { expect, it } from 'vitest';
import { type FinishOp, type NewMessage, type SessionOp, sizeOf } from '../../src/core/log/operations.js';
import { BatchSize, patienceFor } from '../../src/runtime/batch-size.js';

const message: NewMessage = {
  ...{ id: '~1-1', given: false, digest: '', name: 'Do', payload: '{}', headers: '', chain: '', waiter: 0, replayOf: '' },
};

/** How many of those steps one batch takes. */
function taken(step: SessionOp): number {
  const size = new BatchSize();
  size.begin();
  let n = 0;
  for (; size.hasRoomFor(step) && n < 1000; n++) size.add(step);
  return n;
}

it('a batch has room by what its messages take in the call, not by their payloads alone', () => {
  const outcome = { state: 'completed', result: '', error: '' } as const;
  const sends = Array.from({ length: 300 }, () => ({ entity: 'account:a', message, depthMax: 0 }));
  const finish: FinishOp = { op: 'finish', entity: 'account:a', fence: 1, seq: 1, attempt: 1, next: -1, outcome, sends };
  expect(taken(finish) * sends.length).toBeLessThan(4096);
  const longId = { ...message, id: 'i'.repeat(20_000) };
  expect(taken({ op: 'append', entity: 'account:a', message: longId, depthMax: 0, begin: false })).toBeLessThan(60);
});

it('each try of a batch gets at least one deadline of a call, also of a batch of claims and releases, which carries nothing', () => {
  const size = new BatchSize();
  size.begin();
  size.add({ op: 'claim', entity: 'account:a' });
  size.add({ op: 'release', entity: 'account:b', fence: 1, handoff: true });
  expect(size.total).toBe(0);
  expect([0, 1, 20].map((failures) => patienceFor(size.total, failures))).toEqual([1, 1, 1]);
});

it('a batch takes what fills it to the last character', () => {
  const partChars = (1024 * 1024) / 16;
  const appendOf = (payload: string): SessionOp => ({
    ...{ op: 'append', entity: 'account:a', message: { ...message, payload }, depthMax: 0, begin: false },
  });
  const overhead = sizeOf({ ...message, payload: '' }) + 'account:a'.length + message.id.length;
  expect(taken(appendOf('x'.repeat(partChars - overhead)))).toBe(16);
  expect(taken(appendOf('x'.repeat(partChars - overhead + 1)))).toBe(15);
});
