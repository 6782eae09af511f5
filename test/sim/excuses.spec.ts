import { describe, expect, it } from 'vitest';
import { check } from '../../sim/checkers/check.js';
import { append, broken, end, final, healed, historyOf, move, ON1, ON2, type Raw, start } from './history.js';

const A = 'plain:a';
const F = 'fenced:f';

const paused = (leaseLeftMs: number): Raw[] => [
  append('c1', F, 1),
  move(F, 1, 'dispatched'),
  start('c1', F, 1),
  { kind: 'fault', ...ON1, fault: 'pause', phase: 'begin', leaseLeftMs, at: 100 },
  append('c2', F, 2),
  move(F, 1, 'interrupted'),
  { kind: 'letter', ...ON2, letter: '1', entity: F, id: 'id-c1', seq: 1, attempt: 1, reason: 'interrupted' },
  move(F, 2, 'dispatched'),
  { ...start('c2', F, 2, ON2), at: 2000 },
];

describe('what excuses a break of an invariant', () => {
  it('lets what the log had begun start after a loss of writes, and nothing begin again', () => {
    const loss: Raw = { kind: 'fault', node: 'store', incarnation: 0, fault: 'storeLoss', phase: 'once' };
    const begun = [append('c1', A, 1), move(A, 1, 'dispatched')];
    expect(broken([...begun, loss, start('c1', A, 1)])).toEqual([]);
    // Until a node that remembers the lost writes has closed the store, no other node can know.
    expect(broken([...begun, start('c1', A, 1), loss, start('c1', A, 1, ON2)])).toEqual([]);
    const closed = { ...loss, fault: 'storeClosed' } as Raw;
    expect(broken([...begun, start('c1', A, 1), loss, closed, start('c1', A, 1, ON2)])).toEqual([]);
    const again = move(A, 1, 'dispatched');
    expect(broken([...begun, start('c1', A, 1), loss, again, closed, start('c1', A, 1, ON2)])).toEqual([]);
    expect(broken([...begun, start('c1', A, 1), loss, closed, again, start('c1', A, 1, ON2)])).toEqual(['I1']);
    const replayed = [end(A, 1, ''), move(A, 1, 'failed'), append('c1', A, 2, { replayOf: '1' }), move(A, 2, 'dispatched')];
    expect(broken([...begun, start('c1', A, 1), ...replayed, loss, start('c1', A, 2)])).toEqual([]);
  });

  it('want everybody closed who lived through a loss of writes, and of those that came later all but who joined an empty store', () => {
    const loss = (note: string): Raw => ({
      kind: 'fault',
      node: 'store',
      incarnation: 0,
      fault: 'storeLoss',
      phase: 'once',
      note,
    });
    const joined: Raw = { kind: 'node', ...ON1, state: 'joined' };
    expect(broken([joined, loss('storeEmpty'), final()])).toEqual(['I4']);
    expect(broken([loss('storeEmpty'), joined, final()])).toEqual([]);
    expect(broken([loss('storeTail'), joined, final()])).toEqual(['I4']);
    const rememberedBy = (...nodes: string[]): Raw => ({ ...loss('storeTail'), rememberedBy: nodes }) as Raw;
    expect(broken([joined, rememberedBy(), final()])).toEqual([]);
    expect(broken([joined, rememberedBy('n1'), final()])).toEqual(['I4']);
    expect(broken([joined, rememberedBy('n2'), final()])).toEqual([]);
    const closed = { ...loss(''), fault: 'storeClosed' } as Raw;
    expect(broken([joined, rememberedBy('n2'), closed, final()])).toEqual(['I4']);
  });

  it('excuse an overlap only if the earlier node was paused past its lease', () => {
    const beyond = check(historyOf(paused(300)));
    expect(beyond.violations).toEqual([]);
    expect(beyond.excused).toMatchObject({ I2: 1 });
    expect(broken(paused(5000))).toEqual(['I2']);
  });

  it('excuse what a suspended machine starts as it wakes, and nothing that starts after any other pause', () => {
    const woken = (note: string, order: 'wake first' | 'start first' = 'wake first'): Raw[] => [
      append('c1', F, 1),
      move(F, 1, 'dispatched'),
      { kind: 'fault', ...ON1, fault: 'pause', phase: 'begin', leaseLeftMs: 300, note, at: 100 },
      append('c2', F, 2),
      move(F, 1, 'interrupted'),
      { kind: 'letter', ...ON2, letter: '1', entity: F, id: 'id-c1', seq: 1, attempt: 1, reason: 'interrupted' },
      move(F, 2, 'dispatched'),
      { ...start('c2', F, 2, ON2), fence: 2, at: 1500 } as Raw,
      ...(order === 'start first' ? [{ ...start('c1', F, 1), at: 1990 }] : []),
      { kind: 'fault', ...ON1, fault: 'pause', phase: 'end', note, at: 2000 },
      ...(order === 'wake first' ? [start('c1', F, 1)] : []),
    ];
    const suspended = check(historyOf(woken('suspended')));
    expect(suspended.violations).toEqual([]);
    expect(suspended.excused).toEqual({ I1: 1, I2: 1, I3: 1 });
    expect(broken(woken(''))).toEqual(['I1', 'I2', 'I3']);
    // It runs again before its pause is said to be over: who checks its lease starts nothing then either.
    expect(broken(woken('', 'start first'))).toEqual(['I1', 'I2', 'I3']);
  });

  it('count against a lease what its node slept, and for as long as its clock can be behind', () => {
    const fault = (phase: 'begin' | 'end', at: number, more: { leaseLeftMs?: number; note?: string } = {}): Raw => ({
      ...{ kind: 'fault', ...ON1, fault: 'pause', phase, at },
      ...more,
    });
    const overlap = (takenMs: number, laterMs: number, ...pauses: Raw[]): Raw[] => [
      ...[append('c1', F, 1), move(F, 1, 'dispatched'), start('c1', F, 1), ...pauses, append('c2', F, 2)],
      { ...move(F, 1, 'interrupted'), at: takenMs },
      { kind: 'own', ...ON2, entity: F, owner: 0, fence: 1, how: 'takeover' },
      { kind: 'letter', ...ON2, letter: '1', entity: F, id: 'id-c1', seq: 1, attempt: 1, reason: 'interrupted' },
      move(F, 2, 'dispatched'),
      { ...start('c2', F, 2, ON2), fence: 2, at: laterMs } as Raw,
    ];
    // Asleep for 250 of 400 ms, it believes in 390 more: 140 are left.
    const slept = [fault('begin', 100, { leaseLeftMs: 400, note: 'suspended' }), fault('end', 350, { note: 'suspended' })];
    const again = fault('begin', 360, { leaseLeftMs: 390 });
    expect(broken(overlap(560, 700, ...slept, again))).toEqual([]);
    expect(broken(overlap(560, 700, again))).toEqual(['I2']);
    // A beat since it woke: its lease is as long as it believes.
    expect(broken(overlap(860, 880, ...slept, fault('begin', 600, { leaseLeftMs: 449 })))).toEqual(['I2']);

    expect(broken(overlap(510, 700, ...slept))).toEqual([]);
    // Taken before its lease was over, or when its clock had to be right again.
    expect(broken(overlap(480, 700, ...slept))).toEqual(['I2']);
    expect(broken(overlap(860, 1400, ...slept))).toEqual(['I2']);
    const awake = [fault('begin', 100, { leaseLeftMs: 400 }), fault('end', 350)];
    expect(broken(overlap(510, 700, ...awake))).toEqual(['I2']);
  });

  it('excuse what waits behind a handler that never ends once it was reported, and behind no other one', () => {
    const blocked: Raw = { kind: 'blocked', ...ON1, entity: A };
    const left = (isEndless: boolean, ...more: Raw[]): Raw[] => [
      ...[append('c1', A, 1), move(A, 1, 'dispatched'), healed],
      { ...start('c1', A, 1), ...(isEndless && { isEndless: true }) } as Raw,
      ...more,
      final({ live: [[A, 1]], depth: 1, active: 1, at: 9000 }),
    ];
    expect(broken(left(false, blocked))).toEqual(['L1']);
    expect(broken(left(true))).toEqual(['L1']);
    const excused = check(historyOf(left(true, blocked)));
    expect(excused.violations).toEqual([]);
    expect(excused.excused).toEqual({ L1: 1 });
  });

  it('excuse what ignores its signal beyond the hold, and nothing that heeds it', () => {
    const events = paused(5000).filter((e) => e.kind !== 'fault');
    const aborted = (at: number): Raw[] => [
      ...events.slice(0, 3),
      { kind: 'abort', ...ON1, entity: F, seq: 1, attempt: 1, at },
      ...events.slice(3),
    ];
    expect(broken(aborted(1000))).toEqual([]);
    expect(broken(aborted(1800))).toEqual(['I2']);
  });
});
