import { beforeAll, describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { runChunk } from '../../sim/campaign.js';
import { replaceMethod } from '../../sim/canaries/canary.js';
import { runPlan } from '../../sim/run.js';
import { drawPlan } from '../../sim/swarm.js';
import { World } from '../../sim/world.js';
import { type Ended, lastLine, runCommand } from '../support/command.js';

const sim = (...args: readonly string[]): Promise<Ended> => runCommand('sim', 'sim/main', ...args);

/** Of what a command tells with --json, that which must not depend on the machine. */
interface Told {
  readonly traceHash: string;
  readonly events: number;
  readonly messages: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly excused: Readonly<Record<string, number>>;
}

interface Rates {
  readonly seedsPerCoreHour: number;
}

const SEEDS = [2, 7, 19, 33];

const hashesOf = (seeds: readonly number[]): Promise<string[]> =>
  inMacrotask((drain) => seeds.map((seed) => runPlan(drawPlan(seed), { drain }).hash));

describe('the trace hash of a seed', () => {
  let first: readonly string[] = [];
  beforeAll(async () => {
    first = await hashesOf(SEEDS);
  });

  it('is its own', () => {
    expect(new Set(first).size).toBe(SEEDS.length);
  });

  it('is the same a second time in one process, in another order and after other seeds', async () => {
    await hashesOf([101, 102, 103]);
    expect((await hashesOf(SEEDS.toReversed())).reverse()).toEqual(first);
  });

  it('is the same in another process', async () => {
    const told = await Promise.all(SEEDS.map((seed) => sim('--seed', String(seed), '--json')));
    expect(told.map((ended) => lastLine<Told>(ended).traceHash)).toEqual(first);
  });

  it('shows one event more', () =>
    inMacrotask((drain) => {
      const plan = drawPlan(2);
      const [message] = plan.messages;
      const more = { ...plan, messages: [...plan.messages, { ...message!, atMs: plan.healAtMs - 1 }] };
      expect(runPlan(more, { drain }).hash).not.toBe(first[0]);
    }));
});

describe('a campaign', () => {
  it('counts the CPU time of several workers once', async () => {
    const perCoreHour = async (workers: string): Promise<number> =>
      lastLine<Rates>(await sim('--from', '51', '--seeds', '40', '--workers', workers, '--json')).seedsPerCoreHour;
    // Each worker compiles for itself, which costs a little more; counted three times it would be more than three times as much.
    expect((await perCoreHour('1')) / (await perCoreHour('3'))).toBeLessThan(2.5);
  });

  it('adds up to the same with any number of workers, and here', async () => {
    const played = (workers: string) => sim('--from', '51', '--seeds', '21', '--workers', workers, '--json');
    const told = [lastLine<Told>(await played('1')), lastLine<Told>(await played('3'))];
    const [one, three] = told.map(({ traceHash, events, messages, faults, excused }) => ({
      ...{ traceHash, events, messages, faults, excused },
    }));
    expect(three).toEqual(one);
    const here = await inMacrotask((drain) => runChunk({ from: 51, count: 21 }, drain));
    expect(here.hash.toString(16).padStart(8, '0')).toBe(one?.traceHash);
  });

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
