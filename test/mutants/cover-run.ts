/** Plays and tests the unchanged code once, to see that it passes and what reaches which block. Kept in a file until the code changes. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCENARIOS } from '../../sim/scenarios/run-scenarios.js';
import { readSources } from '../tidy/source.js';
import { runNode } from './child.js';
import { type Block, blockAt, instrumented } from './cover.js';
import type { Mutant } from './mutant.js';
import type { Options } from './options.js';
import { type Covered, playablesOf, reaching } from './playable.js';
import { type CoveredSpec, Loaders, stepsFor } from './specs.js';
import { failuresIn, playCommand, vitestArgs } from './stages.js';
import { BUILD, GENERATED, Tree } from './tree.js';

/** The unchanged code does not pass what mutants are judged by. */
export class BaselineError extends Error {
  override readonly name = 'BaselineError';
}

const MINUTE_MS = 60_000;
const LIMITS = {
  sim: { totalMs: 30 * MINUTE_MS, silenceMs: 2 * MINUTE_MS },
  tests: { totalMs: 30 * MINUTE_MS, silenceMs: 30 * MINUTE_MS },
};

/** Raise it with each change of what is kept. */
const FORMAT = 1;

type Texts = ReadonlyMap<string, string>;

interface Kept<T> {
  readonly key: string;
  readonly found: T;
}

/** Returns what was found before for the same key, or finds it now. */
async function kept<T>(name: string, key: string, find: () => Promise<T>): Promise<T> {
  const path = join(BUILD, name);
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Kept<T>) : undefined;
  if (before?.key === key) return before.found;
  const found = await find();
  writeFileSync(path, JSON.stringify({ key, found } satisfies Kept<T>));
  return found;
}

/** A hash of all code and of these words. */
export function keyOf(...words: readonly (string | number)[]): string {
  const hash = createHash('sha1');
  const sources = [...readSources(['src', 'sim', 'test'], '.ts'), ...readSources(['src'], '.lua')];
  for (const { path, text } of sources) if (!path.startsWith('test/mutants/')) hash.update(`${path}\0${text}\0`);
  return hash.update(words.join(' ')).digest('hex');
}

export class Cover {
  constructor(
    private readonly blocks: ReadonlyMap<string, readonly Block[]>,
    private readonly played: readonly Covered[],
    private readonly specs: readonly CoveredSpec[],
    private readonly loaders: Loaders,
  ) {}

  private blockOf({ path, start }: Mutant): number | undefined {
    return blockAt(this.blocks.get(path) ?? [], start);
  }

  playablesFor(mutant: Mutant): readonly Covered[] {
    return reaching(this.played, mutant.path, this.blockOf(mutant));
  }

  stepsFor(mutant: Mutant): readonly (readonly string[])[] {
    return stepsFor(mutant.path, this.blockOf(mutant), this.specs, this.loaders);
  }
}

/** The sources with a mark in each block. */
function instrument(texts: Texts): { readonly marked: Texts; readonly blocks: ReadonlyMap<string, readonly Block[]> } {
  const [marked, blocks] = [new Map<string, string>(), new Map<string, readonly Block[]>()];
  let firstId = 0;
  for (const [path, text] of [...texts].filter(([name]) => name.endsWith('.ts'))) {
    const file = instrumented(path, text, firstId);
    marked.set(path, file.text);
    blocks.set(path, file.blocks);
    firstId += file.blocks.length;
  }
  return { marked, blocks };
}

export async function readCover(texts: Texts, options: Options, say: (line: string) => void): Promise<Cover> {
  const { from, seeds, luaSeeds, stage } = options;
  const { marked, blocks } = instrument(texts);
  const withTree = async <T>(run: (tree: Tree) => Promise<T>): Promise<T> => {
    const tree = new Tree(0);
    for (const [path, text] of marked) tree.putText(path, text);
    const found = await run(tree);
    tree.remove();
    return found;
  };
  const played = await kept('cover-sim.json', keyOf(FORMAT, from, seeds, luaSeeds), () => {
    say('playing the unchanged code');
    return withTree((tree) => coverSim(tree, options));
  });
  if (stage === 'sim') return new Cover(blocks, played, [], new Loaders([]));
  const loaders = new Loaders(readSources(['src', 'test', 'sim', 'demo', 'bench', 'chaos', 'scripts'], '.ts'));
  const specs = await kept('cover-tests.json', keyOf(FORMAT), () => {
    say('testing the unchanged code');
    return withTree((tree) => coverTests(tree, loaders.specsOf([...texts.keys(), GENERATED]), say));
  });
  return new Cover(blocks, played, specs, loaders);
}

async function coverSim(tree: Tree, options: Options): Promise<readonly Covered[]> {
  const scenarios = SCENARIOS.map(({ name }) => name);
  const { lines } = await runNode(playCommand(tree, playablesOf(options, scenarios), 'cover'), LIMITS.sim);
  if (lines.at(-1) !== 'held') throw new BaselineError(`without any mutant the simulator fails: ${lines.at(-1)}`);
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Covered);
}

/** Put before the text of a test file. The hook that is registered first runs last. */
const prefixOf = (spec: string, compiledDir: string, output: string): string =>
  [
    `import { afterAll as aqAfterAll } from 'vitest';`,
    `import { appendFileSync as aqAppend } from 'node:fs';`,
    `import { takeMarks as aqTakeMarks } from ${JSON.stringify(join(compiledDir, 'test/mutants/cover.js'))};`,
    'aqTakeMarks();',
    'const aqStartMs = performance.now();',
    'aqAfterAll(() => {',
    `  const ms = Math.round(performance.now() - aqStartMs);`,
    `  const line = JSON.stringify({ spec: ${JSON.stringify(spec)}, ms, blocks: aqTakeMarks() });`,
    `  aqAppend(${JSON.stringify(output)}, line + '\\n');`,
    '});',
    '',
  ].join(' ');

async function coverTests(
  tree: Tree,
  loading: ReadonlySet<string>,
  say: (line: string) => void,
): Promise<readonly CoveredSpec[]> {
  const specs = [...loading].sort();
  const [output, journal] = [join(tree.dir, 'cover.ndjson'), join(tree.dir, 'journal.ndjson')];
  for (const spec of specs) tree.putText(spec, prefixOf(spec, tree.compiledDir, output) + readFileSync(spec, 'utf8'));
  rmSync(journal, { force: true });
  await runNode({ args: vitestArgs(specs, false), cwd: tree.dir, env: { AQ_TEST_JOURNAL: journal } }, LIMITS.tests);
  const failures = failuresIn(existsSync(journal) ? readFileSync(journal, 'utf8') : '');
  for (const { what } of failures) say(`fails without any mutant, and is left out: ${what}`);
  const failed = new Set(failures.map(({ file }) => file));
  const lines = existsSync(output) ? readFileSync(output, 'utf8').split('\n').filter(Boolean) : [];
  if (lines.length === 0) throw new BaselineError('without any mutant no test file ended');
  return lines.map((line) => JSON.parse(line) as CoveredSpec).filter(({ spec }) => !failed.has(spec));
}
