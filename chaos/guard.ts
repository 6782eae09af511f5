/**
 * A shell that outlives this process, however the process ends. It then runs a command, kills the processes that were added, and
 * removes the folder.
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
    // The open pipe must not keep this process alive: the guard waits for this process to end.
    (this.#shell.stdin as Socket | null)?.unref();
  }

  add(pid: number): void {
    this.#pids.add(pid);
    this.#tell();
  }

  /** Forgets a process that has ended. The system may use its pid again, and that process must not be killed. */
  remove(pid: number): void {
    this.#pids.delete(pid);
    this.#tell();
  }

  #tell(): void {
    if (this.#shell.stdin?.writable === true) this.#shell.stdin.write(`${[...this.#pids].join(' ')}\n`);
  }

  /** Ends the guard without cleaning up. */
  end(): void {
    this.#shell.stdin?.end('end\n');
  }
}
