import { describe, expect, it } from 'vitest';
import { disturbedBy, isQuiet } from '../../sim/nearby.js';
import type { FaultPlan, NodePlan, Plan } from '../../sim/plan.js';
import { drawPlan } from '../../sim/swarm.js';

const drawn = drawPlan(1);
const settings = {
  ...drawn.settings,
  ...{ nodeTTLMs: 100, takeoverHoldMs: 100, reconcileIntervalMs: 100, enqueueTimeoutMs: 300, replyTimeoutMs: 200 },
  ...{ storeCallTimeoutMs: 100, cleanupIntervalMs: 5000 },
};
/** What follows from these settings: the time in which a fault may still have an effect. */
const AFTER_MS = 900;
const HEAL_MS = 20_000;

const planOf = (faults: readonly FaultPlan[], nodes: readonly NodePlan[] = [node('n1', 0)]): Plan => ({
  ...drawn,
  ...{ settings, faults, nodes, healAtMs: HEAL_MS },
});
const node = (name: string, startMs: number, more: Partial<NodePlan> = {}): NodePlan => ({ name, startMs, group: 'g1', ...more });
const quiet = (plan: Plan, fromMs: number, toMs = fromMs): boolean => isQuiet(disturbedBy(plan), fromMs, toMs);

describe('what disturbs a run', () => {
  it('is a fault from its begin until some time after its end', () => {
    const plan = planOf([{ atMs: 5000, forMs: 1000, kind: 'crash', node: 'n1' }]);
    expect([4999, 5000, 6000 + AFTER_MS, 6001 + AFTER_MS].map((ms) => quiet(plan, ms))).toEqual([true, false, false, true]);
    expect(quiet(plan, 4000, 5000)).toBe(false);
  });

  it('is a store without memory until a clean-up after the heal, since nothing else ends it', () => {
    const plan = planOf([{ atMs: 5000, forMs: 0, kind: 'storeFull' }]);
    expect([4999, 5000, HEAL_MS - 1, HEAL_MS + 5000 + AFTER_MS].map((ms) => quiet(plan, ms))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('is a clock of the store that was set back for as long as that, all of it together', () => {
    const back = (atMs: number): FaultPlan => ({ atMs, forMs: 0, kind: 'storeJumpBack', amount: -3000 });
    const plan = planOf([back(5000), back(6000)]);
    expect([5000, 12_000 + AFTER_MS, 12_001 + AFTER_MS].map((ms) => quiet(plan, ms))).toEqual([false, false, true]);
  });

  it('is the start of a node, and the time before it where no other handles what it does', () => {
    const two = (more: Partial<NodePlan>): Plan => planOf([], [node('n1', 0, more), node('n2', 8000)]);
    const shown = (plan: Plan): boolean[] => [7999, 8000, 8001 + AFTER_MS].map((ms) => quiet(plan, ms));
    expect(shown(two({}))).toEqual([true, false, true]);
    expect(shown(two({ types: ['plain'] }))).toEqual([false, false, true]);
    expect(shown(two({ names: ['deposit'] }))).toEqual([false, false, true]);
  });
});
