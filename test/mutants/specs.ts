/** Which tests concern a mutant: those that reach its block, the quick ones first. */
import { importsOf, type Source } from '../tidy/source.js';

/**
 * Left out: whole systems, which `npm test` does not run either; what checks texts; what plays seeds, as the first stage does; and what
 * compiles the source, since the compiler refuses some mutants that run.
 */
const LEFT_OUT = new RegExp(
  `^test/(${[
    '(chaos|cli|cluster|demo|docs|http|kill|mutants|pack|support|tidy|types)/',
    'sim/(canaries|command|determinism|lua|report|scenarios|sim)\\.',
    'nest/(bundle|process|blocked-loop|network-problem)\\.',
    'grpc/processes\\.',
    'redis/(refused-node|lost-keys|full|costs|tls)\\.',
  ].join('|')})`,
);

/** They run the scripts on a real server. */
const RUNS_SCRIPTS = /^test\/(contract|redis)\//;

/** What a test file reached in the unchanged code. */
export interface CoveredSpec {
  readonly spec: string;
  readonly ms: number;
  readonly blocks: readonly number[];
}

export const isConcerned = (spec: string): boolean => spec.endsWith('.spec.ts') && !LEFT_OUT.test(spec);

/** What imports what. */
export class Loaders {
  private readonly importers = new Map<string, string[]>();

  constructor(sources: readonly Source[]) {
    for (const source of sources)
      for (const { target } of importsOf(source))
        if (target !== undefined) this.importers.set(target, [...(this.importers.get(target) ?? []), source.path]);
  }

  /** Returns the tests that load one of these files, also by way of others. */
  specsOf(paths: readonly string[]): ReadonlySet<string> {
    const seen = new Set(paths);
    for (const one of seen) for (const importer of this.importers.get(one) ?? []) seen.add(importer);
    return new Set([...seen].filter(isConcerned));
  }
}

const QUICK_MS = 4000;

/** The tests that can kill a mutant, in the steps in which they run. Where no block is known, those that load the file. */
export function stepsFor(
  path: string,
  block: number | undefined,
  all: readonly CoveredSpec[],
  loaders: Pick<Loaders, 'specsOf'>,
): readonly (readonly string[])[] {
  const loading = block === undefined ? loaders.specsOf([path]) : new Set();
  const concerned = all
    .filter(({ spec, blocks }) => {
      if (path.endsWith('.lua')) return RUNS_SCRIPTS.test(spec);
      return block === undefined ? loading.has(spec) : blocks.includes(block);
    })
    .sort((a, b) => a.ms - b.ms);
  const quick = concerned.filter(({ ms }) => ms < QUICK_MS);
  const slow = concerned.filter(({ ms }) => ms >= QUICK_MS);
  return [quick, slow].filter((step) => step.length > 0).map((step) => step.map(({ spec }) => spec));
}
