/** Runs the world as child processes of this process, on the loopback interface. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endsWithin } from '../demo/ends-within.js';
import {
  type Driver,
  type Process,
  type ProxySpec,
  type StoreProcess,
  UsageError,
  type Versions,
  type World,
  type WorldOptions,
} from './driver.js';
import { Guard } from './guard.js';
import { serverPorts } from './ports.js';
import { answersPing, toxiproxyAnswers } from './probes.js';
import type { NodeOptions } from './wire.js';

export interface LocalTools {
  readonly redisServer: string;
  readonly toxiproxy: string;
  readonly toxiproxyVersion: string;
  /** The program of a node. */
  readonly nodeFile: string;
}

const HOST = '127.0.0.1';
const START_MS = 15_000;
const END_MS = 15_000;
/**
 * Returns the address of the link from one node to another. Linux accepts connections on all of 127/8, so each ordered pair of
 * nodes has its own address.
 */
const pairAddress = (from: number, to: number): string => `127.77.${from}.${to}`;

export class LocalDriver implements Driver {
  readonly name = 'local';

  constructor(private readonly tools: LocalTools) {}

  async versions(): Promise<Versions> {
    const redis = /v=(\S+)/.exec(spawnSync(this.tools.redisServer, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 'unknown';
    return { redis, toxiproxy: this.tools.toxiproxyVersion, node: process.versions.node };
  }

  async open(options: WorldOptions): Promise<World> {
    const world = new LocalWorld(this.tools, options, await serverPorts(2 + 2 * options.names.length));
    try {
      await world.open();
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class Child implements Process {
  readonly exited: Promise<number | null>;
  stderr = '';

  constructor(
    readonly child: ChildProcess,
    guard: Guard,
  ) {
    const { pid = 0 } = child;
    guard.add(pid);
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-4000);
    });
    this.exited = new Promise((resolve) => {
      child.once('exit', (code) => {
        guard.remove(pid);
        resolve(code);
      });
      child.once('error', () => resolve(127));
    });
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    this.child.kill(signal);
  }
}

class LocalWorld implements World {
  readonly redis: { readonly host: string; readonly port: number };
  readonly toxiproxyUrl: string;
  readonly store: StoreProcess;
  private readonly guard: Guard;
  private readonly children = new Set<Child>();
  private readonly toxiproxyPort: number;

  constructor(
    private readonly tools: LocalTools,
    private readonly options: WorldOptions,
    private readonly ports: readonly number[],
  ) {
    this.guard = new Guard(options.dir);
    this.redis = { host: HOST, port: ports[0] as number };
    this.toxiproxyPort = ports[1] as number;
    this.toxiproxyUrl = `http://${HOST}:${this.toxiproxyPort}`;
    this.store = new LocalStore(join(options.dir, 'data'), this.redis.port, () => this.startRedis());
  }

  async open(): Promise<void> {
    mkdirSync(join(this.options.dir, 'data'), { recursive: true });
    await this.store.start();
    await this.started('toxiproxy', this.tools.toxiproxy, ['-host', HOST, '-port', String(this.toxiproxyPort)], () =>
      toxiproxyAnswers(this.toxiproxyUrl),
    );
  }

  /** Starts a server. Resolves when the server replies. Throws a UsageError if it does not start. */
  private async started(what: string, command: string, args: readonly string[], answers: () => Promise<boolean>): Promise<Child> {
    const log = join(this.options.dir, `${what}.log`);
    const out = openSync(log, 'a');
    const child = this.kept(new Child(spawn(command, args, { stdio: ['ignore', out, out] }), this.guard));
    closeSync(out);
    for (const endMs = performance.now() + START_MS; ; await sleep(30)) {
      const isThere = await answers();
      // The reply may come from another server that had taken the port, so that ours has ended.
      const { exitCode, pid } = child.child;
      if (exitCode !== null || pid === undefined || (!isThere && performance.now() > endMs)) {
        const why = readFileSync(log, 'utf8').trim().split('\n').at(-1) || 'it says nothing';
        throw new UsageError(`${what} did not start: ${why.slice(0, 300)}`);
      }
      if (isThere) return child;
    }
  }

  private kept(child: Child): Child {
    this.children.add(child);
    void child.exited.then(() => this.children.delete(child));
    return child;
  }

  private startRedis(): Promise<Child> {
    const { port } = this.redis;
    const dir = join(this.options.dir, 'data');
    return this.started(
      'redis-server',
      this.tools.redisServer,
      [
        ...['--port', String(port), '--bind', HOST, '--dir', dir, '--daemonize', 'no', '--save', ''],
        ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--busy-reply-threshold', '200'],
        ...['--client-output-buffer-limit', 'normal', '0', '0', '0'],
      ],
      () => answersPing(HOST, port),
    );
  }

  private number(name: string): number {
    return this.options.names.indexOf(name);
  }

  private redisPort(name: string): number {
    return this.ports[2 + 2 * this.number(name)] as number;
  }

  private grpcPort(name: string): number {
    return this.ports[3 + 2 * this.number(name)] as number;
  }

  redisLink(name: string): ProxySpec {
    return { listen: `${HOST}:${this.redisPort(name)}`, upstream: `${HOST}:${this.redis.port}` };
  }

  peerLink(from: string, to: string): ProxySpec {
    const port = this.grpcPort(to);
    return { listen: `${pairAddress(this.number(from) + 1, this.number(to) + 1)}:${port}`, upstream: `${HOST}:${port}` };
  }

  placeOf(name: string): ReturnType<World['placeOf']> {
    const hosts = Object.fromEntries(
      this.options.names.map((to) => [
        `${to}.chaos`,
        to === name ? HOST : pairAddress(this.number(name) + 1, this.number(to) + 1),
      ]),
    );
    const port = this.grpcPort(name);
    return {
      redisUrl: `redis://${HOST}:${this.redisPort(name)}`,
      control: { host: HOST, port: this.options.controlPort },
      recordPath: this.options.dir,
      hosts,
      grpc: { listen: `${HOST}:${port}`, advertise: `${name}.chaos:${port}` },
    };
  }

  spawn(options: NodeOptions, env: Readonly<Record<string, string>>): Process {
    const child = spawn(process.execPath, ['--enable-source-maps', this.tools.nodeFile, JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    return this.kept(new Child(child, this.guard));
  }

  async close(): Promise<void> {
    const children = [...this.children];
    for (const child of children) await child.signal('SIGKILL');
    await Promise.all(children.map((child) => child.exited));
    this.guard.end();
  }
}

class LocalStore implements StoreProcess {
  private child: Child | undefined;

  constructor(
    private readonly dir: string,
    readonly port: number,
    private readonly run: () => Promise<Child>,
  ) {}

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { child } = this;
    await child?.signal(signal);
    if (child !== undefined && !(await endsWithin(child.exited, END_MS))) throw new Error(`Redis did not end after ${signal}`);
  }

  async start(): Promise<void> {
    this.child = await this.run();
  }

  async signal(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    await this.child?.signal(signal);
  }

  block(name: string): Promise<() => Promise<void>> {
    return blockFile(this.dir, name);
  }
}

/** Creates a folder at the path of a file, so that the file cannot be written. Returns the function that removes the folder. */
export async function blockFile(dir: string, name: string): Promise<() => Promise<void>> {
  const path = join(dir, name);
  mkdirSync(path);
  return async () => rmdirSync(path);
}
