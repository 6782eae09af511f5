/**
 * A shell that outlives this process whatever ends it, and then runs a command, kills what it was told of, and removes the folder.
 */
import { type ChildProcess, spawn } from 'node:child_process';

const SCRIPT = [
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
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'chaos-guard', dir, command], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#shell.unref();
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
    this.#shell.stdin?.write(`${[...this.#pids].join(' ')}\n`);
  }

  /** There is nothing left to be done. */
  end(): void {
    this.#shell.stdin?.end('end\n');
  }
}
