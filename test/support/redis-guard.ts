import { type ChildProcess, spawn } from 'node:child_process';

/**
 * What a shell does that outlives this process whatever ends it, kill -9 included: when its standard input closes, it
 * kills the server whose id it read last (0: none) and removes the folder.
 */
export const guardScript = [
  'trap "" INT TERM HUP; pid=0',
  'while read -r p; do pid=$p; done',
  '[ "$pid" != 0 ] && kill -9 "$pid" 2>/dev/null',
  'rm -rf "$1"',
].join('; ');

export interface Guard {
  watch(pid: number): void;
  end(): void;
}

/** Starts the guard of one server's folder. */
export function startGuard(dir: string): Guard {
  const guard: ChildProcess = spawn('/bin/sh', ['-c', guardScript, 'guard', dir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  const input = guard.stdin;
  if (input === null) throw new Error('the guard has no input');
  // The worker must be able to end while the pipe is open: its end is what the guard waits for.
  if ('unref' in input && typeof input.unref === 'function') input.unref();
  return {
    watch: (pid) => void input.write(`${pid}\n`),
    end: () => void input.end('0\n'),
  };
}
