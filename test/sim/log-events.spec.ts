import { expect, it } from 'vitest';
import { type LogEvent, LogEvents } from '../../sim/log-events.js';
import type { NewMessage, SessionOp } from '../../src/core/log/operations.js';

const BY = { node: 'n1', incarnation: 1 };
const message = (id: string): NewMessage => ({
  ...{ id, given: false, digest: '', name: 'Do', payload: `{"c":"${id}"}`, headers: '', chain: '' },
  ...{ waiter: 0, replayOf: '' },
});
const append = (entity: string, id: string): SessionOp => ({
  ...{ op: 'append', entity, message: message(id), depthMax: 0, begin: true },
});
const finish = (entity: string, sends: readonly string[] = []): SessionOp => ({
  ...{ op: 'finish', entity, fence: 1, seq: 1, attempt: 1, next: -1 },
  outcome: { state: 'completed', result: '', error: '' },
  sends: sends.map((target) => ({ entity: target, message: message(`to ${target}`), depthMax: 0 })),
});

it('counts step by step: what a later step of the batch ends is still there at an earlier one', () => {
  const events: LogEvent[] = [];
  const log = new LogEvents((event) => events.push(event), { fenceOf: () => 1, workersMax: () => 2 });
  const begun = { ok: true, seq: 1, depth: 1, begun: true } as never;
  log.step(BY, append('plain:a', 'm1'), begun);
  log.step(BY, append('plain:b', 'm2'), begun);
  // Seed 6486 of the simulator: the send to b was told as the one that made b active, since b's own message ended in the batch.
  log.step(BY, finish('plain:a', ['plain:b']), { ok: true, sent: [{ seq: 2 }] } as never);
  log.step(BY, finish('plain:b'), { ok: true, sent: [] } as never);
  const counts = events.flatMap((e) => (e.kind === 'append' ? [[e.depth, e.total, e.active]] : []));
  expect(counts).toEqual([
    [1, 1, 1],
    [1, 2, 2],
    [2, 2, 1],
  ]);
  log.goOnFrom(new Map([['plain:c', 3]]));
  log.step(BY, append('plain:c', 'm3'), { ok: true, seq: 4, depth: 4 } as never);
  expect(events.at(-1)).toMatchObject({ kind: 'append', depth: 4, total: 4, active: 1 });
});
