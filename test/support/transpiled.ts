import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TransformOptions, transformSync } from 'esbuild';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Without the metadata of decorators: such programs say by `@Inject` what they need. */
const OPTIONS: TransformOptions = {
  ...{ loader: 'ts', format: 'esm', target: 'node20' },
  tsconfigRaw: { compilerOptions: { experimentalDecorators: true, useDefineForClassFields: true } },
};

/** Types are left to the compiler: this only strips them. */
export const transpileText = (text: string): string => transformSync(text, OPTIONS).code;

/** Folders of this repository as JavaScript, for tests that run programs or threads of it. */
export interface Transpiled {
  /** Holds `src`, `test`, ... as the repository does. */
  readonly dir: string;
  remove(): void;
}

/** Below build/, so that packages are found from there. */
export function transpile(name: string, ...folders: readonly string[]): Transpiled {
  const dir = join(ROOT, 'build', `${name}-${process.pid}`);
  for (const folder of folders) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = join(entry.parentPath, entry.name);
      const target = join(dir, relative(ROOT, path)).replace(/\.ts$/, '.js');
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, transpileText(readFileSync(path, 'utf8')));
    }
  }
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
