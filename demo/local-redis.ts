/** Starts a redis-server as a child process on a free port, with its data in a temporary folder. Both end with this process. */
import { ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './machine.js';

export interface LocalRedis {
  readonly port: number;
  readonly url: string;
  /** Name of the running binary: redis-server or valkey-server. */
  readonly binary: string;
  stop(): Promise<void>;
}

const START_MS = 10_000;
const running = new Map<ChildProcess, string>();

process.on('exit', () => {
  for (const [child, dir] of running) {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143));
}

export async function startLocalRedis(binary: string, appendfsync: 'everysec' | 'always'): Promise<LocalRedis> {
  const port = await freePort();
  const dir = mkdtempSync(path.join(tmpdir(), 'aq-redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'yes'];
  args.push('--appendfsync', appendfsync, '--auto-aof-rewrite-percentage', '0', '--daemonize', 'no');
  const child = spawn(binary, args, { stdio: 'ignore' });
  running.set(child, dir);
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const deadlineMs = performance.now() + START_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > deadlineMs) throw new Error(`${binary} did not start on port ${port}`);
    await sleep(30);
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    binary: path.basename(binary),
    stop: async () => {
      child.kill('SIGTERM');
      const stuck = setTimeout(() => child.kill('SIGKILL'), 5000);
      await gone;
      clearTimeout(stuck);
      running.delete(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(500, () => socket.destroy());
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      resolve(data.toString().startsWith('+PONG'));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
