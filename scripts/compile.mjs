import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Files that the code reads at run time and tsc does not carry over. */
function copyLua(outDir) {
  const src = join(ROOT, 'src');
  for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith('.lua')) continue;
    const path = join(entry.parentPath, entry.name);
    cpSync(path, join(outDir, relative(src, path)));
  }
}

/**
 * Compiles `tsconfig.<target>.json` and returns whether it succeeded. Everything it says goes to standard error, since
 * commands with `--json` own standard output.
 */
export function compile(target) {
  const project = join(ROOT, `tsconfig.${target}.json`);
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  if (!existsSync(tsc)) {
    process.stderr.write('typescript is not installed; run "npm ci" first\n');
    return false;
  }
  const result = spawnSync(process.execPath, [tsc, '-p', project, '--pretty', 'false'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.stderr.write(result.stdout);
  if (result.status !== 0) return false;
  const { outDir } = JSON.parse(readFileSync(project, 'utf8')).compilerOptions;
  copyLua(join(ROOT, outDir, target === 'build' ? '' : 'src'));
  return true;
}
