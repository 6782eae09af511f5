import { beforeAll, describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { runChunk } from '../../sim/campaign.js';
import { replaceMethod } from '../../sim/canaries/canary.js';
import { runPlan } from '../../sim/run.js';
import { drawPlan } from '../../sim/swarm.js';
import { World } from '../../sim/world.js';
import { COMPILE_TIMEOUT_MS, compileSim, jsonOf, sim } from './command.js';

const SEEDS = [2, 7, 19, 33];

const hashesOf = (seeds: readonly number[]): Promise<string[]> =>
  inMacrotask((drain) => seeds.map((seed) => runPlan(drawPlan(seed), { drain }).hash));

describe('the trace hash of a seed', () => {
  let first: readonly string[] = [];
  beforeAll(async () => {
    compileSim();
    first = await hashesOf(SEEDS);
  }, COMPILE_TIMEOUT_MS);

  it('is its own', () => {
    expect(new Set(first).size).toBe(SEEDS.length);
  });

  it('is the same a second time in one process, in another order and after other seeds', async () => {
    await hashesOf([101, 102, 103]);
    expect((await hashesOf(SEEDS.toReversed())).reverse()).toEqual(first);
  }, 60_000);

  it('is the same in another process', () => {
    expect(SEEDS.map((seed) => jsonOf(sim('--seed', String(seed), '--json')).traceHash)).toEqual(first);
  }, 60_000);

  it('shows one event more', () =>
    inMacrotask((drain) => {
      const plan = drawPlan(2);
      const [message] = plan.messages;
      const more = { ...plan, messages: [...plan.messages, { ...message!, atMs: plan.healAtMs - 1 }] };
      expect(runPlan(more, { drain }).hash).not.toBe(first[0]);
    }));
});

describe('a campaign', () => {
  beforeAll(compileSim, COMPILE_TIMEOUT_MS);

  it('adds up to the same with any number of workers, and here', async () => {
    const told = ['1', '3'].map((workers) => jsonOf(sim('--from', '51', '--seeds', '21', '--workers', workers, '--json')));
    const [one, three] = told.map(({ traceHash, events, messages, faults, excused }) => ({
      ...{ traceHash, events, messages, faults, excused },
    }));
    expect(three).toEqual(one);
    const here = await inMacrotask((drain) => runChunk({ from: 51, count: 21 }, drain));
    expect(here.hash.toString(16).padStart(8, '0')).toBe(one?.traceHash);
  }, 120_000);

  it('runs a sample twice, and tells of what is not repeatable', () =>
    inMacrotask((drain) => {
      expect(runChunk({ from: 25, count: 1 }, drain).determinism).toEqual({ checked: 1, diverged: [] });
      let runs = 0;
      const undo = replaceMethod(World, 'stream', (original) => (self, purpose) => original(self, `${purpose} ${runs++ >> 5}`));
      try {
        expect(runChunk({ from: 25, count: 1 }, drain).determinism).toEqual({ checked: 1, diverged: [25] });
      } finally {
        undo();
      }
    }));
});
