import { describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { generationsOf } from '../../sim/checkers/generations.js';
import { REOPENING } from '../../sim/faults/reopening.js';
import { runPlan } from '../../sim/run.js';
import { drawPlan } from '../../sim/swarm.js';
import { append, broken, claim, final, healed, invoke, ON1, ON2, ok, type Raw, start, whole } from './history.js';

const A = 'plain:a';
const reopened: Raw = { kind: 'fault', node: 'store', incarnation: 0, fault: 'reopened', phase: 'once', former: ['n1'] };
const exited: Raw = { kind: 'node', ...ON1, state: 'exited' };
const on2 = (events: readonly Raw[]): Raw[] => events.map((event) => ({ ...event, ...ON2 }));
const lost: Raw = { kind: 'node', ...ON1, state: 'store-lost' };

describe('a store that is emptied and used again', () => {
  it('is drawn for some seeds, and each node that lives on from before notices', () =>
    inMacrotask((drain) => {
      const seeds = Array.from({ length: 300 }, (_, i) => i + 1);
      const plans = seeds
        .map((seed) => drawPlan(seed))
        .filter(({ faults }) => faults.some(({ kind }) => kind === REOPENING.kind));
      expect(plans.length).toBeGreaterThan(2);
      expect(plans.length).toBeLessThan(20);
      const results = plans.slice(0, 3).map((plan) => runPlan(plan, { drain }));
      for (const { verdict } of results) expect(verdict.violations).toEqual([]);
      const parts = results.map(({ history }) => generationsOf(history)).filter((part) => part !== undefined);
      expect(parts.length).toBeGreaterThan(0);
      for (const { former, left } of parts) {
        expect(former.some((e) => e.kind === 'node' && e.state === 'store-lost')).toBe(true);
        expect(left.size).toBe(0);
      }
    }));

  it('has a history of its own, in which sequences and calls begin again', () => {
    expect(
      broken([
        ...whole('c1', A, 1, 5),
        reopened,
        lost,
        exited,
        ...on2(whole('c1', A, 1, 5)),
        healed,
        final({ balances: { [A]: 5 } }),
      ]),
    ).toEqual([]);
    // As one history that is a second start of one message.
    expect(broken([...whole('c1', A, 1, 5), ...on2(whole('c1', A, 1, 5))])).toContain('I1');
  });

  it('is judged like any other before and after that', () => {
    const twice = [...whole('c1', A, 1, 5), start('c1', A, 1)];
    expect(broken([...twice, reopened, exited])).toContain('I1');
    expect(broken([reopened, exited, ...on2(twice)])).toContain('I1');
    // What a process of before still does is one history with what it did.
    expect(broken([...whole('c1', A, 1, 5), reopened, start('c1', A, 1), exited])).toContain('I1');
  });

  it('gets nothing from a process that has joined it before, which notices', () => {
    expect(broken([reopened, lost, exited])).toEqual([]);
    expect(broken([reopened, claim(A, 1, 1), exited])).toEqual(['I4']);
    expect(broken([reopened, append('c1', A, 1), exited])).toEqual(['I4']);
    expect(broken([reopened, lost])).toEqual(['I4']);
    expect(broken([reopened, exited, { ...lost, ...ON2 }])).toEqual(['I4']);
    const closed = { kind: 'fault', node: 'store', incarnation: 0, fault: 'storeClosed', phase: 'once' } as const;
    expect(broken([reopened, exited, closed])).toEqual(['I4']);
    // The same node is a member of the present store once it has been started again.
    expect(broken([reopened, exited, ...whole('c1', A, 1, 5)])).toEqual([]);
  });

  it('finds the call of an answer by its index, in the part that has it', () => {
    const invoked = 3;
    const failed: Raw = {
      kind: 'fail',
      ...ON1,
      call: 'c1',
      code: 'REPLY_TIMEOUT',
      definite: false,
      tookMs: 1,
      elapsedMs: 1,
      invoked,
    };
    expect(broken([reopened, exited, invoke('c1', A, { timeoutMs: 100 }), failed])).toEqual(['L5']);
    expect(broken([reopened, exited, invoke('c1', A), ok('c1', '5')])).not.toContain('L5');
  });
});
