/**
 * A shell that outlives this process whatever ends it, and then runs a command, kills what it was told of, and removes the folder.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

export const guardScript = [
  'trap "" INT TERM HUP; pids=""',
  'while read -r line; do [ "$line" = end ] && exit 0; pids=$line; done',
  'sh -c "$2" >/dev/null 2>&1',
  '[ -n "$pids" ] && kill -9 $pids 2>/dev/null',
  'rm -rf "$1"',
].join('; ');

export class Guard {
  readonly #shell: ChildProcess;
  readonly #pids = new Set<number>();

  constructor(dir: string, command = ':') {
    this.#shell = spawn('/bin/sh', ['-c', guardScript, 'guard', dir, command], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#shell.unref();
    // This process must be able to end while the pipe is open: its end is what the guard waits for.
    (this.#shell.stdin as Socket | null)?.unref();
  }

  add(pid: number): void {
    this.#pids.add(pid);
    this.#tell();
  }

  /** A number that is used again must not be killed. */
  remove(pid: number): void {
    this.#pids.delete(pid);
    this.#tell();
  }

  #tell(): void {
    if (this.#shell.stdin?.writable === true) this.#shell.stdin.write(`${[...this.#pids].join(' ')}\n`);
  }

  /** There is nothing left to be done. */
  end(): void {
    this.#shell.stdin?.end('end\n');
  }
}
