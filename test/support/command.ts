import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { compile, ROOT } from '../../scripts/compile.mjs';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const compiled = new Map<string, boolean>();

/** Compiles a target of scripts/run.mjs, once for a test file. */
function compiledOnce(target: string): void {
  if (!compiled.has(target)) compiled.set(target, compile(target));
  if (compiled.get(target) !== true) throw new Error(`tsconfig.${target}.json does not compile`);
}

/** Does what `scripts/run.mjs target entry arguments` does, to its end, or to that of the test, which no process outlives. */
export async function runCommand(target: string, entry: string, ...args: readonly string[]): Promise<Ended> {
  compiledOnce(target);
  const main = join(ROOT, 'build', target, `${entry}.js`);
  const child = spawn(process.execPath, ['--enable-source-maps', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  onTestFinished(() => endGroup(child));
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [code] = await ended;
  return { code, stdout, stderr };
}

/** Its whole process group, what it has started included. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

/** The JSON object that a command leaves as its last line. */
export const lastLine = <T>({ stdout }: Ended): T => JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
