import { describe, expect, it } from 'vitest';
import { UsageError } from '../../sim/cli.js';
import { readCatalog } from './catalog.js';
import { type Block, blockAt, instrumented } from './cover.js';
import { type Judged, listFaults, readJudged } from './judged.js';
import type { Area, Mutant } from './mutant.js';
import { optionsOf } from './options.js';
import { type Covered, playablesOf, reaching } from './playable.js';
import { linesOf, reportOf } from './report.js';
import type { Killer, Result } from './results.js';
import { sampleOf, sharesOf } from './sample.js';
import { scoresOf } from './score.js';
import { Loaders, stepsFor } from './specs.js';
import { failuresIn, playedOf } from './stages.js';

const mutant = (id: string, area: Area = 'core', path = `src/${area}/x.ts`): Mutant => {
  return { id, path, area, operator: 'number', start: 0, end: 1, to: '0', line: 1, before: '1', after: '0' };
};

const killed = (id: string, by: Killer, stage: Result['stage'] = 'sim'): Result => ({ id, stage, outcome: 'killed', by, ms: 1 });
const survived = (id: string, stage: Result['stage']): Result => ({ id, stage, outcome: 'survived', ms: 1 });

describe('the catalog', () => {
  const { mutants } = readCatalog();

  it('has mutants of the core, of the runtime and of the scripts, each with its own id', () => {
    expect(new Set(mutants.map(({ area }) => area))).toEqual(new Set(['core', 'runtime', 'lua']));
    expect(new Set(mutants.map(({ id }) => id)).size).toBe(mutants.length);
    expect(mutants.filter(({ before, after }) => before === after)).toEqual([]);
  });

  it('has all that is judged', () => {
    expect(listFaults(readJudged(), new Set(mutants.map(({ id }) => id)))).toEqual([]);
  });

  it('would be found to lack what is judged', () => {
    const judged = [
      { id: 'gone', verdict: 'late', why: 'A reason.' },
      { id: 'a', verdict: 'maybe', why: ' ' },
      { id: 'gone', verdict: 'hole', why: 'A reason.' },
    ] as unknown as Judged[];
    expect(listFaults(judged, new Set(['a']))).toEqual([
      'gone: stale, there is no such mutant any more',
      'a: the verdict is "maybe"; allowed: redundant, late, hole',
      'a: it does not say why',
      'gone: stale, there is no such mutant any more',
      'gone: judged twice',
    ]);
  });
});

describe('a sample', () => {
  const all = Array.from({ length: 100 }, (_, i) => mutant(`${i}`, 'core', `src/core/${i % 4 === 0 ? 'a' : 'b'}.ts`));
  const ids = (some: readonly Mutant[]): readonly string[] => some.map(({ id }) => id);

  it('is the same for the same seed, and another one for another', () => {
    expect(ids(sampleOf(all, 20, 1))).toEqual(ids(sampleOf([...all].reverse(), 20, 1)));
    expect(ids(sampleOf(all, 20, 2))).not.toEqual(ids(sampleOf(all, 20, 1)));
  });

  it('takes of each file in proportion to its size', () => {
    const sample = sampleOf(all, 20, 1);
    expect(sample.filter(({ path }) => path === 'src/core/a.ts')).toHaveLength(5);
    expect(sharesOf([1, 1, 1], 2)).toEqual([1, 1, 0]);
    expect(sampleOf(all, 1000, 1)).toHaveLength(100);
  });

  it('keeps what it can when the source changes', () => {
    const before = new Set(ids(sampleOf(all, 20, 1)));
    const after = ids(sampleOf([...all, mutant('new', 'core', 'src/core/b.ts')], 20, 1));
    expect(after.filter((id) => before.has(id)).length).toBeGreaterThanOrEqual(19);
  });
});

describe('the score', () => {
  const tried = [...'abcdef'].map((id) => mutant(id, id < 'e' ? 'runtime' : 'lua'));
  const results = [
    ...[killed('a', 'seeds'), survived('b', 'sim'), killed('b', 'tests', 'tests')],
    ...[survived('c', 'sim'), survived('c', 'tests'), survived('d', 'sim'), survived('d', 'tests')],
    ...[killed('e', 'scenarios'), { id: 'f', stage: 'sim', outcome: 'invalid', ms: 0 } as const],
  ];
  const reached = results.map((result) => ({ ...result, reached: result.id === 'd' && result.stage === 'sim' ? 0 : 3 }));
  const judged: Judged[] = [{ id: 'c', verdict: 'redundant', why: 'A reason.' }];

  it('is of what is neither redundant nor no program', () => {
    const { runtime, lua, all, core } = scoresOf(tried, reached, judged);
    expect(runtime).toMatchObject({ mutants: 4, seeds: 1, tests: 1, survived: 2, unreached: 1, redundant: 1, unjudged: 1 });
    expect(runtime).toMatchObject({ simScore: 33.3, allScore: 66.7 });
    expect(lua).toMatchObject({ mutants: 1, scenarios: 1, simScore: 100 });
    expect(all).toMatchObject({ mutants: 5, allScore: 75 });
    expect(core).toMatchObject({ mutants: 0, simScore: undefined });
  });

  it('fails where a survivor has no line, or a target is missed', () => {
    const known = new Set([...'abcdef']);
    const found = { known, tried, results, judged };
    expect(reportOf(found, { stage: 'tests', minSim: 33, minAll: 75 }).faults).toEqual([
      'd: survives, and has no line in test/mutants/judged.json',
    ]);
    expect(reportOf(found, { stage: 'sim', minSim: 34, minAll: undefined }).faults).toEqual([
      'the simulator kills 33.3 % of core and runtime, not 34 %',
    ]);
    expect(linesOf(reportOf(found, { stage: 'sim', minSim: undefined, minAll: 90 })).at(-1)).toBe(
      'FAILED: all tests kill 75 %, not 90 %',
    );
  });

  it('comes with each survivor, and with what reaches it', () => {
    const lines = linesOf(
      reportOf({ known: new Set('c'), tried, results: reached, judged }, { stage: 'sim', minSim: 0, minAll: 0 }),
    );
    expect(lines.slice(0, 4)).toEqual([
      'survivor c (redundant)',
      '  src/runtime/x.ts:1: reached by 3 seeds and scenarios, which play alike; by 3 test files',
      '  - 1',
      '  + 0',
    ]);
  });

  it('names what is judged and killed by now', () => {
    const more: Judged[] = [{ id: 'a', verdict: 'hole', why: 'A reason.' }];
    const found = { known: new Set(['a']), tried, results, judged: more };
    expect(reportOf(found, { stage: 'sim', minSim: undefined, minAll: undefined }).outdated).toEqual(['a']);
  });
});

describe('what a mutant is tried with', () => {
  const text = 'const a = 1;\nfunction f() {\n  if (a) return 2;\n  return g(() => 3);\n}\n';
  const { text: marked, blocks } = instrumented('x.ts', text, 5);

  it('is what reaches its block', () => {
    const idAt = (number: string): number | undefined => blockAt(blocks, text.indexOf(number));
    expect(['1', '2', '3', 'g('].map(idAt)).toEqual([undefined, 6, 7, 5]);
    expect(marked.slice(marked.indexOf('const a'))).toBe(
      'const a = 1;\nfunction f() { __aqMarks[5] = 1;\n  if (a) { __aqMarks[6] = 1; return 2; }\n  return g(() => (__aqMarks[7] = 1, 3));\n}\n',
    );
  });

  it('is marked in all of nested branches', () => {
    const nested = instrumented('x.ts', 'for (;;) if (a) b(); else switch (c) { case 1: d(); }', 0);
    expect(nested.text).toContain(
      'for (;;) { __aqMarks[0] = 1; if (a) { __aqMarks[1] = 1; b(); } else { __aqMarks[2] = 1; switch (c) { case 1: __aqMarks[3] = 1; d(); } } }',
    );
    expect(blockAt([] as Block[], 0)).toBeUndefined();
  });

  it('is some seeds, then the scenarios, then the other seeds', () => {
    const list = playablesOf({ from: 1, seeds: 12, luaSeeds: 1 }, ['s']);
    expect(list.map(({ kind }) => kind)).toEqual([...Array(10).fill('machine'), 'scenario', 'machine', 'machine', 'lua']);
    const all = list.map((one, i): Covered => ({ ...one, ms: 1, blocks: [i] }));
    expect(reaching(all, 'src/core/x.ts', 10).map(({ scenario }) => scenario)).toEqual(['s']);
    expect(reaching(all, 'src/core/log/x.ts', 13).map(({ kind }) => kind)).toEqual(['lua']);
    expect(reaching(all, 'src/runtime/x.ts', 13)).toEqual([]);
    expect(reaching(all, 'src/redis/scripts/x.lua', undefined).map(({ kind }) => kind)).toEqual(['lua']);
  });

  it('is, where no block is known, the tests that load the file', () => {
    const loaders = new Loaders([
      { path: 'src/core/x.ts', text: "import { y } from './y.js';" },
      { path: 'test/core/x.spec.ts', text: "import { x } from '../../src/core/x.js';" },
      { path: 'test/cli/x.spec.ts', text: "import { x } from '../../src/core/x.js';" },
    ]);
    expect([...loaders.specsOf(['src/core/y.ts'])]).toEqual(['test/core/x.spec.ts']);
  });

  it('is the tests that reach it, quick ones first', () => {
    const specs = [
      { spec: 'test/contract/slow.spec.ts', ms: 9000, blocks: [1] },
      { spec: 'test/core/b.spec.ts', ms: 20, blocks: [1] },
      { spec: 'test/core/a.spec.ts', ms: 10, blocks: [2] },
    ];
    const loaders = { specsOf: () => new Set(['test/core/a.spec.ts']) };
    expect(stepsFor('src/core/x.ts', 1, specs, loaders)).toEqual([['test/core/b.spec.ts'], ['test/contract/slow.spec.ts']]);
    expect(stepsFor('src/core/x.ts', undefined, specs, loaders)).toEqual([['test/core/a.spec.ts']]);
    expect(stepsFor('src/redis/scripts/x.lua', undefined, specs, loaders)).toEqual([['test/contract/slow.spec.ts']]);
  });
});

describe('what a process has printed', () => {
  const ended = (lines: readonly string[], cut?: 'total' | 'silence') => ({
    lines,
    cut,
    code: cut === undefined ? 0 : null,
    ms: 1,
  });

  it('is a kill by what was played', () => {
    expect(playedOf(ended(['at seeds seed 1', 'seen', 'held']))).toEqual({ outcome: 'survived', isSeen: true, ms: 1 });
    expect(playedOf(ended(['at scenarios s', 'killed scenarios s: not so']))).toMatchObject({
      by: 'scenarios',
      what: 's: not so',
    });
    expect(playedOf(ended(['at seeds seed 2'], 'silence'))).toMatchObject({ by: 'seeds', what: 'seed 2: it hangs' });
    expect(playedOf(ended(['TypeError: no']))).toMatchObject({ outcome: 'killed', what: 'the start: TypeError: no' });
  });

  it('is a kill by a test', () => {
    const journal = [
      { kind: 'case', file: 'a', name: 'b', state: 'passed' },
      { kind: 'case', file: 'a', name: 'c', state: 'failed', why: 'no' },
      { kind: 'ended', file: 'd', isBroken: true },
    ].map((line) => JSON.stringify(line));
    expect(failuresIn([...journal, '{"kind":"ca'].join('\n')).map(({ what }) => what)).toEqual([
      'a > c: no',
      'd: it does not load, or fails outside of its tests',
    ]);
  });
});

describe('the command line', () => {
  it('has defaults', () => {
    expect(optionsOf([], 2)).toMatchObject({
      count: 300,
      seed: 1,
      seeds: 120,
      luaSeeds: 10,
      workers: 2,
      stage: 'tests',
      minSim: undefined,
    });
  });

  it.each([
    [['--count', '0'], '--count is "0"; allowed: a whole number from 1 to 100000'],
    [['--stage', 'all'], '--stage is "all"; allowed: sim, tests'],
    [['--what'], "Unknown option '--what'; see npm run mutants -- --help"],
  ])('refuses %s', (args, message) => {
    expect(() => optionsOf(args, 2)).toThrow(new UsageError(message));
  });
});
