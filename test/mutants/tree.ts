/**
 * A copy of the repository for one worker, in which one file at a time is mutated: its sources for the tests, and its compiled modules
 * for the simulator. Packages are found in the folders above.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { changed, type Mutant } from './mutant.js';
import { transpiled } from './operators.js';

export const BUILD = 'build/mutants';

/** Holds the assembled scripts. */
export const GENERATED = 'src/redis/script.gen.ts';

/** All files of the working tree that git does not ignore. */
function filesOfTree(): readonly string[] {
  const { stdout, status } = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error('npm run mutants needs git and a clone');
  return stdout.split('\0').filter((path) => path !== '' && existsSync(path));
}

export class Tree {
  /** The copy of the sources. */
  readonly dir: string;
  /** The compiled modules: `sim`, `src`, `test/mutants`. */
  readonly compiledDir: string;

  constructor(worker: number) {
    this.dir = resolve(BUILD, 'work', String(worker));
    this.compiledDir = join(this.dir, BUILD);
    rmSync(this.dir, { recursive: true, force: true });
    for (const path of filesOfTree()) cpSync(path, join(this.dir, path));
    for (const part of ['sim', 'src', 'test']) cpSync(join(BUILD, part), join(this.compiledDir, part), { recursive: true });
    symlinkSync(resolve('node_modules'), join(this.dir, 'node_modules'));
  }

  /** Puts the mutant in place. Returns false, and changes nothing, if it is no program. */
  put(mutant: Mutant, text: string): boolean {
    const mutated = changed(text, mutant);
    this.write(mutant.path, mutated);
    const isPut = mutant.area === 'lua' ? this.generate() : this.compile(mutant.path, mutated);
    if (!isPut) this.restore(mutant, text);
    return isPut;
  }

  restore({ area, path }: Mutant, text: string): void {
    this.write(path, text);
    const source = area === 'lua' ? GENERATED : path;
    if (area === 'lua') this.write(source, readFileSync(source, 'utf8'));
    const module = compiledOf(source);
    cpSync(join(BUILD, module), join(this.compiledDir, module));
  }

  /** Puts an instrumented source in place. */
  putText(path: string, text: string): void {
    this.write(path, text);
    if (path.startsWith('src/') && !this.compile(path, text)) throw new Error(`${path}: the instrumented text is no program`);
  }

  private write(path: string, text: string): void {
    const target = join(this.dir, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }

  private compile(path: string, text: string): boolean {
    const code = transpiled(path, text);
    if (code !== undefined) writeFileSync(join(this.compiledDir, compiledOf(path)), code);
    return code !== undefined;
  }

  /** Assembles the scripts, as scripts/gen-lua.mjs does in the repository. */
  private generate(): boolean {
    const { status } = spawnSync(process.execPath, [join(this.dir, 'scripts/gen-lua.mjs')], { cwd: this.dir });
    const text = readFileSync(join(this.dir, GENERATED), 'utf8');
    return status === 0 && this.compile(GENERATED, text);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const compiledOf = (path: string): string => path.replace(/\.ts$/, '.js');
