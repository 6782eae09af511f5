import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { readSources, type Source } from '../tidy/source.js';

/** Every page that people read: those at the root and all of docs/. */
export function readPages(): readonly Source[] {
  const root = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md'].map((path) => ({ path, text: readFileSync(path, 'utf8') }));
  return [...root, ...readSources(['docs'], '.md')];
}

const withoutCode = (markdown: string): string => markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');

/** GitHub's anchor of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll('`', '')
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

const anchorsOf = (markdown: string): readonly string[] =>
  [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

/** Links to files and headings of this repository that lead nowhere. */
export function brokenLinks({ path, text }: Source): readonly string[] {
  const links = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file = '', anchor = ''] = link.split('#');
      if (file === '') return !anchorsOf(text).includes(anchor);
      const target = posix.join(posix.dirname(path), file);
      if (!existsSync(target)) return true;
      return anchor !== '' && !anchorsOf(readFileSync(target, 'utf8')).includes(anchor);
    })
    .map((link) => `${path} links to ${link}, which is not there`);
}

/**
 * What a page names of this repository and is not there: `src/x.ts`, a folder `test/x`, or `src/x.ts#name` for something in
 * that file.
 */
export function deadPaths({ path, text }: Source): readonly string[] {
  const named = [...text.matchAll(/`((?:src|test|sim|chaos|docs|demo|bench|scripts)\/[\w./-]*)(?:#(\w+))?`/g)];
  return named
    .filter(([, file = '', name]) => {
      if (!existsSync(file)) return true;
      return name !== undefined && !new RegExp(`\\b${name}\\b`).test(readFileSync(file, 'utf8'));
    })
    .map(([whole]) => `${path} names ${whole}, which is not there`);
}

/** `npm run` commands that package.json does not know. */
export function deadCommands({ path, text }: Source, scripts: readonly string[]): readonly string[] {
  return [...text.matchAll(/npm run ([a-z0-9:]+)/g)]
    .map(([, name = '']) => name)
    .filter((name) => !scripts.includes(name))
    .map((name) => `${path} says npm run ${name}, which package.json does not know`);
}

/** The cells of the table below a heading, without its head; backticks removed. */
export function tableBelow(markdown: string, heading: string): readonly (readonly string[])[] {
  const lines = markdown.slice(markdown.indexOf(`\n${heading}\n`)).split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  const rows = lines.slice(start);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(2, end === -1 ? undefined : end).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '').replaceAll('\\|', '|')),
  );
}

/** What a cell says of tests: each `file`, with the names in quotes that follow it. */
export function testsIn(cell: string): readonly { readonly file: string; readonly names: readonly string[] }[] {
  return [...cell.matchAll(/`?((?:test|sim)\/[\w./-]+\.ts)`?((?: "[^"]+",?)*)/g)].map(([, file = '', names = '']) => ({
    file,
    names: [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name),
  }));
}

/** Tests that the last cells of a table name and that are not there, each with its row. */
export function missingTests(rows: readonly (readonly string[])[]): readonly string[] {
  return rows.flatMap((row) =>
    testsIn(row.at(-1) ?? '').flatMap(({ file, names }) => {
      if (!existsSync(file)) return [`${row[0]}: ${file}`];
      const text = readFileSync(file, 'utf8');
      return names.filter((name) => !text.includes(name)).map((name) => `${row[0]}: ${file} "${name}"`);
    }),
  );
}
