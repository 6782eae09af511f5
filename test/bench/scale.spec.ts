/** The judge of workload `scale`: it refuses costs that grow with n, and only those. */
import { describe, expect, it } from 'vitest';
import { parseOptions, UsageError } from '../../bench/options.js';
import { slopeFloors, slopesJson, slopesOf, slopeTable } from '../../bench/scale/limits.js';
import type { Sample } from '../../bench/scale/plan.js';
import { growthOf, holds } from '../../bench/scale/slope.js';

const SIZES = [1000, 10_000, 100_000];
const LIMIT = { growthMax: 2.5, floorMicros: 5 };
const points = (microsOf: (n: number) => number) => SIZES.map((n) => ({ n, micros: microsOf(n) }));

describe('a slope', () => {
  it('of a flat cost holds', () => {
    expect(
      growthOf(
        points(() => 20),
        5,
      ),
    ).toBe(1);
    expect(
      holds(
        points((n) => 20 + Math.log10(n)),
        LIMIT,
      ),
    ).toBe(true);
  });

  it('of a cost for each item that is linear in n, a quadratic sum, is refused', () => {
    expect(
      growthOf(
        points((n) => n / 100),
        5,
      ),
    ).toBe(100);
    expect(
      holds(
        points((n) => n / 100),
        LIMIT,
      ),
    ).toBe(false);
    // A walk of one nanosecond for each other item, beside a flat cost of 20 microseconds.
    expect(
      holds(
        points((n) => 20 + n / 1000),
        LIMIT,
      ),
    ).toBe(false);
  });

  it('is not hidden by a cost that is paid once', () => {
    // At 10^3 the fixed cost makes an item as expensive as the walk does at 10^5.
    expect(
      holds(
        points((n) => 100_000 / n + n / 1000),
        LIMIT,
      ),
    ).toBe(false);
    expect(
      holds(
        points((n) => 100_000 / n + 5),
        LIMIT,
      ),
    ).toBe(true);
  });

  it('of costs below the floor is not judged', () => {
    expect(
      holds(
        points((n) => n / 50_000),
        LIMIT,
      ),
    ).toBe(true);
  });

  it('of one size is unknown and holds; of what is not a number it does not hold', () => {
    expect(growthOf(points(() => 20).slice(0, 1), 5)).toBeUndefined();
    expect(holds(points(() => 20).slice(0, 1), LIMIT)).toBe(true);
    expect(
      holds(
        points(() => Number.NaN),
        LIMIT,
      ),
    ).toBe(false);
  });
});

describe('workload scale', () => {
  /** Three rounds, of which one was disturbed. */
  const samples = (name: string, microsOf: (n: number) => number): Sample[] =>
    [1, 1, 40].flatMap((factor) =>
      SIZES.map((n): Sample => ({ part: 'redis', name, cpu: 'Redis', n, micros: factor * microsOf(n) })),
    );
  const slopes = slopesOf([...samples('flat', () => 20), ...samples('walks', (n) => n / 100)]);

  it('judges the medians of the rounds, and names what grows', () => {
    expect(slopes.map(({ name, held }) => [name, held])).toEqual([
      ['flat', true],
      ['walks', false],
    ]);
    expect(slopes[0]?.points.map(({ micros }) => micros)).toEqual([20, 20, 20]);
    expect(slopeFloors(slopes)).toMatchObject([
      { name: 'scale redis, Redis for each flat: growth', value: 1, must: '<=', held: true },
      { name: 'scale redis, Redis for each walks: growth', value: 100, must: '<=', held: false },
    ]);
    expect(slopeTable(slopes).at(-1)).toMatch(/walks .*100.*1000.*100\.00.*FAILED/);
    expect(slopesJson(slopes)).toMatchObject([{ growth: 1 }, { growth: 100, held: false }]);
  });

  it('runs only where it is asked for, up to the n that is asked for', () => {
    expect(parseOptions([])).toMatchObject({ sizes: [], workloads: ['many', 'hot', 'reply', 'idle', 'cluster'] });
    expect(parseOptions(['--workload', 'scale'])).toMatchObject({ sizes: SIZES, workloads: [] });
    expect(parseOptions(['--workload', 'hot,scale', '--n-max', '10000'])).toMatchObject({
      sizes: [1000, 10_000],
      workloads: ['hot'],
    });
    expect(() => parseOptions(['--workload', 'scale', '--n-max', '5000'])).toThrow(UsageError);
    expect(() => parseOptions(['--n-max', '1000'])).toThrow(UsageError);
  });
});
