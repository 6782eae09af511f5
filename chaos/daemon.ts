/** The Docker daemon: the one that answers, or one of our own for the time of the run. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findOnPath } from '../demo/machine.js';
import { UsageError } from './driver.js';
import { Guard } from './guard.js';
import { aptInstall, type Say } from './setup.js';

const START_MS = 30_000;
const END_MS = 15_000;

const answers = (): boolean => spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0;

/** Makes sure that `docker` reaches a daemon; answers what ends it, if it is ours. */
export async function ensureDaemon(say: Say): Promise<() => Promise<void>> {
  const docker = findOnPath('docker');
  if (docker !== undefined && answers()) return () => Promise.resolve();
  const found = (): boolean => findOnPath('dockerd') !== undefined && findOnPath('docker') !== undefined;
  if (process.getuid?.() !== 0) throw new UsageError('no Docker daemon answers, and only root can start one');
  if (!found() && !(aptInstall('docker.io', say) && found()))
    throw new UsageError('no Docker daemon answers, and dockerd is not installed: install Docker, or use --driver local');
  // Where there is a service manager, the package starts one.
  if (answers()) return () => Promise.resolve();
  return startDaemon(say);
}

async function startDaemon(say: Say): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'aq-chaos-docker-'));
  const at = (name: string): string => join(dir, name);
  const host = `unix://${at('docker.sock')}`;
  say(`no Docker daemon answers: starting one in ${dir}`);
  const log = openSync(at('log'), 'a');
  const args = ['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid'), '-H', host];
  const child = spawn('dockerd', args, { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  // Ended in good order, it takes its containerd with it.
  const guard = new Guard(dir, `kill ${child.pid}; while kill -0 ${child.pid}; do sleep 0.2; done; sleep 2`);
  process.env.DOCKER_HOST = host;
  const end = async (): Promise<void> => {
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
    child.kill('SIGTERM');
    await Promise.race([exited, sleep(END_MS, undefined, { ref: false })]);
    guard.end();
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  for (const endMs = performance.now() + START_MS; !answers(); await sleep(200)) {
    if (child.exitCode === null && performance.now() < endMs) continue;
    const why = readFileSync(at('log'), 'utf8').trim().split('\n').at(-1) ?? '';
    await end();
    throw new UsageError(`the Docker daemon did not start: ${why.slice(0, 300)}`);
  }
  return end;
}
