import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { Guard } from '../../chaos/guard.js';
import { freePort } from '../../demo/machine.js';
import { findPostgresPrograms } from '../../scripts/postgres-binary.mjs';
import { describeUnless } from './not-run.js';

/** Only ends a start that hangs. */
const START_TIMEOUT_MS = 60_000;
const USER = 'postgres';

/** Postgres refuses to run as root. `nobody` is on every Linux and owns nothing. */
const NOBODY = 65_534;
const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

const programs = findPostgresPrograms();

export interface PostgresServer {
  /** For `new Client({ connectionString })`. */
  readonly url: string;
  /** Ends the server and removes its data. May be called twice. */
  stop(): Promise<void>;
}

/** Runs the suite where there is a Postgres, or registers it as skipped under a name that says so. */
export function describePostgres(name: string, fn: () => void): void {
  describeUnless(programs === undefined ? 'postgres' : undefined, name, fn);
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

const logOf = (dir: string): string => {
  try {
    return readFileSync(join(dir, 'server.log'), 'utf8').slice(-2000);
  } catch {
    return 'it wrote no log';
  }
};

/**
 * Starts a real server with Postgres' defaults on a free port, with an empty database in its own folder. The server ends with
 * this process at the latest, whatever ends this process.
 */
export async function startPostgres(): Promise<PostgresServer> {
  if (programs === undefined) throw new Error('no postgres on PATH or in /usr/lib/postgresql: use describePostgres');
  const dir = mkdtempSync(join(tmpdir(), 'aq-postgres-'));
  if (identity.uid !== undefined) chownSync(dir, identity.uid, identity.gid);
  const guard = new Guard(dir);
  let child: ChildProcess | undefined;
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      // SIGQUIT ends Postgres at once and takes its children along.
      child.kill('SIGQUIT');
      await exited;
    }
    rmSync(dir, { recursive: true, force: true });
    guard.end();
  };
  try {
    const data = join(dir, 'data');
    const initial = ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'];
    await promisify(execFile)(join(programs, 'initdb'), initial, { ...identity, cwd: dir });
    const port = await freePort();
    const args = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', dir, '-c', 'fsync=off'];
    args.push('-c', 'logging_collector=on', '-c', `log_directory=${dir}`, '-c', 'log_filename=server.log');
    child = spawn(join(programs, 'postgres'), args, { ...identity, cwd: dir, stdio: 'ignore' });
    child.unref();
    if (child.pid !== undefined) guard.add(child.pid);
    const url = `postgres://${USER}@127.0.0.1:${port}/postgres`;
    const deadlineMs = Date.now() + START_TIMEOUT_MS;
    while (!(await answers(url))) {
      if (child.exitCode !== null || Date.now() > deadlineMs) throw new Error(`postgres did not start: ${logOf(dir)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
