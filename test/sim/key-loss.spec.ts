import { beforeAll, describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { check } from '../../sim/checkers/check.js';
import { KEY_LOSS, withKeyLoss } from '../../sim/faults/key-loss.js';
import { STORE_LOSSES } from '../../sim/faults/link-faults.js';
import { runPlan } from '../../sim/run.js';
import { loadStore } from '../../sim/store-adapter.js';
import { drawPlan } from '../../sim/swarm.js';
import { append, historyOf, invoke, move, ON1, ON2, type Raw } from './history.js';

const E = 'plain:1';
const LOST = /keyLost/;

beforeAll(() => loadStore('lua'));

const losesKey = (seed: number): boolean => drawPlan(seed, { store: 'lua' }).faults.some(({ kind }) => kind === KEY_LOSS.kind);

/** Plays that seed with the loss of that key, as a whole if no field is named, 4 s after its start. */
function played(seed: number, amount: number, drain: () => void) {
  const { faults, ...plan } = drawPlan(seed, { store: 'lua' });
  const kept = faults.filter(({ kind }) => !LOST.test(kind) && !STORE_LOSSES.some((loss) => loss.kind === kind));
  const lost = { atMs: 4000, forMs: 0, kind: KEY_LOSS.kind, amount };
  return runPlan({ ...plan, faults: [...kept, lost].sort((a, b) => a.atMs - b.atMs) }, { drain });
}

describe('the loss of a key', () => {
  it('is drawn for some seeds of the scripts, and for none of the core', () => {
    const seeds = Array.from({ length: 600 }, (_, i) => i + 1);
    const hit = seeds.filter(losesKey);
    expect(hit.length / seeds.length).toBeGreaterThan(0.05);
    expect(hit.length / seeds.length).toBeLessThan(0.15);
    const plan = drawPlan(hit[0] as number);
    expect(plan.faults.some(({ kind }) => kind === KEY_LOSS.kind)).toBe(false);
    expect(withKeyLoss(plan)).toBe(plan);
  });

  // The number of a key, of KEY_TYPES: that of its first field is 14 more.
  it.each([
    ['meta', 0],
    ['ent', 1],
    ['msg', 2],
    ['a field of ent', 15],
  ])('%s is noticed, and closes the store or every node', (_, amount) =>
    inMacrotask((drain) => {
      const { verdict, history } = played(3, amount, drain);
      expect(verdict.violations).toEqual([]);
      expect(history.filter((e) => e.kind === 'fault' && e.fault === 'keyLost')).toHaveLength(1);
      expect(history.some((e) => e.kind === 'node' && e.state === 'closed' && e.why === 'STORE_LOST')).toBe(true);
    }),
  );
});

describe('the checker of a lost key', () => {
  const lost: Raw = { kind: 'fault', node: 'store', incarnation: 0, fault: 'keyLost', phase: 'once', note: 'msg' };
  const closed = { ...lost, fault: 'storeClosed' } as Raw;
  const final = (...states: string[]): Raw => ({
    ...{ kind: 'final', node: '', incarnation: 0, live: [], depth: 0, active: 0, ready: 0, balances: {} },
    nodes: states.map((state, i) => ({ node: `n${i + 1}`, state, running: 0, waiting: 0, timers: 0, owned: 0 })),
  });
  const broken = (...events: Raw[]): string[] => check(historyOf(events)).violations.map(({ invariant }) => invariant);

  it('wants all nodes closed, or all at work', () => {
    expect(broken(lost, closed, final('closed', 'closed', 'down'))).toEqual([]);
    expect(broken(lost, final('running', 'running'))).toEqual([]);
    expect(broken(lost, closed, final('closed', 'running'))).toEqual(['I4']);
    const found = (why: string): Raw => ({ kind: 'node', ...ON1, state: 'store-lost', why });
    expect(broken(lost, found('msg is gone'), final('closed', 'running'))).toEqual(['I4']);
    expect(broken(lost, found('it answered FENCED to the owner of plain:1'), final('closed', 'running'))).toEqual([]);
    expect(broken(lost, final('running', 'rejoining'))).toEqual(['L1']);
    const refused: Raw = { kind: 'node', ...ON2, state: 'start-failed', why: 'AtomicQueuesError: [STORE_LOST] it is gone' };
    expect(broken(lost, refused, final('running', 'down'))).toEqual(['I4']);
  });

  it('wants what was accepted ended and new work done, unless the loss was noticed', () => {
    const accepted = [append('c1', E, 1), lost];
    expect(broken(...accepted, final('running'))).toEqual(['L1']);
    expect(broken(...accepted, closed, final('closed'))).toEqual([]);
    const probe = invoke('p1', E, { probe: true });
    expect(broken(lost, probe, final('running'))).toEqual(['L1']);
    expect(broken(lost, probe, final('down'))).toEqual([]);
  });

  it('accepts only results and receipts that are in the log', () => {
    const result: Raw = { kind: 'ok', ...ON1, call: 'c1', result: '5', tookMs: 1 };
    const ended = { ...move(E, 1, 'completed'), result: '5' } as Raw;
    const before = [append('c1', E, 1), lost, invoke('c1', E)];
    expect(broken(...before, ended, result, final('running'))).toEqual([]);
    expect(broken(...before, result, ended, final('running'))).toEqual(['I5']);
    const receipt: Raw = { kind: 'ok', ...ON1, call: 'c1', id: 'id', seq: 2, tookMs: 1 };
    expect(broken(...before, ended, receipt, final('running'))).toEqual(['I5']);
  });
});
