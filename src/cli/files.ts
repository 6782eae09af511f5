/** Writes generated files. Overwrites only generated files, unless forced. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ImportEnding } from '../codegen/generate.js';
import { type GeneratedFile, MARK } from '../codegen/model.js';
import { CommandError } from './terminal.js';

/** Writes the files and returns how many it wrote. Skips unchanged files, so that builds do not rebuild for them. */
export function writeFiles(directory: string, files: readonly GeneratedFile[], force: boolean): number {
  const before = new Map(files.map(({ name }) => [name, existing(join(directory, name))]));
  const foreign = files.filter(({ name }) => before.get(name)?.includes(MARK) === false).map(({ name }) => join(directory, name));
  if (foreign.length > 0 && !force)
    throw new CommandError(`not generated, so kept: ${foreign.join(', ')}; nothing was written; --force writes over them`);
  const changed = files.filter(({ name, text }) => before.get(name) !== text);
  try {
    makeDirectory(resolve(directory));
    for (const { name, text } of changed) writeFileSync(join(directory, name), text);
  } catch (error) {
    throw new CommandError(`cannot write into ${directory}: ${(error as Error).message}`);
  }
  return changed.length;
}

function existing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CommandError(`cannot read ${path}: ${message}`);
  }
}

/** Creates a directory and its parents. Node's `recursive` never ends if a directory refuses entries with ENOENT, like /proc. */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  if (dirname(path) !== path) makeDirectory(dirname(path));
  mkdirSync(path);
}

/**
 * Returns the import ending for files in `dir`. An ES module project needs the extension, `./account.js`, for Node and
 * TypeScript's nodenext. A CommonJS project has no ending, since Jest finds no `account.js` beside an `account.ts`.
 */
export function importEndingIn(dir: string): ImportEnding {
  for (let at = resolve(dir); ; at = dirname(at)) {
    const path = join(at, 'package.json');
    if (existsSync(path)) return typeOf(path) === 'module' ? '.js' : '';
    if (at === dirname(at)) return '';
  }
}

function typeOf(path: string): unknown {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { type?: unknown } | null)?.type;
  } catch (error) {
    throw new CommandError(`cannot read ${path}: ${(error as Error).message}`);
  }
}
