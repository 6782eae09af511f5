/**
 * The cost of one item on Redis must not grow with the number of items. `npm run bench -- --workload scale` measures the same with
 * 10^5 items, several rounds and closer limits.
 */
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { memberCosts, scriptCosts } from '../../bench/scale/script-costs.js';
import { logEveryCall } from '../../bench/scale/script-world.js';
import { growthOf } from '../../bench/scale/slope.js';
import { describeRedis, startRedis } from '../support/redis-server.js';

/** The largest takes half a minute to fill, so it is of the whole systems (npm run test:systems). */
const SIZES = process.env.AQ_TEST === 'systems' ? [1000, 10_000, 100_000] : [1000, 10_000];
const MEMBERS = [10, 100, 1000];
/**
 * Ten and a hundred times as many may cost this much more for each: memory that is in no cache, skip lists of a few more levels (up to 2.7
 * was seen beside other work). What walks over all of them costs ten times as much.
 */
const GROWTH_MAX = 4;
/** What costs less, in microseconds of one item, is noise. */
const FLOOR_US = 4;

/** Fails with the names of what grows beyond the limit. */
async function expectFlat(sizes: readonly number[], costsOf: typeof scriptCosts): Promise<void> {
  const server = await startRedis();
  const admin = new Redis(server.url);
  try {
    await logEveryCall(admin);
    const costs: Map<string, number>[] = [];
    for (const n of sizes) costs.push(await costsOf(server.port, admin, n));
    const rows = [...costs[0]!.keys()].map((name) => {
      const points = costs.map((of, i) => ({ n: sizes[i]!, micros: of.get(name)! }));
      return { name, us: points.map(({ micros }) => micros), growth: growthOf(points, FLOOR_US)! };
    });
    const line = (cells: readonly string[]): string =>
      cells.map((cell, i) => (i === 0 ? cell.padEnd(48) : cell.padStart(10))).join('');
    const table = rows.map(({ name, us, growth }) => line([name, ...us.map((x) => x.toFixed(1)), growth.toFixed(1)]));
    console.log([line(['us of Redis for each', ...sizes.map(String), 'growth']), ...table].join('\n'));
    expect(rows.filter(({ growth }) => !(growth <= GROWTH_MAX)).map(({ name, growth }) => `${name}: ${growth}`)).toEqual([]);
  } finally {
    admin.disconnect();
    await server.stop();
  }
}

describeRedis(
  'what one item costs on Redis',
  () => {
    it('does not grow with their number', { timeout: 180_000 }, () => expectFlat(SIZES, scriptCosts));

    it('does not grow with the number of members, for each that a step reads', () => expectFlat(MEMBERS, memberCosts));
  },
  { own: true },
);
