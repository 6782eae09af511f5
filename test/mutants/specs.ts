/** Which tests concern a mutant: those that reach its block, the quick ones first. */
import { importsOf, type Source } from '../tidy/source.js';

/** Left out: whole systems, which `npm test` does not run either, and what checks texts. */
const LEFT_OUT =
  /^test\/((chaos|cli|cluster|demo|docs|http|kill|mutants|pack|support|tidy|types)\/|sim\/(canaries|determinism|command)|nest\/(bundle|process|blocked-loop)|grpc\/processes|redis\/(refused-node|lost-keys|full|costs))/;

/** They run the scripts on a real server. */
const RUNS_SCRIPTS = /^test\/(contract|redis)\//;

/** What a test file reached in the unchanged code. */
export interface CoveredSpec {
  readonly spec: string;
  readonly ms: number;
  readonly blocks: readonly number[];
}

export const isConcerned = (spec: string): boolean => spec.endsWith('.spec.ts') && !LEFT_OUT.test(spec);

/** All tests of a list that load one of these files, also by way of others. */
export function loadersOf(sources: readonly Source[], paths: readonly string[]): ReadonlySet<string> {
  const importers = new Map<string, string[]>();
  for (const source of sources)
    for (const { target } of importsOf(source))
      if (target !== undefined) importers.set(target, [...(importers.get(target) ?? []), source.path]);
  const seen = new Set(paths);
  for (const one of seen) for (const importer of importers.get(one) ?? []) seen.add(importer);
  return new Set([...seen].filter(isConcerned));
}

const QUICK_MS = 4000;

/** The tests that can kill a mutant, in the steps in which they run. `loaders` counts where no block is known. */
export function stepsFor(
  path: string,
  block: number | undefined,
  all: readonly CoveredSpec[],
  loaders: ReadonlySet<string>,
): readonly (readonly string[])[] {
  const concerned = all
    .filter(({ spec, blocks }) => {
      if (path.endsWith('.lua')) return RUNS_SCRIPTS.test(spec);
      return block === undefined ? loaders.has(spec) : blocks.includes(block);
    })
    .sort((a, b) => a.ms - b.ms);
  const quick = concerned.filter(({ ms }) => ms < QUICK_MS);
  const slow = concerned.filter(({ ms }) => ms >= QUICK_MS);
  return [quick, slow].filter((step) => step.length > 0).map((step) => step.map(({ spec }) => spec));
}
