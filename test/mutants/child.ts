/** A child process in a group of its own, with limits of time. */
import { spawn } from 'node:child_process';

export interface Limits {
  readonly totalMs: number;
  /** Without a line of output. */
  readonly silenceMs: number;
  /** Asked once in a while: whether there is no need to go on. */
  readonly isOver?: () => boolean;
}

const ASK_EVERY_MS = 500;

export interface Ended {
  readonly code: number | null;
  /** Which limit ended it. */
  readonly cut: 'total' | 'silence' | undefined;
  readonly lines: readonly string[];
  readonly ms: number;
}

/** The process groups that run. */
const groups = new Set<number>();

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The whole group has ended.
  }
}

export function killAllGroups(): void {
  for (const pid of groups) killGroup(pid);
}

export interface Command {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `node ...args`. Resolves when it has ended, and then nothing of its group is left. */
export function runNode({ args, cwd, env }: Command, limits: Limits): Promise<Ended> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { pid } = child;
    if (pid !== undefined) groups.add(pid);
    let text = '';
    let cut: Ended['cut'];
    const end = (why: 'total' | 'silence') => () => {
      cut ??= why;
      if (pid !== undefined) killGroup(pid);
    };
    const total = setTimeout(end('total'), limits.totalMs);
    const silence = setTimeout(end('silence'), limits.silenceMs);
    const ask = setInterval(() => {
      if (limits.isOver?.() === true && pid !== undefined) killGroup(pid);
    }, ASK_EVERY_MS);
    const take = (chunk: string): void => {
      text += chunk;
      silence.refresh();
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(total);
      clearTimeout(silence);
      clearInterval(ask);
      if (pid !== undefined) {
        killGroup(pid);
        groups.delete(pid);
      }
      resolve({ code, cut, lines: text.split('\n').filter((line) => line !== ''), ms: Math.round(performance.now() - startMs) });
    });
  });
}
