import { describe, expect, it } from 'vitest';
import { assemble } from '../../chaos/assemble.js';
import { Readings } from '../../chaos/clock.js';
import { ASLEEP } from '../../chaos/faults.js';
import { judge } from '../../chaos/judge.js';
import { parseMonitorLine } from '../../chaos/monitor.js';
import { timelineHtml } from '../../chaos/report/timeline.js';
import { interrupts, keepLease, losesLease, noneInterrupted, saw, slows, suspends } from '../../chaos/scenarios/scenario.js';
import { SCENARIOS } from '../../chaos/scenarios/scenarios.js';
import { RECOVERY_MS_MAX } from '../../chaos/settings.js';
import type { HistoryEvent } from '../../sim/history.js';
import { append, final, healed, historyOf, invoke, move, ok, type Raw, start, whole } from '../sim/history.js';

const A = 'plain:a';

/** What was accepted before the heal ends `endMs` after it. */
const healedRun = (endMs: number): Raw[] => [
  ...whole('m1', A, 1, 5),
  append('m2', A, 2),
  invoke('m2', A, { how: 'enqueue' }),
  { kind: 'ok', node: 'n1', incarnation: 1, call: 'm2', seq: 2, tookMs: 1 },
  { ...healed, at: 1000 },
  ...whole('m3', 'plain:b', 3, 5),
  { ...move(A, 2, 'dispatched'), at: 1000 + endMs - 2 },
  start('m2', A, 2),
  { ...move(A, 2, 'completed', { result: '10', sends: [] }), at: 1000 + endMs },
  { ...final({ balances: { [A]: 10, 'plain:b': 5 } }), at: 1000 + endMs + 1 },
];

describe('a history', () => {
  it('is valid when everything ends in time, and says how long that took and what callers were told', () => {
    const judgement = judge(historyOf(healedRun(700)));
    expect(judgement.violations).toEqual([]);
    expect(judgement).toMatchObject({ verdict: 'valid', messages: 3, ok: 3, unknown: 0, recoveredMs: 700, clockSlackMs: 1 });
    expect(judgement.log.completed).toBe(3);
  });

  it('is invalid when it recovers too late', () => {
    const { verdict, violations } = judge(historyOf(healedRun(RECOVERY_MS_MAX + 1)));
    expect(verdict).toBe('invalid');
    expect(violations.map((v) => v.invariant)).toContain('L1');
  });

  it('is invalid when a node serves nobody after the heal', () => {
    const events = historyOf(healedRun(700)).filter((e) => !(e.kind === 'ok' && e.call === 'm3'));
    expect(judge(events)).toMatchObject({ verdict: 'invalid', recoveredMs: null });
  });

  it('is invalid when the fault has led to nothing', () => {
    const { verdict, violations } = judge(historyOf(healedRun(700)), [interrupts]);
    expect(verdict).toBe('invalid');
    expect(violations).toEqual([{ invariant: 'scenario', what: 'not so: a handler was interrupted', index: 0 }]);
  });

  it('is invalid when the node that the fault was aimed at has lost its lease, whoever else has', () => {
    const lost: Raw = { kind: 'node', node: 'n3', incarnation: 3, state: 'lease-lost' };
    const events = historyOf([lost, ...healedRun(700)]);
    const missed = (...must: Parameters<typeof judge>[1] & object): string[] => judge(events, must).violations.map((v) => v.what);
    expect(missed(noneInterrupted, keepLease('n1', 'n2'), losesLease('n3'))).toEqual([]);
    expect(missed(keepLease('n2', 'n3'), losesLease('n1'))).toEqual([
      'not so: n2, n3 kept the lease',
      'not so: n1 lost its lease',
    ]);
    expect(judge(events)).toMatchObject({ leasesLost: 1, leaseLosers: ['n3'] });
  });

  it('tells what a fault did to those that it was to slow down or to suspend, and what was seen of it', () => {
    const fault = (phase: 'begin' | 'end' | 'once', more: object = {}): Raw => ({
      ...{ kind: 'fault', node: 'n1', incarnation: 0, fault: 'slow', phase, ...more },
    });
    const call = (name: string, tookMs: number, how: 'enqueue' | 'wait' = 'wait'): Raw[] => [
      invoke(name, 'plain:c', { how }),
      { kind: 'ok', node: 'n1', incarnation: 1, call: name, seq: 1, tookMs },
    ];
    const slow = [
      ...call('a', 5),
      fault('begin'),
      ...call('b', 90),
      ...call('r', 1, 'enqueue'),
      ...call('s', 1, 'enqueue'),
      ...call('c', 100),
      ...call('d', 200),
      fault('end'),
      ...call('e', 6),
    ];
    const suspended: Raw = { kind: 'node', node: 'n1', incarnation: 1, state: 'suspended' };
    const judgement = judge(historyOf([...slow, suspended, fault('once', { fault: 'it', note: 'seen' })]));
    const holds = [slows(100), slows(101), suspends, saw('it'), saw('else')].map((m) => m.holds(judgement));
    expect(holds).toEqual([true, false, true, true, false]);
  });

  it('is invalid when a caller is told what the log does not say', () => {
    const events = historyOf(healedRun(700).map((e) => (e.kind === 'ok' && e.call === 'm3' ? ok('m3', '6') : e)));
    expect(judge(events).violations.map((v) => v.invariant)).toEqual(['I5']);
  });

  it('is put together in the order of time, and counts what a node was paused for in no call', () => {
    const event = (atMs: number, more: object): HistoryEvent =>
      ({ index: 0, atMs, node: 'n1', incarnation: 1, ...more }) as never;
    const run = historyOf([])[0] as HistoryEvent;
    const node = [event(100, { kind: 'invoke', call: 'a' }), event(2000, { kind: 'ok', call: 'a', tookMs: 1900 })];
    const harness = [
      run,
      event(500, { kind: 'fault', fault: 'pause', phase: 'begin' }),
      event(1500, { kind: 'fault', fault: 'pause', phase: 'end' }),
    ];
    const events = assemble([harness, node]);
    expect(events.map((e) => e.kind)).toEqual(['run', 'invoke', 'fault', 'fault', 'ok']);
    expect(events.map((e) => e.index)).toEqual([0, 1, 2, 3, 4]);
    expect(events.at(-1)).toMatchObject({ tookMs: 900 });
  });

  it('has a start where its lease was checked, if the process was stopped between the two, and only then', () => {
    const event = (atMs: number, more: object): HistoryEvent =>
      ({ index: 0, atMs, node: 'n1', incarnation: 1, entity: 'plain:a', seq: 1, attempt: 1, ...more }) as never;
    const run = historyOf([])[0] as HistoryEvent;
    const stop = (phase: string, atMs: number): HistoryEvent => event(atMs, { kind: 'fault', fault: 'pause', phase });
    const startAt = (begunMs: number, ...told: HistoryEvent[]): number | undefined => {
      const store = [event(begunMs, { kind: 'transition', to: 'dispatched' })];
      const harness = [run, stop('begin', 500), ...asleep, stop('end', 1500)];
      return assemble([harness, store, told]).find((e) => e.kind === 'start')?.atMs;
    };
    let asleep: HistoryEvent[] = [];
    const start = (): HistoryEvent => event(1501, { kind: 'start' });
    expect(startAt(499.5, start())).toBe(500);
    expect(startAt(500.4, start())).toBe(500.4);
    // Begun while it slept, or so long before that the answer was waiting; or something else came first when it woke.
    expect(startAt(600, start())).toBe(1501);
    expect(startAt(490, start())).toBe(1501);
    expect(startAt(499.5, event(1500.5, { kind: 'abort' }), start())).toBe(1501);
    // A container takes a while to freeze.
    asleep = [event(525, { kind: 'fault', fault: ASLEEP, phase: 'once' })];
    expect(startAt(520, start())).toBe(520);
    expect(startAt(530, start())).toBe(1501);
    expect(startAt(490, start())).toBe(1501);
  });

  it('becomes a page with its faults, and with what was violated', () => {
    const scenario = SCENARIOS[0];
    if (scenario === undefined) throw new Error('there are no scenarios');
    const fault = { kind: 'fault', node: 'n<1>', incarnation: 0, fault: 'link & all', phase: 'begin' } as const;
    const events = historyOf([fault, ...healedRun(RECOVERY_MS_MAX + 1)]);
    const page = timelineHtml(scenario, events, judge(events));
    expect(page).toContain('<svg');
    expect(page).toContain('link &#38; all n&#60;1&#62;');
    expect(page).toContain('<li>L1');
  });
});

it('a line of MONITOR keeps every byte of its arguments', () => {
  const line = '+1795763568.628500 [0 lua] "HSET" "aq:{0}:meta" "" "a\\"b\\\\" "A\\x1fx\\x1e\\xc3\\xa9\\n"';
  expect(parseMonitorLine(line)).toEqual({
    wallMs: 1795763568628.5,
    isLua: true,
    args: ['HSET', 'aq:{0}:meta', '', 'a"b\\', 'A\x1fx\x1eé\n'],
  });
  expect(parseMonitorLine('+1.5 [0 127.0.0.1:1] "echo" "x"')?.isLua).toBe(false);
  expect(parseMonitorLine('+OK')).toBeUndefined();
});

describe('the wall clock', () => {
  const offsets = (first: number, ...rest: readonly (readonly [wallMs: number, offsetMs: number])[]): Readings => {
    const readings = new Readings({ wallMs: 1000, offsetMs: first });
    for (const [wallMs, offsetMs] of rest) readings.take({ wallMs, offsetMs });
    return readings;
  };

  it('is converted by the least late reading of some seconds', () => {
    const readings = offsets(40, [2000, 37.5], [3000, 39.99], [60_000, 40.1]);
    expect(readings.offsetAt(2500)).toBe(40);
    expect(readings.offsetAt(59_000)).toBe(40.1);
    expect(readings.offsetAt(90_000)).toBe(40.1);
  });

  it('may be read late once, and not be set, ahead or back', () => {
    expect(offsets(40, [2000, 10], [3000, 39.9], [4000, 10]).offsetAt(3000)).toBe(40);
    const wasSet = /the wall clock was set/;
    expect(() => offsets(40, [2030, 70])).toThrow(wasSet);
    expect(() => offsets(40, [1970, 10], [2970, 10])).toThrow(wasSet);
    expect(() => offsets(3_600_000, [2000 - 3_600_000, 0], [3000 - 3_600_000, 0])).toThrow(wasSet);
  });
});
