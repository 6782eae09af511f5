/** Hundreds of entities whose message no node declares. */
import { expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { runPlan } from '../../sim/run.js';
import { shrink } from '../../sim/shrink.js';
import { drawPlan } from '../../sim/swarm.js';

const plan = drawPlan(57);
const calledCrowd = (call: string): boolean => call.startsWith('crowd-');

it('a crowd fills more than a page, waits until the probes have ended, and ends when a node comes that declares its message', async () => {
  const { history, verdict } = await inMacrotask((drain) => runPlan(plan, { drain }));
  const appended = history.filter((e) => e.kind === 'append' && calledCrowd(e.call));
  expect(plan.crowd?.entities).toBeGreaterThan(512);
  expect(appended).toHaveLength(plan.crowd?.entities ?? 0);
  const starts = history.filter((e) => e.kind === 'start' && calledCrowd(e.call));
  expect(starts).toHaveLength(appended.length);
  expect(new Set(starts.map(({ node }) => node))).toEqual(new Set(['relief']));
  const probed = history.filter((e) => e.kind === 'start' && e.entity.startsWith('plain:probe-'));
  expect(probed.length).toBeGreaterThan(0);
  expect(probed.at(-1)?.atMs).toBeLessThan(starts[0]?.atMs ?? 0);
  expect(verdict.violations).toEqual([]);
});

it('a failure that needs no crowd shrinks to a plan without one', () =>
  inMacrotask((drain) => {
    const run = (shrunk: typeof plan) => {
      const played = { ...runPlan({ ...shrunk, messages: [], faults: [] }, { drain }), plan: shrunk };
      return { ...played, verdict: { ...played.verdict, violations: [{ invariant: 'I1', what: 'always', index: 0 } as const] } };
    };
    expect(shrink({ ...plan, messages: [], faults: [] }, 'I1', drain, run).plan.crowd).toBeUndefined();
  }));
