// Checks what `npm pack` would publish: the entries of the exports map exist, only the build and known files are packed, and
// publint finds no fault. The output contains no time and no random order, so the same build gives the same output.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { ROOT } from './compile.mjs';

/** Packed files besides the build: files that the README and error messages refer to. */
const PACKED = /^(package\.json|LICENSE|[A-Z]+\.md|bench\/README\.md|docs\/[\w/-]+\.md)$/;

function packedFiles() {
  // --ignore-scripts: check the existing build, and do not start a new one.
  const result = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`npm pack failed:\n${result.stderr}`);
  const parsed = JSON.parse(result.stdout);
  const [pack] = Array.isArray(parsed) ? parsed : Object.values(parsed);
  return pack.files.map((file) => file.path);
}

const targetsOf = (entry) => (typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(targetsOf));

const pkg = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const files = packedFiles();
const faults = [];
for (const target of [pkg.main, pkg.module, pkg.types, ...targetsOf(pkg.exports), ...targetsOf(pkg.bin ?? {})]) {
  if (!files.includes(target.replace(/^\.\//, ''))) faults.push(`package.json names ${target}, which is not packed`);
}
for (const file of files) {
  if (!file.startsWith('dist/') && !PACKED.test(file)) faults.push(`${file} is packed and should not be`);
}
const { messages } = await publint({ pkgDir: ROOT, pack: 'npm', strict: true });
faults.push(...messages.map((message) => `publint: ${formatMessage(message, pkg)}`));

for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
