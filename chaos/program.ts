/**
 * Provides the program of a node. A node loads the library by name, as users do, from the files that `npm pack` ships, unpacked
 * beside the program. The harness instead shares source code with the simulator: it judges the package and does not run on it.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from './driver.js';
import type { Say } from './setup.js';

export const NODE_FILE = fileURLToPath(new URL('./node.js', import.meta.url));
/** Folder of the compiled suite. */
export const BUILT = dirname(dirname(NODE_FILE));
/** Path of the package within a build of the suite. */
export const PACKAGE = 'node_modules/atomic-queues';
/** Files and folders that the package is made from. */
const SOURCES = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs', 'scripts/compile.mjs', 'src'];

/**
 * Returns the path of a node's program. Packs the library that it loads, unless that is done and the sources have not changed
 * since.
 */
export function nodeProgram(say: Say): string {
  const stamp = join(BUILT, 'node_modules/.packed-from');
  const sources = hashOf(SOURCES);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return NODE_FILE;
  say('building the package and packing it');
  rmSync(join(BUILT, 'node_modules'), { recursive: true, force: true });
  mkdirSync(join(BUILT, PACKAGE), { recursive: true });
  run(process.execPath, 'scripts/build.mjs');
  run('npm', 'pack', '--ignore-scripts', '--pack-destination', join(BUILT, 'node_modules'));
  const packed = readdirSync(join(BUILT, 'node_modules')).find((file) => file.endsWith('.tgz')) as string;
  run('tar', '-xzf', join(BUILT, 'node_modules', packed), '-C', join(BUILT, PACKAGE), '--strip-components', '1');
  // Within its own scope a package resolves its own name to itself first. This file puts the program into another scope.
  writeFileSync(join(BUILT, 'package.json'), '{ "private": true, "type": "module" }\n');
  writeFileSync(stamp, sources);
  return NODE_FILE;
}

function run(command: string, ...args: readonly string[]): void {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return;
  const why = error?.message ?? `${stderr}${stdout}`.trim().split('\n').at(-1);
  throw new UsageError(`the package could not be built: ${command} ${args[0]}: ${why}`);
}

function hashOf(paths: readonly string[]): string {
  const hash = createHash('sha256');
  const files = paths.flatMap((path) =>
    statSync(path).isDirectory()
      ? readdirSync(path, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
          .sort()
      : [path],
  );
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}
