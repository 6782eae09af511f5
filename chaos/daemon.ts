/** Provides a Docker daemon: one that already runs, or one that is started for the time of the run. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findOnPath } from '../demo/machine.js';
import { UsageError } from './driver.js';
import { Guard } from './guard.js';
import { aptInstall, type Say } from './setup.js';

const START_MS = 30_000;
const END_MS = 15_000;

const BRIDGE = '/sys/class/net/docker0';
const FORWARDING = '/proc/sys/net/ipv4/ip_forward';

/**
 * Returns a shell command that undoes the changes that a daemon makes to the machine's network and leaves behind when it ends.
 */
function undoNetwork(): string {
  // Another daemon has made the same changes before and may depend on them.
  if (existsSync(BRIDGE)) return ':';
  const rules = spawnSync('iptables-save', ['-t', 'filter'], { encoding: 'utf8' }).stdout ?? '';
  const policy = /^:FORWARD (\S+)/m.exec(rules)?.[1] ?? 'ACCEPT';
  return [
    'ip link delete docker0',
    `iptables-save | grep -vi docker | sed "s/^:FORWARD DROP/:FORWARD ${policy}/" | iptables-restore`,
    'ip6tables-save | grep -vi docker | ip6tables-restore',
    `echo ${readFileSync(FORWARDING, 'utf8').trim()} > ${FORWARDING}`,
  ].join('; ');
}

const answers = (): boolean => spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0;

/**
 * Makes sure that `docker` reaches a daemon. Returns the function that ends the daemon if this suite started it. Throws a
 * UsageError if there is none and none can be started.
 */
export async function ensureDaemon(say: Say): Promise<() => Promise<void>> {
  const docker = findOnPath('docker');
  if (docker !== undefined && answers()) return () => Promise.resolve();
  const found = (): boolean => findOnPath('dockerd') !== undefined && findOnPath('docker') !== undefined;
  if (process.getuid?.() !== 0) throw new UsageError('no Docker daemon answers, and only root can start one');
  if (!found() && !(aptInstall('docker.io', say) && found()))
    throw new UsageError('no Docker daemon answers, and dockerd is not installed: install Docker, or use --driver local');
  // On a machine with a service manager, the package starts a daemon.
  if (answers()) return () => Promise.resolve();
  return startDaemon(say);
}

/** Returns from its log, in one line, why a daemon failed. */
function whyOf(log: string): string {
  const text = /failed to start daemon: ([\s\S]*)/.exec(log)?.[1] ?? log.trim().split('\n').at(-1) ?? '';
  return text.replace(/\s+/g, ' ').trim().slice(0, 300);
}

async function startDaemon(say: Say): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'aq-chaos-docker-'));
  const at = (name: string): string => join(dir, name);
  const host = `unix://${at('docker.sock')}`;
  say(`no Docker daemon answers: starting one in ${dir}`);
  const undo = undoNetwork();
  const log = openSync(at('log'), 'a');
  const args = ['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid'), '-H', host];
  const child = spawn('dockerd', args, { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  // The guard of a world removes its containers and networks at the same time, and may not be done when the daemon ends. Bridges
  // would then stay.
  const emptied = [
    `export DOCKER_HOST=${host}`,
    'bridges=$(timeout 20 docker network ls -q --filter type=custom)',
    'timeout 20 docker ps -aq | xargs -r timeout 20 docker rm -f',
  ].join('; ');
  const unbridged = 'for id in $bridges; do ip link delete br-$id; done';
  // A daemon that ends gracefully ends its containerd too.
  const ended = `kill ${child.pid}; while kill -0 ${child.pid}; do sleep 0.2; done; sleep 2`;
  const guard = new Guard(dir, [emptied, ended, unbridged, undo].join('; '));
  process.env.DOCKER_HOST = host;
  const end = async (): Promise<void> => {
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
    child.kill('SIGTERM');
    await Promise.race([exited, sleep(END_MS, undefined, { ref: false })]);
    spawnSync('/bin/sh', ['-c', undo], { stdio: 'ignore' });
    guard.end();
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  for (const endMs = performance.now() + START_MS; !answers(); await sleep(200)) {
    if (child.exitCode === null && performance.now() < endMs) continue;
    const why = whyOf(readFileSync(at('log'), 'utf8'));
    await end();
    throw new UsageError(`the Docker daemon did not start: ${why}`);
  }
  return end;
}
