/**
 * What one item costs may not grow with how many there are. Measured in CPU time of this process, so that the load of the
 * machine does not count, and as a ratio, so that its speed does not.
 */
import { describe, expect, it } from 'vitest';
import { CORE_CASES, coreCost } from '../../bench/scale/core-costs.js';
import { growthOf, type Point } from '../../bench/scale/slope.js';
import { Fifo } from '../../src/core/fifo.js';
import { SeqQueue } from '../../src/core/seq-queue.js';
import { FlakyStore } from './flaky-store.js';
import { msg, world } from './harness.js';
import { start } from './started.js';

const SIZES = [1000, 10_000, 100_000] as const;
/** A hundred times as many may cost this much more for each: caches and collections, not a walk over the others. */
const GROWTH_MAX = 8;
/** Less than this for an item is not looked at: what is measured then is noise. */
const FLOOR_US = 2;

async function expectFlat(name: string, costUs: (n: number) => Promise<number>): Promise<void> {
  const points: Point[] = [];
  for (const n of SIZES) points.push({ n, micros: await costUs(n) });
  console.log(`${name}: ${points.map(({ n, micros }) => `${n}: ${micros.toFixed(2)} us`).join(', ')} each`);
  expect(growthOf(points, FLOOR_US), name).toBeLessThan(GROWTH_MAX);
}

describe('what one item costs does not grow with their number', () => {
  for (const one of CORE_CASES) it(one.name, () => expectFlat(one.name, (n) => coreCost(one, n)));

  it('append that expires unsent', async () => {
    await expectFlat('append that expires unsent', async (n) => {
      const w = world();
      const store = new FlakyStore(w.store);
      const limits = { maxTotalWorkers: 0, maxTotalQueueDepth: 0, enqueueTimeoutMs: 400, storeCallTimeoutMs: 400 };
      const node = await start({ ...w, store }, () => 'ok', limits);
      const before = process.cpuUsage();
      store.cut = true;
      const calls = Array.from({ length: n }, (_, i) => node.enqueue(msg(`e${i}`)).catch((error) => error.code));
      const codes = await Promise.all(calls);
      store.cut = false;
      expect(codes.filter((code) => code === 'STORE_UNAVAILABLE').length).toBeGreaterThan(n - 1100);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / n;
    });
  });
});

describe('a queue by sequence', () => {
  it('keeps order and number, whatever is taken from it', () => {
    const queue = new SeqQueue<{ readonly seq: number }>();
    let model: number[] = [];
    let random = 7;
    const next = (n: number): number => {
      random = (random * 48271) % 2147483647;
      return random % n;
    };
    for (let i = 1; i < 20_000; i++) {
      const what = next(10);
      if (what < 5) {
        queue.push({ seq: i });
        model.push(i);
      } else if (what < 7) expect(queue.shift()?.seq).toBe(model.shift());
      else {
        const seq = model.length > 0 && what < 9 ? (model[next(model.length)] as number) : next(i);
        expect(queue.get(seq)?.seq).toBe(model.includes(seq) ? seq : undefined);
        expect(queue.take(seq)?.seq).toBe(model.includes(seq) ? seq : undefined);
        model = model.filter((other) => other !== seq);
      }
      expect([queue.length, queue.peek()?.seq]).toEqual([model.length, model[0]]);
    }
    expect([...queue].map(({ seq }) => seq)).toEqual(model);
    expect(queue).toBeInstanceOf(Fifo);
  });
});
