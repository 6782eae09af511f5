/**
 * How far the cost of one item may grow from the cheapest smaller n to the largest n, for each part of workload `scale`. A walk
 * over the other items costs ten or a hundred times as much. A limit of 2 to 3 finds such a walk, and allows for costs that grow
 * a little.
 */
import { Floor } from '../floors.js';
import { median } from '../meter.js';
import type { Part, Sample } from './plan.js';
import { growthOf, holds, type Point, type SlopeLimit } from './slope.js';

/** The cost of one item of a dimension, as the medians over the rounds. */
export interface Slope extends SlopeLimit {
  readonly part: Part;
  readonly name: string;
  readonly cpu: 'Node' | 'Redis';
  readonly points: readonly Point[];
  /** The growth by `growthOf`. Undefined with a single n. */
  readonly growth: number | undefined;
  readonly held: boolean;
}

/**
 * Each limit is the same for a whole part, so that no dimension gets a limit of its own until it holds. Three things may grow:
 *   - 100,000 small objects are in no cache of the processor, and the garbage collector has to look at them;
 *   - hashes and skip lists of 100,000 entries are in no cache, and a few levels higher;
 *   - rehashing and the growth of arrays fall into some of the sizes and not into others.
 * A walk of one nanosecond for each other item costs 100 microseconds at n = 100,000, which is beyond each limit where an item
 * costs less than 40. Below the floor a cost is dominated by the timer, by single heartbeats, or by a garbage collection that
 * falls into it by chance.
 */
const LIMITS: Readonly<Record<`${Part} ${Sample['cpu']}`, SlopeLimit | undefined>> = {
  // Single structures in a tight loop: they have no other cost, so the effect of caches is largest here.
  'core Node': { growthMax: 3, floorMicros: 3 },
  'memory Node': { growthMax: 2.5, floorMicros: 5 },
  'redis Node': { growthMax: 2.5, floorMicros: 5 },
  'redis Redis': { growthMax: 2.5, floorMicros: 5 },
  // The median of 15 calls is noisier than the CPU time of 100,000.
  'scripts Redis': { growthMax: 3, floorMicros: 5 },
  // The cost of a step that reads every member is divided by the number of members, so only a nested walk grows.
  'members Redis': { growthMax: 2, floorMicros: 10 },
  ...{ 'core Redis': undefined, 'memory Redis': undefined, 'scripts Node': undefined, 'members Node': undefined },
};

export function slopesOf(samples: readonly Sample[]): Slope[] {
  const series = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = `${sample.part} ${sample.cpu} ${sample.name}`;
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  return [...series.values()].flatMap((of) => {
    const { part, name, cpu } = of[0] as Sample;
    const limit = LIMITS[`${part} ${cpu}`];
    if (limit === undefined) return [];
    const sizes = [...new Set(of.map(({ n }) => n))].sort((a, b) => a - b);
    const points = sizes.map((n) => ({ n, micros: median(of.filter((one) => one.n === n).map(({ micros }) => micros)) }));
    return [{ part, name, cpu, points, growth: growthOf(points, limit.floorMicros), held: holds(points, limit), ...limit }];
  });
}

export const slopeFloors = (slopes: readonly Slope[]): Floor[] =>
  slopes.flatMap(({ part, name, cpu, growth, growthMax, held }) =>
    growth === undefined
      ? []
      : [{ name: `scale ${part}, ${cpu} for each ${name}: growth`, value: growth, floor: growthMax, must: '<=', held }],
  );

const shown = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1));

/**
 * Returns a Markdown table for people: microseconds of CPU for one item at each n. Its titles show the n of all parts but
 * `members`.
 */
export function slopeTable(slopes: readonly Slope[]): string[] {
  const columns = Math.max(...slopes.map(({ points }) => points.length));
  const sizes = slopes.find(({ part }) => part !== 'members')?.points.map(({ n }) => `n = ${n.toLocaleString('en-US')}`) ?? [];
  const head = ['part', 'CPU', 'microseconds for each', ...sizes, 'growth', 'limit', ''];
  const rows = slopes.map(({ part, cpu, name, points, growth, growthMax, held }) => [
    ...[part, cpu, name],
    ...Array.from({ length: columns }, (_, i) => (points[i] === undefined ? '-' : shown(points[i].micros))),
    ...[growth === undefined ? '-' : growth.toFixed(2), String(growthMax), held ? 'held' : 'FAILED'],
  ]);
  const widths = head.map((title, i) => Math.max(3, title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i < 3 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  return [
    line(head),
    line(widths.map((width, i) => (i < 3 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))),
    ...rows.map(line),
  ];
}

const rounded = (value: number): number => Number(value.toPrecision(4));

export const slopesJson = (slopes: readonly Slope[]): unknown[] =>
  slopes.map(({ points, growth, ...rest }) => ({
    ...rest,
    points: points.map(({ n, micros }) => ({ n, micros: rounded(micros) })),
    growth: growth === undefined ? null : rounded(growth),
  }));
