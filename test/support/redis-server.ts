import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Guard } from '../../chaos/guard.js';
import { freePort } from '../../demo/machine.js';
import { findRedisBinary } from '../../scripts/redis-binary.mjs';
import { openExternal } from './external-redis.js';
import { describeUnless } from './not-run.js';

/** Only ends a start that hangs. */
const START_TIMEOUT_MS = 60_000;

const binary = findRedisBinary();
const externalUrl = process.env.REDIS_URL;

/** Whether a server can be used: a binary on PATH, or REDIS_URL. */
export const redisAvailable: boolean = binary !== undefined || externalUrl !== undefined;

export interface RedisOptions {
  /** Default 'everysec'. */
  readonly appendfsync?: 'everysec' | 'always';
  /** More arguments of redis-server, for instance `['--maxmemory', '10mb']`. */
  readonly extraArgs?: readonly string[];
}

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Process id; changes at a restart; 0 where the server is not ours (REDIS_URL). */
  readonly pid: number;
  /** Data folder, with `redis.log` and the append-only file; '' where the server is not ours. */
  readonly dir: string;
  /** Ends the server and removes its data. May be called twice. */
  stop(): Promise<void>;
  /** Ends the server as a power cut of its process would; the data stays. */
  kill9(): Promise<void>;
  /** Starts the server again on the same port and data, ending it in good order first if it still runs. */
  restart(): Promise<void>;
}

/**
 * Runs the suite against a Redis, or registers it as skipped under a name that says so. With `{ own: true }` it needs
 * a server that it may kill and restart, which REDIS_URL is not.
 */
export function describeRedis(name: string, fn: () => void, options: { readonly own?: boolean } = {}): void {
  const isThere = options.own === true ? binary !== undefined : redisAvailable;
  const missing = redisAvailable ? 'ITS OWN redis-server ON PATH' : 'redis-server';
  describeUnless(isThere ? undefined : missing, name, fn);
}

const answersPing = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    // With a password it says NOAUTH, which is an answer; while loading the file it says LOADING, which is not yet one.
    socket.once('data', (data) => settle(!data.toString().startsWith('-LOADING')));
    socket.once('error', () => settle(false));
    socket.setTimeout(1000, () => settle(false));
  });

class OwnRedis implements RedisServer {
  readonly #path: string;
  readonly #args: readonly string[];
  readonly #guard: Guard;
  #child: ChildProcess | undefined;
  #stopped = false;

  constructor(
    path: string,
    readonly port: number,
    readonly dir: string,
    options: RedisOptions,
  ) {
    this.#path = path;
    this.#guard = new Guard(dir);
    this.#args = [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--daemonize', 'no', '--save', ''],
      ...['--appendonly', 'yes', '--appendfsync', options.appendfsync ?? 'everysec', '--logfile', join(dir, 'redis.log')],
      ...(options.extraArgs ?? []),
    ];
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const child = spawn(this.#path, this.#args, { stdio: 'ignore' });
    child.unref();
    this.#child = child;
    const { pid } = child;
    if (pid !== undefined) {
      this.#guard.add(pid);
      child.once('exit', () => this.#guard.remove(pid));
    }
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
    });
    const deadlineMs = Date.now() + START_TIMEOUT_MS;
    while (!(await answersPing(this.port))) {
      if (failure !== undefined || child.exitCode !== null || Date.now() > deadlineMs) {
        throw new Error(`redis-server on port ${this.port} did not start: ${failure?.message ?? this.#log()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    if (child.exitCode !== null) throw new Error(`port ${this.port} was taken by another server: ${this.#log()}`);
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#end('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
    this.#guard.end();
  }

  kill9(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    if (this.#stopped) throw new Error('the server was stopped and its data removed');
    await this.#end('SIGTERM');
    await this.start();
  }

  #log(): string {
    try {
      return readFileSync(join(this.dir, 'redis.log'), 'utf8').slice(-2000);
    } catch {
      return 'it wrote no log';
    }
  }
}

async function startExternal(url: string, options: RedisOptions): Promise<RedisServer> {
  if ((options.extraArgs ?? []).length > 0 || options.appendfsync === 'always') {
    throw new Error('this test sets server options, so it needs redis-server on PATH, not REDIS_URL');
  }
  const external = await openExternal(url);
  const refuse = async () => {
    throw new Error('this test ends its server, so it needs redis-server on PATH, not REDIS_URL');
  };
  let released: Promise<void> | undefined;
  const stop = () => {
    released ??= external.release();
    return released;
  };
  return {
    port: external.port,
    url: `redis://127.0.0.1:${external.port}`,
    pid: 0,
    dir: '',
    stop,
    kill9: refuse,
    restart: refuse,
  };
}

/**
 * Starts a real server on a free port with its own folder and an append-only file. It ends with this process at the
 * latest, whatever ends this process. Without a binary it is an empty logical database of the server at REDIS_URL.
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  if (binary === undefined) {
    if (externalUrl === undefined) throw new Error('no redis-server on PATH and no REDIS_URL: use describeRedis');
    return startExternal(externalUrl, options);
  }
  const dir = mkdtempSync(join(tmpdir(), 'aq-redis-'));
  const server = new OwnRedis(binary, await freePort(), dir, options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}
