import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Compiles `tsconfig.<target>.json` and returns whether it succeeded. Skips the targets listed in AQ_COMPILED, which
 * scripts/test.mjs has compiled for the run. Prints to standard error only: commands with `--json` use standard output.
 */
export function compile(target) {
  if ((process.env.AQ_COMPILED ?? '').split(',').includes(target)) return true;
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
  return result.status === 0;
}
