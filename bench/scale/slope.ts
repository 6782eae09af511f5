/**
 * Judges whether the cost of one item depends on how many items there are. The measure is a ratio of two costs from one machine,
 * so its speed cancels out. A flat cost has growth 1; a cost that is linear in n has growth 10 or 100, and makes the sum over n
 * items quadratic.
 */

/** The cost of one of n items, in microseconds of CPU. */
export interface Point {
  readonly n: number;
  readonly micros: number;
}

/**
 * Returns the cost at the largest n over the least cost at any smaller n. Work that is done once makes few items expensive, so
 * the cost at the smallest n alone could hide growth. Costs below `floorMicros` count as `floorMicros`: a timer's resolution and
 * noise dominate them. Returns undefined if there are less than two sizes.
 */
export function growthOf(points: readonly Point[], floorMicros: number): number | undefined {
  const sorted = [...points].sort((a, b) => a.n - b.n);
  const last = sorted.pop();
  if (last === undefined || sorted.length === 0) return undefined;
  const least = Math.min(...sorted.map(({ micros }) => micros));
  return Math.max(last.micros, floorMicros) / Math.max(least, floorMicros);
}

export interface SlopeLimit {
  readonly growthMax: number;
  readonly floorMicros: number;
}

/** Returns whether the growth stays within the limit. A single size has no growth, and holds. NaN never holds. */
export function holds(points: readonly Point[], { growthMax, floorMicros }: SlopeLimit): boolean {
  const growth = growthOf(points, floorMicros);
  return growth === undefined || growth <= growthMax;
}
