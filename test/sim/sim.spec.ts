import { describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { runChunk } from '../../sim/campaign.js';
import { FAULTS } from '../../sim/faults/faults.js';
import { REOPENING } from '../../sim/faults/reopening.js';
import { MACHINE } from '../../sim/machine.js';
import type { Plan } from '../../sim/plan.js';
import { runPlan } from '../../sim/run.js';
import { shrink } from '../../sim/shrink.js';
import { drawPlan } from '../../sim/swarm.js';

describe('seeds', () => {
  it('break no invariant, and those on which something is excused are the fewer', () =>
    inMacrotask((drain) => {
      const totals = runChunk({ from: 1, count: 40 }, drain);
      expect(totals.violations).toEqual([]);
      expect(totals.determinism).toEqual({ checked: 2, diverged: [] });
      expect(totals.excusedRuns).toBeLessThan(20);
    }));

  it('have the time for the work of all entities where one node has one slot for handlers', () =>
    inMacrotask((drain) => {
      const { verdict, plan } = runPlan(drawPlan(10025398), { drain });
      expect([plan.nodes.length, plan.settings.concurrentHandlersMax]).toEqual([1, 1]);
      expect(verdict.violations).toEqual([]);
    }));

  it('draw every kind of fault', () => {
    const drawn = new Set<string>();
    for (let seed = 1; seed <= 300; seed++) for (const { kind } of drawPlan(seed).faults) drawn.add(kind);
    expect([...drawn].sort()).toEqual([...FAULTS, REOPENING].map((f) => f.kind).sort());
  });

  it('leave the assumptions whole in more than half of all runs', () => {
    const excusing = new Set(FAULTS.filter((f) => f.excuses).map((f) => f.kind));
    let whole = 0;
    for (let seed = 1; seed <= 400; seed++) if (!drawPlan(seed).faults.some((f) => excusing.has(f.kind))) whole++;
    expect(whole).toBeGreaterThan(200);
  });
});

describe('a run that an exception ends', () => {
  it('is a violation of its seed, and the campaign goes on', () =>
    inMacrotask((drain) => {
      const applyControl: typeof MACHINE.applyControl = () => {
        throw new RangeError('no such field');
      };
      const { verdict, plan } = runPlan(drawPlan(11), { drain, machine: { ...MACHINE, applyControl } });
      expect(plan.seed).toBe(11);
      expect(verdict.violations.map(({ invariant, what }) => `${invariant}: ${what}`)).toEqual([
        'defect: the run was ended by an exception: RangeError: no such field',
      ]);
    }));
});

describe('shrinking', () => {
  it('leaves a node for each type that was handled, and says what was broken at first', () =>
    inMacrotask((drain) => {
      const plan = { ...drawPlan(7), gone: ['n3'] };
      const node = { startMs: 0, group: 'g1' };
      const nodes = [
        { ...node, name: 'n1', types: ['plain' as const] },
        { ...node, name: 'n2', types: ['plain' as const, 'fenced' as const, 'retried' as const] },
        { ...node, name: 'n3', types: ['plain' as const, 'fenced' as const, 'retried' as const] },
      ];
      const run = (p: typeof plan) => ({
        ...{ plan: p, history: [], faults: {}, events: 0, simMs: 0, messages: 0, hash: '', hits: [] },
        verdict: {
          violations: [{ invariant: 'I1' as const, what: `${p.nodes.length} nodes`, index: 0 }],
          excused: {},
          unknown: 0,
        },
      });
      const { plan: shrunk, whatAtFirst } = shrink({ ...plan, nodes }, 'I1', drain, run as never);
      expect(shrunk.nodes.map(({ name }) => name)).toEqual(['n2']);
      expect(whatAtFirst).toBe('3 nodes');
    }));

  it('keeps what breaks the invariant and leaves out the rest', () =>
    inMacrotask((drain) => {
      const drawn = drawPlan(7);
      // Each handles every type, so that any one of them is enough.
      const plan: Plan = { ...drawn, nodes: drawn.nodes.map(({ types: _, ...node }) => node) };
      const wanted = plan.messages[3]!;
      const run = (p: Plan) => {
        const isBroken = p.messages.includes(wanted);
        return {
          ...{ plan: p, history: [], faults: {}, events: 0, simMs: 0, messages: 0, hash: '', hits: [] },
          verdict: {
            violations: isBroken ? [{ invariant: 'I1' as const, what: 'x', index: 0 }] : [],
            excused: {},
            unknown: 0,
            rescued: 0,
          },
        };
      };
      const small = shrink(plan, 'I1', drain, run).plan;
      expect(small.messages).toEqual([wanted]);
      expect(small.faults).toEqual([]);
      expect(small.nodes).toHaveLength(1);
    }));

  it('pins what the weather hit, and leaves out what need not be hit', () =>
    inMacrotask((drain) => {
      const plan = drawPlan(windy(drain));
      const drawn = runPlan(plan, { drain });
      const hits = drawn.hits.map(({ name }) => name);
      expect(new Set(hits).size).toBe(hits.length);
      const pinned = runPlan({ ...plan, hits }, { drain });
      expect({ hash: pinned.hash, hits: pinned.hits }).toEqual({ hash: drawn.hash, hits: drawn.hits });
      expect(runPlan({ ...plan, hits: hits.slice(1) }, { drain }).hash).not.toBe(drawn.hash);

      const wanted = hits[5]!;
      const small = shrink(plan, 'I1', drain, (p) => {
        const isBroken = p.hits === undefined || p.hits.includes(wanted);
        const violations = isBroken ? [{ invariant: 'I1' as const, what: 'x', index: 0 }] : [];
        return { ...drawn, plan: p, verdict: { violations, excused: {}, unknown: 0, rescued: 0 } };
      }).plan;
      expect(small.hits).toEqual([wanted]);
    }));
});

/** A seed in which much is hit. */
function windy(drain: () => void): number {
  for (let seed = 1; ; seed++) if (runPlan(drawPlan(seed), { drain }).hits.length > 20) return seed;
}
