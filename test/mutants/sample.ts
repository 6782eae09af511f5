/** Which mutants a run tries: a share of each file, drawn so that an edit of the source changes little of the sample. */
import { createHash } from 'node:crypto';
import type { Mutant } from './mutant.js';

const rankOf = (seed: number, id: string): string => createHash('sha1').update(`${seed}:${id}`).digest('hex');

function byPath(mutants: readonly Mutant[]): ReadonlyMap<string, readonly Mutant[]> {
  const files = new Map<string, Mutant[]>();
  for (const mutant of mutants) files.set(mutant.path, [...(files.get(mutant.path) ?? []), mutant]);
  return files;
}

/** Divides `count` by the largest remainders, in proportion to the sizes. */
export function sharesOf(sizes: readonly number[], count: number): readonly number[] {
  const all = sizes.reduce((sum, size) => sum + size, 0);
  const exact = sizes.map((size) => (all === 0 ? 0 : (size * Math.min(count, all)) / all));
  const shares = exact.map(Math.floor);
  const left = Math.min(count, all) - shares.reduce((sum, share) => sum + share, 0);
  const byRemainder = exact.map((share, i) => [share - Math.floor(share), i] as const).sort(([a, i], [b, j]) => b - a || i - j);
  for (const [, i] of byRemainder.slice(0, left)) shares[i] = (shares[i] as number) + 1;
  return shares;
}

/** Returns `count` mutants, or all if there are fewer. The order is drawn, so that a cut run is a sample too. */
export function sampleOf(mutants: readonly Mutant[], count: number, seed: number): readonly Mutant[] {
  const ranks = new Map(mutants.map(({ id }) => [id, rankOf(seed, id)]));
  const inOrder = (some: readonly Mutant[]): Mutant[] =>
    [...some].sort((a, b) => ((ranks.get(a.id) as string) < (ranks.get(b.id) as string) ? -1 : 1));
  const files = [...byPath(mutants).values()];
  const shares = sharesOf(
    files.map((file) => file.length),
    count,
  );
  return inOrder(files.flatMap((file, i) => inOrder(file).slice(0, shares[i])));
}
