import { describe, expect, it } from 'vitest';
import { linearizable } from '../../sim/checkers/bank.js';
import { check } from '../../sim/checkers/check.js';
import { fromLines, toLines } from '../../sim/history.js';
import {
  append,
  broken,
  claim,
  effect,
  end,
  FACTS,
  final,
  healed,
  historyOf,
  invoke,
  move,
  ON1,
  ON2,
  ok,
  type Raw,
  start,
  whole,
} from './history.js';

const A = 'plain:a';
const F = 'fenced:f';
const R = 'retried:r';

const good: Raw[] = [...whole('c1', A, 1, 5), ...whole('c2', A, 2, 10), healed, final({ balances: { [A]: 10 } })];
const twice = [...whole('c1', A, 1, 5), start('c1', A, 1, ON2), end(A, 1, '5', ON2)];

const letter = (entity: string, seq: number, number: string): Raw => ({
  ...{ kind: 'letter', ...ON1, letter: number, entity, id: `id-c${seq}`, seq, attempt: 1, reason: 'failed' },
});
const drop = (number: string, left: number, ageMs = 0): Raw => ({ kind: 'drop', ...ON1, letter: number, left, ageMs });
const dropping = (number: string): Raw => ({
  ...{ kind: 'reported', ...ON1, event: 'dropping-dead-letter', entity: A, id: '', letter: number },
});
const failed = (isRefusal: boolean, how: { noDeadLetter?: boolean }, seq = 1): Raw[] => [
  ...[append(`c${seq}`, A, seq), move(A, seq, 'dispatched'), start(`c${seq}`, A, seq)],
  { ...end(A, seq, ''), outcome: 'failed', ...(isRefusal && { isRefusal }) } as Raw,
  move(A, seq, 'failed', how),
];
const queried = (to: 'failed' | 'interrupted'): Raw[] => [
  ...[append('c1', A, 1, { isQuery: true }), move(A, 1, 'dispatched'), start('c1', A, 1)],
  move(A, 1, to, to === 'failed' ? { noDeadLetter: true } : {}),
];
const letters: Raw[] = [1, 2, 3].flatMap((seq) => [...failed(false, {}, seq), letter(A, seq, String(seq))]);

/** c1 failed, an operator replays it under its id as #2, and c1 asks again: after the replay, or before it. */
const replayed = (asksBefore: boolean, id: string, ...rest: Raw[]): Raw[] => {
  const again = invoke('c1', A);
  const replay = append('c1', A, 2, { id, replayOf: '1' });
  return [invoke('c1', A), ...failed(false, {}), letter(A, 1, '1'), ...(asksBefore ? [again, replay] : [replay, again]), ...rest];
};
const replayEnds: Raw[] = [
  ...[move(A, 2, 'dispatched'), start('c1', A, 2), end(A, 2, '7'), move(A, 2, 'completed', { result: '7' })],
];
const toldFailed: Raw = { kind: 'fail', ...ON1, call: 'c1', code: 'HANDLER_FAILED', definite: false, tookMs: 1 };

describe('the checkers', () => {
  it('know that an id stands for the newest replay', () => {
    expect(broken(replayed(false, 'id-c1', ...replayEnds, ok('c1', '7')))).toEqual([]);
    expect(broken(replayed(true, 'id-c1', ...replayEnds, ok('c1', '7')))).toEqual([]);
    expect(broken(replayed(true, 'id-c1', ...replayEnds, toldFailed))).toEqual([]);
  });

  it('accept a good history, also read back from its lines', () => {
    expect(broken(good)).toEqual([]);
    expect(check(fromLines(toLines(historyOf(good)))).violations).toEqual([]);
  });

  it('know a refusal, and dead letters that go past a limit', () => {
    expect(broken(failed(true, { noDeadLetter: true }))).toEqual([]);
    expect(broken([...letters, dropping('1'), drop('1', 2)])).toEqual([]);
    expect(broken([...letters, dropping('2'), drop('2', 2, 60_000)])).toEqual([]);
  });

  it('know that a query leaves no dead letter, whether it failed or was interrupted', () => {
    expect(broken(queried('failed'))).toEqual([]);
    expect(broken(queried('interrupted'))).toEqual([]);
  });

  it.each<[string, string, Raw[]]>([
    ['I1', 'a second start', twice],
    ['I1', 'a start without a begin', [append('c1', A, 1), start('c1', A, 1)]],
    ['I1', 'a begin after the end', [...whole('c1', A, 1, 5), move(A, 1, 'dispatched', { attempt: 2 })]],
    [
      'I1',
      'more begins than attempts',
      [append('c', R, 1), ...[1, 2, 3].map((attempt) => move(R, 1, 'dispatched', { attempt }))],
    ],
    [
      'I2',
      'an overlap',
      [
        append('c1', A, 1),
        append('c2', A, 2),
        move(A, 1, 'dispatched'),
        start('c1', A, 1),
        move(A, 1, 'completed'),
        move(A, 2, 'dispatched'),
        start('c2', A, 2, ON2),
      ],
    ],
    ['I2f', 'an effect of a lower fence', [effect(F, 1, 2, true), effect(F, 2, 1, true)]],
    ['I2f', 'a fence that falls', [claim(F, 1, 5), claim(F, 2, 4)]],
    ['I2f', 'a fence that two owners get', [claim(F, 1, 5), claim(F, 2, 5)]],
    ['I2f', 'the newest owner refused', [claim(F, 1, 5), effect(F, 1, 5, false)]],
    ['I3', 'a begin before the head', [append('c1', A, 1), append('c2', A, 2), move(A, 2, 'dispatched')]],
    [
      'I3',
      'a begin beside a running one',
      [append('c1', A, 1), append('c2', A, 2), move(A, 1, 'dispatched'), move(A, 2, 'dispatched')],
    ],
    ['I4', 'two ends', [...whole('c1', A, 1, 5), move(A, 1, 'withdrawn')]],
    ['I4', 'a message that is gone', [append('c1', A, 1), final()]],
    [
      'I4',
      'no dead letter',
      [append('c1', A, 1), move(A, 1, 'dispatched'), start('c1', A, 1), end(A, 1, ''), move(A, 1, 'failed')],
    ],
    ['I4', 'a fault that is logged as a refusal', failed(false, { noDeadLetter: true })],
    ['I4', 'a refusal that is logged as a fault', [...failed(true, {}), letter(A, 1, '1')]],
    ['I4', 'a dead letter of a refusal', [...failed(true, { noDeadLetter: true }), letter(A, 1, '1')]],
    ['I4', 'a dead letter of a query that failed', [...queried('failed'), letter(A, 1, '1')]],
    ['I4', 'a dead letter of a query that was interrupted', [...queried('interrupted'), letter(A, 1, '1')]],
    ['I4', 'a dead letter that goes while there is room', [...letters, drop('1', 2), drop('2', 1)]],
    ['I4', 'a younger dead letter that goes before the oldest', [...letters, drop('2', 2)]],
    ['I4', 'a receipt for nothing', [{ kind: 'ok', ...ON1, call: 'c9', id: 'x', seq: 1, tookMs: 1 }]],
    ['I4', 'a send that was not logged', whole('c1', A, 1, 5).map((e) => (e.kind === 'end' ? { ...e, sends: 1 } : e))],
    ['I5', 'success for what did not complete', [invoke('c1', A), append('c1', A, 1), ok('c1', '5')]],
    ['I5', 'another result', [...whole('c1', A, 1, 5).slice(0, -1), ok('c1', '6')]],
    [
      'I5',
      'a rejected call in the log',
      [
        invoke('c1', A),
        { kind: 'fail', ...ON1, call: 'c1', code: 'STORE_UNAVAILABLE', definite: true, tookMs: 1 },
        append('c1', A, 1),
      ],
    ],
    [
      'I5',
      'a definite timeout of what ran',
      [
        ...whole('c1', A, 1, 5).slice(0, -1),
        { kind: 'fail', ...ON1, call: 'c1', code: 'REPLY_TIMEOUT', definite: true, tookMs: 1 },
      ],
    ],
    ['I5', 'the result of a replay before its end', replayed(false, 'id-c1', ok('c1', '7'), ...replayEnds)],
    ['I5', 'another result than that of the replay', replayed(false, 'id-c1', ...replayEnds, ok('c1', '8'))],
    ['I5', 'the result of a replay under another id', replayed(false, 'replay-1', ...replayEnds, ok('c1', '7'))],
    ['I5', 'the former end to who asked after the replay', replayed(false, 'id-c1', ...replayEnds, toldFailed)],
    ['I5', 'one call twice in the log', [append('c1', A, 1), append('c1', A, 2)]],
    ['I5', 'a withdrawal of what runs', [append('c1', A, 1), move(A, 1, 'dispatched'), move(A, 1, 'withdrawn')]],
    [
      'I6',
      'two masters of one epoch',
      [1, 2].map((n) => ({ kind: 'epoch', node: `n${n}`, incarnation: n, group: 'g', epoch: 3, what: 'lead' }) as Raw),
    ],
    [
      'I6',
      'a lower epoch accepted',
      [4, 3].map((epoch) => ({ kind: 'epoch', ...ON1, group: 'g', epoch, what: 'accept' }) as Raw),
    ],
    ['I7', 'a queue above its limit', [append('c1', A, 1, { depth: 4 })]],
    ['I7', 'a log above its limit', [append('c1', A, 1, { total: 11 })]],
    ['I7', 'a counter that is not back', [...whole('c1', A, 1, 5), final({ depth: 1, balances: { [A]: 5 } })]],
    [
      'I7',
      'timers that are left',
      [final({ nodes: [{ node: 'n1', state: 'running', running: 0, waiting: 0, timers: 99, owned: 0 }] })],
    ],
    ['L1', 'a message that never ends', [append('c1', A, 1), healed, final({ live: [[A, 1]], depth: 1, active: 1, at: 9000 })]],
    [
      'L1',
      'a node that does not come back',
      [healed, final({ nodes: [{ node: 'n1', state: 'rejoining', running: 0, waiting: 0, timers: 1, owned: 0 }] })],
    ],
    [
      'L2',
      'a promise that settles late',
      [invoke('c1', A), { kind: 'unknown', ...ON1, call: 'c1', code: 'REPLY_TIMEOUT', tookMs: 1500 }],
    ],
    ['L2', 'a promise that never settles', [invoke('c1', A), final({ at: 9000 })]],
    ['L3', 'a probe that waits for others', [invoke('p', A, { probe: true }), append('p', A, 1), { ...ok('p', '5'), at: 4000 }]],
    ['bank', 'a lost update', [...whole('c1', F, 1, 5), ...whole('c2', F, 2, 5), final({ balances: { [F]: 5 } })]],
    ['defect', 'something unhandled', [{ kind: 'defect', ...ON1, what: 'boom' }]],
  ])('%s: reject %s', (id, _what, events) => {
    expect(broken(events)).toContain(id);
  });

  it('want promptness only where nothing is wrong and a slot is free', () => {
    const calm = { ...FACTS, calmAfterJoinMs: 0, concurrentHandlersMax: 1 };
    const found = (...events: Raw[]): string[] => check(historyOf(events, calm)).violations.map((v) => v.invariant);
    const begun = (call: string, entity: string, seq: number, at: number): Raw[] => [
      { ...move(entity, seq, 'dispatched'), at },
      start(call, entity, seq),
    ];
    const waits = [append('c1', A, 1), ...begun('c1', A, 1, 200)];
    expect(found(...waits)).toEqual(['L4']);
    expect(broken(waits)).toEqual([]);
    expect(found(append('c1', A, 1), ...begun('c1', A, 1, 40))).toEqual([]);
    // Its node had no free slot meanwhile.
    const busy = [append('c1', F, 1), move(F, 1, 'dispatched'), start('c1', F, 1)];
    const free = [end(F, 1, '5'), move(F, 1, 'completed', { result: '5' })];
    expect(found(...busy, append('c2', A, 2), { ...free[0], at: 190 } as Raw, free[1] as Raw, ...begun('c2', A, 2, 200))).toEqual(
      [],
    );
    // What waits for its next attempt does so until then, and no longer if it is withdrawn.
    const facts = { ...calm, types: { ...calm.types, retried: { ...calm.types.retried, backoffMs: 300 } } };
    const retried = [
      append('c1', R, 1),
      ...begun('c1', R, 1, 10),
      { ...end(R, 1, ''), outcome: 'failed' } as Raw,
      append('c2', R, 2),
    ];
    const again = [...retried, { ...move(R, 1, 'enqueued'), at: 20 }];
    const isLate = (...events: Raw[]): boolean =>
      check(historyOf([...again, ...events], facts as never)).violations.some((v) => v.invariant === 'L4');
    expect(isLate(...begun('c1', R, 1, 330))).toBe(false);
    expect(isLate(...begun('c1', R, 1, 400))).toBe(true);
    const withdrawn = { ...move(R, 1, 'withdrawn'), from: 'enqueued', at: 100 } as Raw;
    expect(isLate(withdrawn, ...begun('c2', R, 2, 300))).toBe(true);
    expect(isLate(withdrawn, ...begun('c2', R, 2, 140))).toBe(false);
    const late = { ...ok('c1', '5'), at: 100 };
    expect(found(invoke('c1', A), ...whole('c1', A, 1, 5).slice(1, -1), late)).toEqual(['L4']);
    expect(found(invoke('c1', A), invoke('c1', A, {}, ON2), ...whole('c1', A, 1, 5).slice(1, -1), late)).toEqual([]);
  });

  it('want a note of each late end, true to it, and no replay that passes over one', () => {
    const ended = (outcome: string): Raw[] => [
      ...[append('c1', F, 1), move(F, 1, 'dispatched'), start('c1', F, 1), move(F, 1, 'interrupted')],
      { kind: 'letter', ...ON2, letter: '1', entity: F, id: 'id-c1', seq: 1, attempt: 1, reason: 'interrupted' },
      { ...end(F, 1, ''), outcome } as Raw,
    ];
    const note = (outcome: 'completed' | 'failed' | 'not-run'): Raw =>
      ({ kind: 'late', ...ON1, entity: F, seq: 1, attempt: 1, of: 1, outcome }) as Raw;
    const isFalse = (...events: Raw[]): boolean => broken([...events, healed, final()]).includes('I5');
    expect(isFalse(...ended('completed'), note('completed'))).toBe(false);
    expect(isFalse(...ended('completed'))).toBe(true);
    expect(isFalse(...ended('completed'), note('failed'))).toBe(true);
    expect(isFalse(...ended('failed'), note('not-run'))).toBe(true);
    expect(isFalse(...ended('completed').slice(0, -1), note('completed'))).toBe(true);
    const replay = (isForced: boolean): Raw => append('c1', F, 2, { replayOf: '1', ...(isForced && { isForced }) });
    expect(isFalse(...ended('completed'), note('completed'), replay(false))).toBe(true);
    expect(isFalse(...ended('completed'), note('completed'), replay(true))).toBe(false);
    expect(isFalse(...ended('failed'), note('failed'), replay(false))).toBe(false);
  });

  it('want a term to end, a retry to wait, and nothing left at rest', () => {
    const epoch = (what: 'lead' | 'again' | 'overdue', at?: number): Raw =>
      ({ kind: 'epoch', ...ON1, group: 'g', epoch: 1, what, ...(at === undefined ? {} : { at }) }) as Raw;
    expect(broken([epoch('lead')])).toEqual([]);
    expect(broken([epoch('lead'), epoch('again')])).toEqual(['I6']);
    expect(broken([epoch('lead'), epoch('overdue')])).toEqual(['I6']);
    const asleep: Raw = { kind: 'fault', ...ON1, fault: 'pause', phase: 'begin', note: 'suspended', leaseLeftMs: 300 };
    expect(broken([epoch('lead'), asleep, epoch('overdue')])).toEqual([]);
    const facts = { ...FACTS, types: { ...FACTS.types, retried: { ...FACTS.types.retried, backoffMs: 300 } } };
    const retried = (at: number): Raw[] => [
      ...[append('c1', R, 1), move(R, 1, 'dispatched'), { ...move(R, 1, 'enqueued'), from: 'dispatched', at: 10 } as Raw],
      { ...move(R, 1, 'dispatched', { attempt: 2 }), at },
    ];
    const found = (...events: Raw[]): string[] => check(historyOf(events, facts as never)).violations.map((v) => v.invariant);
    expect(found(...retried(200))).toEqual(['I7']);
    expect(found(...retried(310))).toEqual([]);
    const node = { node: 'n1', state: 'running', running: 0, waiting: 0, timers: 1, owned: 0 };
    const store = { members: 1, unwilling: 0, sessions: 1, idleRecords: 0, overdue: 0, led: ['g'] };
    const rest = (of: object, more: object = {}): string[] =>
      broken([final({ nodes: [node], groups: ['g'], store: { ...store, ...of }, ...more })]);
    expect(rest({})).toEqual([]);
    for (const wrong of [{ unwilling: 1 }, { members: 2 }, { sessions: 2 }, { idleRecords: 1 }, { overdue: 1 }])
      expect(rest(wrong)).toEqual(['I7']);
    expect(broken([healed, final({ nodes: [node], groups: ['g'], store: { ...store, led: [] } })])).toEqual(['L1']);
    for (const wrong of [{ owned: 1 }, { timers: 9 }, { holds: { 'Replies.waiters': 1 } }, { holds: { 'View.members': 9 } }])
      expect(rest({}, { nodes: [{ ...node, ...wrong }] })).toEqual(['I7']);
    expect(rest({}, { nodes: [{ ...node, holds: { 'View.members': 1 } }] })).toEqual([]);
  });

  it('know a refusal that nothing asked for', () => {
    const outcome = (code: string, more: object = {}): Raw =>
      ({ kind: 'fail', ...ON1, call: 'c9', code, definite: true, tookMs: 1, ...more }) as Raw;
    const full = [1, 2, 3].map((seq) => append(`c${seq}`, A, seq, { depth: seq, total: seq }));
    expect(broken([...full, invoke('c9', A), outcome('QUEUE_DEPTH_EXCEEDED')])).toEqual([]);
    expect(broken([...full.slice(1), invoke('c9', A), outcome('QUEUE_DEPTH_EXCEEDED')])).toEqual(['L5']);
    expect(broken([...full.slice(1), invoke('c9', A), full[0] as Raw, outcome('QUEUE_DEPTH_EXCEEDED')])).toEqual([]);
    const facts = { ...FACTS, workersMax: 2, calmAfterJoinMs: 0 };
    const calm = (...events: Raw[]): string[] => check(historyOf(events, facts)).violations.map((v) => v.invariant);
    expect(calm(append('c1', F, 1), invoke('c9', A), outcome('WORKER_LIMIT_EXCEEDED'))).toEqual(['L5']);
    expect(calm(append('c1', F, 1), append('c2', R, 1), invoke('c9', A), outcome('WORKER_LIMIT_EXCEEDED'))).toEqual([]);
    const waiting = invoke('c9', A, { timeoutMs: 500 });
    const over = (elapsedMs: number): Raw => outcome('REPLY_TIMEOUT', { kind: 'unknown', definite: undefined, elapsedMs });
    expect(broken([waiting, over(400)])).toEqual(['L5']);
    expect(broken([waiting, over(500)])).toEqual([]);
    const ended = whole('c9', A, 1, 5).slice(1, -1);
    expect(calm(waiting, ...ended, { ...over(500), at: 300 } as Raw)).toEqual(['L5']);
    expect(calm(waiting, { ...over(500), at: 300 } as Raw, ...ended)).toEqual([]);
    expect(calm(waiting, outcome('STORE_UNAVAILABLE'))).toEqual(['L5']);
    expect(calm({ kind: 'node', ...ON1, state: 'suspended' })).toEqual(['L5']);
    expect(broken([{ kind: 'node', ...ON1, state: 'suspended' }, waiting, outcome('STORE_UNAVAILABLE')])).toEqual([]);
  });

  it('know a call that fails while no fault is near', () => {
    const disturbedMs = [[100, 200]] as const;
    const ids = (fromMs: number, toMs: number): string[] => {
      const events = [
        { ...invoke('c9', A), at: fromMs },
        { kind: 'unknown', ...ON1, call: 'c9', code: 'OUTCOME_UNKNOWN', tookMs: 1, at: toMs },
      ];
      return check(historyOf(events as Raw[], { ...FACTS, disturbedMs })).violations.map(({ invariant }) => invariant);
    };
    expect([ids(10, 90), ids(210, 300)]).toEqual([['L5'], ['L5']]);
    for (const [fromMs, toMs] of [
      [50, 100],
      [150, 160],
      [200, 300],
      [50, 300],
    ] as const)
      expect(ids(fromMs, toMs)).toEqual([]);
  });

  it('want every lease kept where only the links are thin', () => {
    const lost: Raw = { kind: 'node', ...ON1, state: 'lease-lost', why: 'no step got through' };
    expect(broken([lost])).toEqual([]);
    expect(check(historyOf([lost], { ...FACTS, keepsLeases: true })).violations.map((v) => v.invariant)).toEqual(['L5']);
  });
});

describe('linearizability', () => {
  const op = (from: number, to: number, result: number | undefined) => ({ op: 'deposit', amount: 5, from, to, result }) as const;

  it('finds an order for operations that overlap', () => {
    expect(linearizable([op(0, 10, 10), op(1, 9, 5)], 10)).toBe('valid');
  });

  it('keeps to the windows', () => {
    expect(linearizable([op(0, 3, 10), op(5, 9, 5)], 10)).toBe('invalid');
  });

  it('counts an interrupted one if the account says that it has written, and only then', () => {
    const interrupted = (...effects: Raw[]): Raw[] => [
      ...[append('c1', F, 1), move(F, 1, 'dispatched'), start('c1', F, 1), ...effects],
      { ...end(F, 1, ''), outcome: 'failed' } as Raw,
      move(F, 1, 'interrupted'),
      { kind: 'letter', ...ON2, letter: '1', entity: F, id: 'id-c1', seq: 1, attempt: 1, reason: 'interrupted' },
      { kind: 'late', ...ON1, entity: F, seq: 1, attempt: 1, of: 1, outcome: 'failed' },
    ];
    const write = { ...effect(F, 1, 1, true), balance: 5 } as Raw;
    const next = (balance: number): Raw[] => [...whole('c2', F, 2, balance), healed, final({ balances: { [F]: balance } })];
    expect(broken([...interrupted(write), ...next(10)])).toEqual([]);
    expect(broken([...interrupted(write), ...next(5)])).toEqual(['bank']);
    expect(broken([...interrupted(), ...next(5)])).toEqual([]);
    expect(broken([...interrupted(), ...next(10)])).toEqual(['bank']);
    expect(broken([...interrupted({ ...effect(F, 1, 1, false), balance: 5 } as Raw), ...next(10)])).toContain('bank');
  });
});
