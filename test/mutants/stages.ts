/** The two stages that try to kill a mutant which stands in a tree. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, type Ended, runNode } from './child.js';
import type { Covered, Playable } from './playable.js';
import type { Killer, Result } from './results.js';
import type { Tree } from './tree.js';

export type Outcome = Omit<Result, 'id' | 'stage'>;

const HEAP_MB = 1536;

// ---- the simulator ---------------------------------------------------------------------------------------------------

/** Without a line for so long, it hangs. A seed takes well below a second, and one beside the scripts a few. */
const SILENCE_MS = { machine: 20_000, lua: 60_000 };
/** A mutant that takes this many times as long as the unchanged code is killed. Other mutants run beside it. */
const SLOWER_MAX = 4;
const SLACK_MS = 30_000;

export async function playSim(tree: Tree, list: readonly Covered[]): Promise<Outcome> {
  if (list.length === 0) return { outcome: 'survived', isSeen: false, reached: 0, ms: 0 };
  const totalMs = list.reduce((sum, { ms }) => sum + ms, 0) * SLOWER_MAX + SLACK_MS;
  const silenceMs = list.some(({ kind }) => kind === 'lua') ? SILENCE_MS.lua : SILENCE_MS.machine;
  const playables = list.map(({ kind, seed, scenario, hash }): Playable => ({ kind, seed, scenario, hash }));
  return { ...playedOf(await runNode(playCommand(tree, playables), { totalMs, silenceMs })), reached: list.length };
}

export function playCommand(tree: Tree, list: readonly Playable[], ...more: readonly string[]): Command {
  const program = join(tree.compiledDir, 'test/mutants/play.js');
  return { args: [`--max-old-space-size=${HEAP_MB}`, program, JSON.stringify(list), ...more], cwd: tree.dir };
}

/** Reads what the player of the simulator has printed. */
export function playedOf({ lines, cut, code, ms }: Ended): Outcome {
  const end = lines.at(-1) ?? '';
  if (end === 'held' && code === 0) return { outcome: 'survived', isSeen: lines.includes('seen'), ms };
  const killed = /^killed (seeds|scenarios) (.*)$/.exec(end);
  if (killed !== null) return { outcome: 'killed', by: killed[1] as Killer, what: shortened(killed[2]), ms };
  const at = lines.findLast((line) => line.startsWith('at '));
  const [, by = 'seeds', name = 'the start'] = /^at (seeds|scenarios) (.*)$/.exec(at ?? '') ?? [];
  const error = lines.find((line) => /^\w*Error\b/.test(line)) ?? `exit code ${code}`;
  const how = cut === undefined ? error : cut === 'silence' ? 'it hangs' : 'it takes too long';
  return { outcome: 'killed', by: by as Killer, what: shortened(`${name}: ${how}`), ms };
}

const WHAT_MAX = 200;

const shortened = (text = ''): string => text.slice(0, WHAT_MAX);

// ---- the tests -------------------------------------------------------------------------------------------------------

/** A hanging test ends by its own limit, which is far beyond what each of them takes. */
const TEST_MS_MAX = 120_000;

interface JournalLine {
  readonly kind: string;
  readonly file?: string;
  readonly name?: string;
  readonly state?: string;
  readonly why?: string;
  readonly isBroken?: boolean;
  readonly errors?: number;
}

export interface Failure {
  readonly file: string | undefined;
  readonly what: string;
}

/** The failures in the journal of a run of tests, the first one first. */
export function failuresIn(journal: string): readonly Failure[] {
  return journal
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .flatMap((line) => {
      const { kind, file, name, state, why, isBroken, errors = 0 } = JSON.parse(line) as JournalLine;
      if (kind === 'case' && state === 'failed') return [{ file, what: shortened(`${file} > ${name}: ${why}`) }];
      if (kind === 'ended' && isBroken === true)
        return [{ file, what: `${file}: it does not load, or fails outside of its tests` }];
      return kind === 'over' && errors > 0 ? [{ file, what: 'an error that no test caught' }] : [];
    });
}

/** Runs the tests step by step until one fails. Each failing test is tried twice, since other work may slow a test down. */
export async function runTests(tree: Tree, steps: readonly (readonly string[])[], totalMs: number): Promise<Outcome> {
  const reached = steps.flat().length;
  let ms = 0;
  for (const specs of steps) {
    const { what, ms: stepMs } = await runSpecs(tree, specs, totalMs - ms);
    ms += stepMs;
    if (what !== undefined) return { outcome: 'killed', by: 'tests', what, reached, ms };
  }
  return { outcome: 'survived', reached, ms };
}

/** Returns what failed first; undefined if nothing did. */
async function runSpecs(
  tree: Tree,
  specs: readonly string[],
  totalMs: number,
): Promise<{ what: string | undefined; ms: number }> {
  const journal = join(tree.dir, 'journal.ndjson');
  rmSync(journal, { force: true });
  const failure = (): string | undefined =>
    existsSync(journal) ? failuresIn(readFileSync(journal, 'utf8'))[0]?.what : undefined;
  const { cut, code, lines, ms } = await runNode(
    { args: vitestArgs(specs), cwd: tree.dir, env: { AQ_TEST_JOURNAL: journal } },
    { totalMs, silenceMs: totalMs, isOver: () => failure() !== undefined },
  );
  const what = failure() ?? (cut === undefined ? undefined : 'the tests take too long');
  return { what: what ?? (code === 0 ? undefined : shortened(lines.at(-1))), ms };
}

/** With `isBailing`, the first failure ends them. */
export function vitestArgs(specs: readonly string[], isBailing = true): readonly string[] {
  const limits = ['--retry=1', `--testTimeout=${TEST_MS_MAX}`, '--maxWorkers=2', '--typecheck.enabled=false'];
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--reporter=./scripts/test-reporter.mjs'];
  return [...vitest, ...(isBailing ? ['--bail=1'] : []), ...limits, ...specs];
}
