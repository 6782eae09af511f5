import crypto, { randomBytes, randomFillSync, randomInt, randomUUID } from 'node:crypto';
import { performance as hooks } from 'node:perf_hooks';
import nodeTimers from 'node:timers';
import { scheduler, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { AmbientCall, inMacrotask } from '../../sim/ambient.js';
import { replaceMethod } from '../../sim/canaries/canary.js';
import { runPlan } from '../../sim/run.js';
import { SimHandler } from '../../sim/sim-handler.js';
import { drawPlan } from '../../sim/swarm.js';
import { Life, World } from '../../sim/world.js';
import { Fifo } from '../../src/core/fifo.js';
import { Ownership } from '../../src/runtime/ownership.js';
import { EntityWorker } from '../../src/runtime/worker.js';

const nothing = (): void => undefined;

/** Each door of the real process that a simulated run could go through, as its error names it. */
const CALLS: readonly (readonly [string, () => unknown])[] = [
  ['Date.now', () => Date.now()],
  ['new Date', () => new Date()],
  ['Date', () => Date()],
  ['performance.now', () => performance.now()],
  ['performance.now', () => hooks.now()],
  ['performance.timeOrigin', () => performance.timeOrigin],
  ['performance.mark', () => performance.mark('here')],
  ['process.hrtime', () => process.hrtime()],
  ['process.hrtime.bigint', () => process.hrtime.bigint()],
  ['process.uptime', () => process.uptime()],
  ['process.cpuUsage', () => process.cpuUsage()],
  ['new Intl.DateTimeFormat', () => new Intl.DateTimeFormat().format()],
  ['Math.random', () => Math.random()],
  ['crypto.randomUUID', () => globalThis.crypto.randomUUID()],
  ['crypto.getRandomValues', () => globalThis.crypto.getRandomValues(new Uint8Array(1))],
  ['crypto.getRandomValues', () => crypto.getRandomValues(new Uint8Array(1))],
  ['node:crypto.randomUUID', () => randomUUID()],
  ['node:crypto.randomUUID', () => crypto.randomUUID()],
  ['node:crypto.randomBytes', () => randomBytes(1)],
  ['node:crypto.randomInt', () => randomInt(2)],
  ['node:crypto.randomFillSync', () => randomFillSync(new Uint8Array(1))],
  ['setTimeout', () => setTimeout(nothing)],
  ['setInterval', () => setInterval(nothing)],
  ['setImmediate', () => setImmediate(nothing)],
  ['node:timers.setTimeout', () => nodeTimers.setTimeout(nothing)],
  ['node:timers/promises.setTimeout', () => sleep(1)],
  ['scheduler.wait', () => scheduler.wait(1)],
  ['AbortSignal.timeout', () => AbortSignal.timeout(1)],
  ['fetch', () => fetch('http://127.0.0.1:9')],
  ['new WeakRef', () => new WeakRef({})],
  ['new FinalizationRegistry', () => new FinalizationRegistry(nothing)],
];

const refusal = (door: string): string => `${door} was used inside of a simulated run: take it from a port`;

const errorOf = async (run: Promise<unknown>): Promise<unknown> =>
  run.then(
    () => undefined,
    (error: unknown) => error,
  );

/** Replaces the method, plays a seed, and answers what that rejects with. */
async function playing(undo: () => void): Promise<unknown> {
  try {
    return await errorOf(inMacrotask((drain) => runPlan(drawPlan(3), { drain })));
  } finally {
    undo();
  }
}

describe('a simulated run', () => {
  it.each(CALLS)('refuses %s', async (door, call) => {
    const error = await errorOf(inMacrotask(call));
    expect(error).toBeInstanceOf(AmbientCall);
    expect((error as Error).message).toBe(refusal(door));
  });

  it('refuses it in an event of a node, also after a wait for a promise', async () => {
    const late = async (): Promise<void> => {
      await Promise.resolve();
      Math.random();
    };
    const run = inMacrotask((drain) => {
      const world = new World(1, drain);
      world.after(1, new Life('n', 1), () => void late().catch(nothing));
      world.run(2);
    });
    expect(await errorOf(run)).toEqual(new AmbientCall('Math.random'));
  });

  it('refuses it in core, runtime and sim, whoever catches the error', async () => {
    const core = replaceMethod(Fifo, 'push', (original) => (self, ...args) => {
      Math.random();
      return original(self, ...args);
    });
    expect(await playing(core)).toEqual(new AmbientCall('Math.random'));
    const runtime = replaceMethod(EntityWorker, 'claim', (original) => (self) => {
      try {
        setTimeout(nothing);
      } catch {}
      return original(self);
    });
    expect(await playing(runtime)).toEqual(new AmbientCall('setTimeout'));
    const handler = replaceMethod(SimHandler, 'run', (original) => (self, ...args) => {
      Date.now();
      return original(self, ...args);
    });
    expect(await playing(handler)).toEqual(new AmbientCall('Date.now'));
    const caught = replaceMethod(Ownership, 'activate', (original) => (self, ...args) => {
      randomUUID();
      return original(self, ...args);
    });
    expect(await playing(caught)).toEqual(new AmbientCall('node:crypto.randomUUID'));
  });

  it('may use what tells the same in every run', () =>
    inMacrotask((drain) => {
      const order: string[] = [];
      queueMicrotask(() => order.push('queued'));
      drain();
      expect(order).toEqual(['queued']);
      expect(new Date(0).toISOString()).toBe('1970-01-01T00:00:00.000Z');
      expect(new Date(0)).toBeInstanceOf(Date);
      expect(Date.UTC(1970, 0, 2)).toBe(86_400_000);
    }));

  it('leaves every door open behind it, also when it throws', async () => {
    const before = [Date, setTimeout, performance.now, process.hrtime, Math.random, randomUUID, scheduler.wait];
    expect(await errorOf(inMacrotask(() => Date.now()))).toBeInstanceOf(AmbientCall);
    const broken = inMacrotask(() => {
      throw new TypeError('of the run');
    });
    expect(await errorOf(broken)).toEqual(new TypeError('of the run'));
    expect([Date, setTimeout, performance.now, process.hrtime, Math.random, randomUUID, scheduler.wait]).toEqual(before);
    for (const [, call] of CALLS.slice(0, 20)) expect(call).not.toThrow();
  });
});
