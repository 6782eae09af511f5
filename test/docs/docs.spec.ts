import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_FIELDS } from '../../src/core/config.js';
import { readSources } from '../tidy/source.js';
import { SERVICES } from './consoles.js';
import { compileExamples, type Example, examplesOf, nameOf, needsService, runExample } from './examples.js';
import { brokenLinks, deadCommands, deadPaths, missingTests, readPages, tableBelow, testsIn } from './pages.js';

const pages = readPages();
const readme = readFileSync('README.md', 'utf8');
const examples = pages.flatMap(({ path, text }) => examplesOf(path, text));
const runnable = examples.filter(({ prints }) => prints.length > 0);

const wrong: Example = { page: 'wrong.md', line: 7, file: undefined, code: '\nconst two: string = 1;\n', prints: [] };

describe('the examples of the pages', () => {
  let faults: ReadonlyMap<Example, readonly string[]> = new Map();
  beforeAll(() => {
    faults = compileExamples([...examples, wrong]);
  });

  it('are there', () => {
    expect(examples.length).toBeGreaterThan(8);
    expect(runnable.map(({ page }) => page)).toContain('README.md');
  });

  it.each(['contracts', 'dead-letters', 'cli', 'migrating'])('of docs/%s.md are all run, by themselves or by another', (name) => {
    const path = `docs/${name}.md`;
    const used = [...runnable, ...SERVICES].map(({ code }) => code).join('');
    const idle = examplesOf(path, readFileSync(path, 'utf8')).filter(
      ({ prints, file }) => prints.length === 0 && (file === undefined || !used.includes(`'./${file}.js'`)),
    );
    expect(idle.map(nameOf)).toEqual([]);
  });

  it('would be found wrong, with the line of the page', () => {
    expect(faults.get(wrong)).toEqual(["wrong.md:8: Type 'number' is not assignable to type 'string'."]);
  });

  it.each(examples.map((example) => [nameOf(example), example] as const))('%s compiles under strict', (_, example) => {
    expect(faults.get(example)).toEqual([]);
  });

  // The others need a Redis: see console.spec.ts.
  it.each(runnable.filter((example) => !needsService(example)).map((example) => [nameOf(example), example] as const))(
    '%s prints what it says',
    async (_, example) => {
      expect(await runExample(example)).toEqual(example.prints);
    },
  );
});

describe('the reader of examples', () => {
  it('takes each block with its line, its name and what it prints', () => {
    const page = '# T\n\n```ts\n// a-b.ts\nf(); // prints: 1\n```\n\n```json\n{}\n```\n\n```ts\ng();\n```\n';
    expect(examplesOf('p.md', page)).toEqual([
      { page: 'p.md', line: 4, file: 'a-b', code: '// a-b.ts\nf(); // prints: 1\n', prints: ['1'] },
      { page: 'p.md', line: 13, file: undefined, code: 'g();\n', prints: [] },
    ]);
  });
});

describe('the pages', () => {
  const scripts = Object.keys((JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: object }).scripts);

  it('link to what is there', () => {
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  it('name files, folders and functions that are there', () => {
    expect(pages.flatMap(deadPaths)).toEqual([]);
  });

  it('give commands that are there', () => {
    expect(pages.flatMap((page) => deadCommands(page, scripts))).toEqual([]);
  });

  it('would be found wrong', () => {
    const page = {
      path: 'docs/x.md',
      text: '# One\n[a](nowhere.md) [b](#one) [c](#two) `src/gone.ts` `src/index.ts#gone` npm run nothing',
    };
    expect(brokenLinks(page)).toEqual(['nowhere.md', '#two'].map((link) => `docs/x.md links to ${link}, which is not there`));
    expect(deadPaths(page)).toEqual(
      ['`src/gone.ts`', '`src/index.ts#gone`'].map((it) => `docs/x.md names ${it}, which is not there`),
    );
    expect(deadCommands(page, scripts)).toEqual(['docs/x.md says npm run nothing, which package.json does not know']);
  });
});

describe("README's tables", () => {
  it('give config fields with their defaults', () => {
    const rows = tableBelow(readme, '## Configuration').map(([path, value]) => [path, value]);
    expect(rows.length).toBeGreaterThan(10);
    expect(rows).toEqual(
      rows.map(([path]) => [path, CONFIG_FIELDS.find((field) => field.path === path)?.default.replaceAll('`', '')]),
    );
  });

  it('name a test that checks each guarantee', () => {
    const rows = tableBelow(readme, '## Guarantees');
    expect(rows.length).toBeGreaterThan(6);
    const tests = rows.map((row) => /test\/[\w./-]+\.spec\.ts/.exec(row.at(-1) ?? '')?.[0] ?? `none: ${row[0]}`);
    expect(tests.filter((path) => !existsSync(path))).toEqual([]);
  });
});

describe('the pages of what breaks such systems', () => {
  const rowsOf = (page: string, heading: string) => tableBelow(`\n${readFileSync(page, 'utf8')}`, heading);
  const hazards = rowsOf('docs/hazards.md', '# Interleavings that break the naive build');
  const cases = rowsOf('docs/field-cases.md', '# Cases from the field');
  const found = rowsOf('docs/field-cases.md', '## Found in use');
  const idsOf = (rows: readonly (readonly string[])[]) => rows.map(([id]) => id);

  it('have a row for each hazard and for each case', () => {
    expect(idsOf(hazards)).toEqual(Array.from({ length: 32 }, (_, i) => `H${String(i + 1).padStart(2, '0')}`));
    const families = ['A1 A2 A4 A7 A9', 'B2 B3 B5 B6 B7 B8', 'C3 C4 C5 C6 C7', 'D1 D3 D6 D7 D8'];
    families.push('E1 E3 E5 E7 E8 E10 E11 E12 E13 E14', 'F1 F2 F3 F4 F5 F6 F9 F10', 'G1 G2 G3 G5 G7', 'H1', 'I2 I3 I4', 'J1 J2');
    expect(idsOf(cases)).toEqual(families.flatMap((family) => family.split(' ')));
    expect(idsOf(found).filter((id) => id === undefined || !/^U\d\d$/.test(id))).toEqual([]);
    expect(idsOf(found)).toEqual([...new Set(idsOf(found))].sort());
  });

  it('name tests that are there', () => {
    expect(missingTests([...hazards, ...cases, ...found])).toEqual([]);
  });

  it('say "open" where they name no test', () => {
    const untested = [...hazards, ...cases, ...found].filter((row) => testsIn(row.at(-1) ?? '').length === 0);
    expect(idsOf(untested.filter((row) => !/\b[Oo]pen\b/.test(row.join(' '))))).toEqual([]);
  });

  it('would be found wrong', () => {
    const rows = ['`test/gone.spec.ts`', '`test/docs/docs.spec.ts` "would be found wrong", `sim/main.ts` "no', 'such"'];
    const row = ['A1', `${rows[0]}, ${rows[1]} ${rows[2]}`];
    expect(missingTests([row])).toEqual(['A1: test/gone.spec.ts', 'A1: sim/main.ts "no such"']);
  });
});

describe('the decisions', () => {
  const decisions = readSources(['docs/decisions'], '.md').filter(({ path }) => !path.endsWith('README.md'));

  it('are numbered without a gap, say why and what else was possible, and stay short', () => {
    expect(decisions.map(({ path }) => path.slice(15, 18))).toEqual(decisions.map((_, i) => String(i + 1).padStart(3, '0')));
    const faults = decisions.filter(
      ({ text }) => !/^\*\*Why\.\*\*/m.test(text) || !/^\*\*Rejected\.\*\*/m.test(text) || text.split('\n').length > 20,
    );
    expect(faults.map(({ path }) => path)).toEqual([]);
  });

  it('are each listed in their index', () => {
    const index = readFileSync('docs/decisions/README.md', 'utf8');
    expect(decisions.filter(({ path }) => !index.includes(`(${path.slice(15)})`)).map(({ path }) => path)).toEqual([]);
  });
});
