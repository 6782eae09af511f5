import { describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { runPlan } from '../../sim/run.js';
import { HostClock, SimClock } from '../../sim/sim-clock.js';
import { drawPlan } from '../../sim/swarm.js';
import { Life, World } from '../../sim/world.js';

const machineOf = (world: World) => {
  const host = new HostClock(world, 0);
  const life = new Life('n', 1);
  const clock = new SimClock(world, host, life, { next: () => 0 });
  return { host, life, clock };
};

describe('the world', () => {
  it('runs all microtasks of an event before the next one', () =>
    inMacrotask((drain) => {
      const world = new World(1, drain);
      const order: string[] = [];
      world.after(1, undefined, () => {
        let chain = Promise.resolve();
        for (let i = 0; i < 300; i++) chain = chain.then(() => undefined);
        void chain.then(() => order.push('chain'));
      });
      world.after(2, undefined, () => order.push('next'));
      world.run(5);
      expect(order).toEqual(['chain', 'next']);
    }));

  it('drops what a dead life would have done, and keeps what a paused one will do', () =>
    inMacrotask((drain) => {
      const world = new World(1, drain);
      const { clock, life } = machineOf(world);
      const fired: number[] = [];
      clock.setTimer(10, () => fired.push(world.nowMs));
      world.pause(life);
      world.run(100);
      expect(fired).toEqual([]);
      world.resume(life);
      world.run(101);
      expect(fired).toEqual([100]);
      clock.setTimer(10, () => fired.push(world.nowMs));
      world.kill(life);
      world.run(200);
      expect(fired).toEqual([100]);
      expect(world.dropped).toBe(1);
    }));

  it.each([0.5, 1, 1.5])('fires a timer never early by the clock that set it, at rate %d', (rate) =>
    inMacrotask((drain) => {
      const world = new World(1, drain);
      const { clock, host } = machineOf(world);
      host.setRate(rate);
      const fromMs = clock.monotonicMs();
      let tookMs = 0;
      clock.setTimer(10, () => {
        tookMs = clock.monotonicMs() - fromMs;
      });
      world.run(100);
      expect(tookMs).toBeGreaterThanOrEqual(10);
      expect(tookMs).toBeLessThan(10.1);
    }),
  );

  it('lets a suspended machine count no time', () =>
    inMacrotask((drain) => {
      const world = new World(1, drain);
      const { clock, host } = machineOf(world);
      const fromMs = clock.monotonicMs();
      host.suspend();
      world.run(50);
      host.proceed();
      world.run(60);
      expect(clock.monotonicMs() - fromMs).toBe(10);
    }));

  it('gives one hash per seed, whatever ran before', () =>
    inMacrotask((drain) => {
      const hashOf = (seed: number) => runPlan(drawPlan(seed), { drain }).hash;
      const first = [hashOf(5), hashOf(6)];
      expect([hashOf(6), hashOf(5)].reverse()).toEqual(first);
      expect(new Set(first).size).toBe(2);
    }));
});
