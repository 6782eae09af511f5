/** What the simulator can play against a mutant, and in which order. */

export interface Playable {
  /** A seed, a seed on the adapter for Redis with its scripts, or a scenario. */
  readonly kind: 'machine' | 'lua' | 'scenario';
  readonly seed: number;
  readonly scenario: string;
  /** Of a seed: the hash of all that happens without any mutant. */
  readonly hash: number;
}

export interface Covered extends Playable {
  readonly ms: number;
  /** The blocks that it reached. */
  readonly blocks: readonly number[];
}

export interface Seeds {
  readonly from: number;
  readonly seeds: number;
  readonly luaSeeds: number;
}

/** Seeds before the scenarios: they kill most mutants, and most of those at once. */
const SEEDS_FIRST = 10;

/** All that there is to play, in its order. */
export function playablesOf({ from, seeds, luaSeeds }: Seeds, scenarios: readonly string[]): readonly Playable[] {
  const seedsOf = (kind: 'machine' | 'lua', count: number): Playable[] =>
    Array.from({ length: count }, (_, i) => ({ kind, seed: from + i, scenario: '', hash: 0 }));
  const machine = seedsOf('machine', seeds);
  const named = scenarios.map((scenario): Playable => ({ kind: 'scenario', seed: 0, scenario, hash: 0 }));
  return [...machine.slice(0, SEEDS_FIRST), ...named, ...machine.slice(SEEDS_FIRST), ...seedsOf('lua', luaSeeds)];
}

/**
 * Of these, what can kill a mutant of that file in that block (undefined: in any). Scripts are played beside the core only for the file of a
 * script, of which no block is known, and for the log, which they repeat. The quick ones of those seeds come first.
 */
export function reaching(all: readonly Covered[], path: string, block: number | undefined): readonly Covered[] {
  const lua = all.filter(({ kind }) => kind === 'lua').sort((a, b) => a.ms - b.ms);
  if (path.endsWith('.lua')) return lua;
  const others = all.filter(({ kind }) => kind !== 'lua');
  const list = path.startsWith('src/core/log/') ? [...others, ...lua] : others;
  return list.filter(({ blocks }) => block === undefined || blocks.includes(block));
}
