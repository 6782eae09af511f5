import { describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { withThinLink } from '../../sim/bandwidth.js';
import { type Job, payloadOf } from '../../sim/job.js';
import type { Plan } from '../../sim/plan.js';
import { runPlan } from '../../sim/run.js';
import { drawPlan } from '../../sim/swarm.js';
import { ThinLine, wireBytes } from '../../sim/thin-link.js';

const SEEDS = 2000;
const PLANS = Array.from({ length: SEEDS }, (_, i) => drawPlan(i + 1));
const THIN = PLANS.filter(({ link }) => link !== undefined);
const KB = 1024;

describe('a line', () => {
  it('transmits one thing at a time, and keeps the order', () => {
    const line = new ThinLine(10);
    expect(line.sendMs(0, 1000, 1)).toBe(101);
    expect(line.sendMs(0, 10, 1)).toBe(102);
    // The latency of what came before was longer.
    expect(line.sendMs(50, 10, 0)).toBe(52);
    expect(line.transmitted(50)).toBe(500);
    expect(line.transmitted(500)).toBe(1020);
    expect(line.sendMs(1000, 100, 2)).toBe(12);
  });

  it('never transmits what a connection that broke had left', () => {
    const line = new ThinLine(10);
    line.sendMs(0, 1000, 1);
    line.discard(40);
    expect(line.transmitted(1000)).toBe(400);
    expect(line.sendMs(40, 100, 1)).toBe(11);
  });

  it('counts texts, and not what a batch carried before it was lightened', () => {
    const op = { op: 'append', message: { payload: 'x'.repeat(5000) } };
    const batch = { n: 1, ops: [op, op] };
    expect(wireBytes(batch)).toBeGreaterThan(10_000);
    expect(wireBytes(batch)).toBeLessThan(10_400);
    expect(wireBytes({ ...batch, former: [op, op, op] })).toBe(wireBytes(batch));
    expect(wireBytes(undefined)).toBeLessThan(300);
  });
});

describe('thin links', () => {
  it('are drawn for some seeds, in part beside no fault, and leave a plan without one as it is', () => {
    expect(THIN.length / SEEDS).toBeGreaterThan(0.03);
    expect(THIN.length / SEEDS).toBeLessThan(0.06);
    const alone = THIN.filter(({ link }) => link?.isAlone === true);
    expect(alone.length / THIN.length).toBeGreaterThan(0.25);
    expect(alone.length / THIN.length).toBeLessThan(0.75);
    for (const { faults, gone } of alone) expect([...faults, ...gone]).toEqual([]);
    expect(THIN.filter(({ faults }) => faults.length > 0).length).toBeGreaterThan(10);
    expect(THIN.some(({ isCalm }) => isCalm === true)).toBe(false);
    const { link: _, ...fat } = PLANS.find(({ link }) => link === undefined) as Plan;
    expect(withThinLink(fat)).toBe(fat);
  });

  it('carry every single message, and what one handler answers and sends, within half of a call, and no full batch', () => {
    let bursts = 0;
    for (const { link, messages, settings } of THIN) {
      const half = ((link?.bytesPerMs ?? 0) * settings.storeCallTimeoutMs) / 2;
      const atOnce = new Map<string, number>();
      for (const { node, atMs, job } of messages) {
        const sends: readonly Job[] = (job.sends ?? []).map((send) => send.job);
        const finish = [job.padResult ?? 0, ...sends.map((send) => payloadOf(send).length)].reduce((sum, n) => sum + n, 0);
        expect(Math.max(payloadOf(job).length, finish)).toBeLessThan(half);
        atOnce.set(`${node} ${atMs}`, (atOnce.get(`${node} ${atMs}`) ?? 0) + (job.pad ?? 0));
      }
      expect(half).toBeLessThan((1024 * KB) / 2);
      if (Math.max(...atOnce.values()) > 2 * half) bursts++;
    }
    expect(bursts).toBeGreaterThan(THIN.length / 2);
  });

  it('give a run the same hash twice, and break no invariant', () =>
    inMacrotask((drain) => {
      const plans = THIN.slice(0, 8);
      const hashes = plans.map((plan) => runPlan(plan, { drain }));
      expect(hashes.flatMap(({ verdict }) => verdict.violations)).toEqual([]);
      expect(runPlan(plans[0] as Plan, { drain }).hash).toBe(hashes[0]?.hash);
    }));

  it('fail large batches at first, in most runs', () =>
    inMacrotask((drain) => {
      let late = 0;
      for (const plan of THIN.slice(0, 8)) if ((runPlan(plan, { drain }).faults.tooSlow ?? 0) > 0) late++;
      expect(late).toBeGreaterThan(4);
    }));
});
