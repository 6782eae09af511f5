/**
 * Runs the world as containers. Each node has its own network, which it shares with Toxiproxy only. In that network the host
 * names of Redis and of the node's peers resolve to Toxiproxy. Traffic between nodes and harness (calls, the bank) uses the
 * default bridge.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  GenericContainer,
  getContainerRuntimeClient,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';
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
import { toldBy } from './images.js';
import { blockFile } from './local.js';
import { serverPorts } from './ports.js';
import { answersPing } from './probes.js';
import type { NodeOptions } from './wire.js';

export interface DockerTools {
  readonly redisImage: string;
  readonly toxiproxyImage: string;
  readonly nodeImage: string;
  /** Version of Toxiproxy, used if its image does not report one. */
  readonly toxiproxyVersion: string;
  /** Folder of the compiled suite and its packages. Node containers mount it at the same path. */
  readonly root: string;
  readonly nodeFile: string;
  /** Ends the daemon if this suite started it. */
  end(): Promise<void>;
}

const HOST = '127.0.0.1';
/**
 * User and group of every container. This process must be able to remove the files that a container writes into the run's folder.
 */
const USER = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
const LABEL = 'atomic-queues-chaos';
const GRPC_PORT = 50051;
const REDIS_PORT = 6379;
const TOXIPROXY_PORT = 8474;
const RESTART_MS_MAX = 15_000;
const END_MS = 15_000;

interface Client {
  readonly container: { readonly dockerode: Dockerode };
}
/** The part of dockerode that this file uses. */
interface Dockerode {
  getContainer(id: string): {
    kill(options: { signal: string }): Promise<unknown>;
    start(): Promise<unknown>;
    wait(): Promise<{ StatusCode: number }>;
    pause(): Promise<unknown>;
    unpause(): Promise<unknown>;
    remove(options: { force: boolean }): Promise<unknown>;
    inspect(): Promise<{ NetworkSettings: { Networks: Readonly<Record<string, { IPAddress: string; Gateway: string }>> } }>;
  };
  getNetwork(id: string): {
    connect(options: { Container: string; EndpointConfig: { Aliases: readonly string[] } }): Promise<unknown>;
    disconnect(options: { Container: string; Force: boolean }): Promise<unknown>;
    inspect(): Promise<{ IPAM: { Config: readonly { Gateway: string }[] } }>;
  };
}

export class DockerDriver implements Driver {
  readonly name = 'docker';
  private worlds = 0;

  constructor(private readonly tools: DockerTools) {
    // The reaper of testcontainers is an image from a registry. The guard cleans up instead.
    process.env.TESTCONTAINERS_RYUK_DISABLED = 'true';
    process.env.TESTCONTAINERS_HOST_OVERRIDE = HOST;
  }

  async versions(): Promise<Versions> {
    const { redisImage, toxiproxyImage, nodeImage, toxiproxyVersion } = this.tools;
    const redis = /v=(\S+)/.exec(toldBy(redisImage, ['redis-server', '--version']))?.[1] ?? 'unknown';
    const toxiproxy = /(\d+\.\d+\.\d+)/.exec(toldBy(toxiproxyImage, ['--version']))?.[1] ?? toxiproxyVersion;
    return { redis, toxiproxy, node: toldBy(nodeImage, ['node', '--version']).trim().slice(1) };
  }

  async open(options: WorldOptions): Promise<World> {
    const { dockerode } = ((await getContainerRuntimeClient()) as unknown as Client).container;
    const world = new DockerWorld(this.tools, options, dockerode, `zz-chaos-${process.pid}-${++this.worlds}`);
    try {
      await world.open();
    } catch (error) {
      await world.close();
      throw new UsageError(`the containers could not be started: ${(error as Error).message.split('\n')[0]}`);
    }
    return world;
  }

  close(): Promise<void> {
    return this.tools.end();
  }
}

class DockerWorld implements World {
  redis = { host: HOST, port: 0 };
  toxiproxyUrl = '';
  store!: StoreProcess;
  private readonly guard: Guard;
  private readonly networks = new Map<string, StartedNetwork>();
  private readonly containers = new Set<DockerProcess>();
  private readonly servers: StartedTestContainer[] = [];
  /** Addresses of Toxiproxy, by name of the network. */
  private toxiproxyAt: Readonly<Record<string, { readonly IPAddress: string }>> = {};
  private gateway = '';

  constructor(
    private readonly tools: DockerTools,
    private readonly options: WorldOptions,
    private readonly docker: Dockerode,
    private readonly id: string,
  ) {
    const containers = `docker ps -aq --filter label=${LABEL}=${id} | xargs -r docker rm -f`;
    const networks = `docker network ls -q --filter name=${id} | xargs -r docker network rm`;
    this.guard = new Guard(options.dir, `${containers}; ${networks}`);
  }

  async open(): Promise<void> {
    const { names, dir } = this.options;
    mkdirSync(join(dir, 'data'));
    for (const name of ['store', ...names]) this.networks.set(name, await this.network(name));
    const bridge = await this.docker.getNetwork('bridge').inspect();
    this.gateway = bridge.IPAM.Config[0]?.Gateway ?? '172.17.0.1';
    const [redisPort, toxiproxyPort] = (await serverPorts(2)) as [number, number];
    this.redis = { host: HOST, port: redisPort };
    const redis = await this.startRedis(redisPort);
    this.store = new DockerStore(this.docker, redis.getId(), join(dir, 'data'), redisPort);
    await this.startToxiproxy(toxiproxyPort);
  }

  private network(name: string): Promise<StartedNetwork> {
    // The name sorts behind the default bridge, because published ports must keep the bridge's address.
    return new Network({ nextUuid: () => `${this.id}-${name}` }).start();
  }

  private container(image: string, network: string): GenericContainer {
    return new GenericContainer(image)
      .withLabels({ [LABEL]: this.id })
      .withNetwork(this.networks.get(network) as StartedNetwork)
      .withUser(USER)
      .withAutoRemove(false);
  }

  private async startRedis(port: number): Promise<StartedTestContainer> {
    const server = await this.container(this.tools.redisImage, 'store')
      .withNetworkAliases('store.redis')
      .withExposedPorts({ container: REDIS_PORT, host: port })
      .withBindMounts([{ source: join(this.options.dir, 'data'), target: '/data', mode: 'rw' }])
      .withCommand([
        ...[
          'redis-server',
          '--dir',
          '/data',
          '--save',
          '',
          '--appendonly',
          'yes',
          '--appendfsync',
          'everysec',
          '--protected-mode',
          'no',
        ],
        ...['--busy-reply-threshold', '200', '--client-output-buffer-limit', 'normal', '0', '0', '0'],
      ])
      .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
      .start();
    this.servers.push(server);
    return server;
  }

  private async startToxiproxy(port: number): Promise<void> {
    const server = await this.container(this.tools.toxiproxyImage, 'store')
      .withExposedPorts({ container: TOXIPROXY_PORT, host: port })
      .withCommand(['-host=0.0.0.0'])
      .withWaitStrategy(Wait.forHttp('/version', TOXIPROXY_PORT))
      .start();
    this.servers.push(server);
    this.toxiproxyUrl = `http://${HOST}:${port}`;
    const { names } = this.options;
    for (const name of names) {
      const peers = names.filter((n) => n !== name).map((n) => `${n}.chaos`);
      await this.join(name, server.getId(), ['redis.chaos', ...peers]);
    }
    this.toxiproxyAt = (await this.docker.getContainer(server.getId()).inspect()).NetworkSettings.Networks;
  }

  private async join(network: string, container: string, aliases: readonly string[]): Promise<void> {
    const { docker } = this;
    await docker.getNetwork(`${this.id}-${network}`).connect({ Container: container, EndpointConfig: { Aliases: aliases } });
  }

  private addressOn(name: string): string {
    return this.toxiproxyAt[`${this.id}-${name}`]?.IPAddress ?? '';
  }

  redisLink(name: string): ProxySpec {
    return { listen: `${this.addressOn(name)}:${REDIS_PORT}`, upstream: `store.redis:${REDIS_PORT}` };
  }

  peerLink(from: string, to: string): ProxySpec {
    const port = this.grpcPort(to);
    return { listen: `${this.addressOn(from)}:${port}`, upstream: `${to}.node:${port}` };
  }

  private grpcPort(name: string): number {
    return GRPC_PORT + this.options.names.indexOf(name);
  }

  placeOf(name: string): ReturnType<World['placeOf']> {
    const port = this.grpcPort(name);
    return {
      redisUrl: `redis://redis.chaos:${REDIS_PORT}`,
      control: { host: this.gateway, port: this.options.controlPort },
      recordPath: this.options.dir,
      hosts: {},
      grpc: { listen: `0.0.0.0:${port}`, advertise: `${name}.chaos:${port}` },
    };
  }

  spawn(options: NodeOptions, env: Readonly<Record<string, string>>): Process {
    const { root, nodeImage, nodeFile } = this.tools;
    const { dir } = this.options;
    const { name } = options;
    const aliases = [`${name}.chaos`, `${name}.node`];
    const container = this.container(nodeImage, name)
      .withNetworkAliases(...aliases)
      .withEnvironment(env)
      .withBindMounts([
        { source: root, target: root, mode: 'ro' },
        { source: dir, target: dir, mode: 'rw' },
      ])
      .withCommand(['node', '--enable-source-maps', nodeFile, JSON.stringify(options)]);
    const process = new DockerProcess(this.docker, container, `${this.id}-${name}`, aliases);
    this.containers.add(process);
    void process.exited.then(() => this.containers.delete(process));
    return process;
  }

  async close(): Promise<void> {
    await Promise.all([...this.containers].map((c) => c.signal('SIGKILL')));
    await Promise.all([...this.containers].map((c) => c.exited));
    await Promise.all(this.servers.map((s) => this.docker.getContainer(s.getId()).remove({ force: true })));
    for (const network of this.networks.values()) await network.stop();
    this.guard.end();
  }
}

class DockerProcess implements Process {
  readonly exited: Promise<number | null>;
  stderr = '';
  private readonly started: Promise<string>;

  constructor(
    private readonly docker: Dockerode,
    container: GenericContainer,
    private readonly network: string,
    private readonly aliases: readonly string[],
  ) {
    const take = (stream: Readable): void =>
      void stream.on('data', (chunk: Buffer | string) => {
        this.stderr = (this.stderr + chunk.toString()).slice(-4000);
      });
    this.started = container
      .withLogConsumer(take)
      .start()
      .then((c) => c.getId());
    this.exited = this.started.then((id) => this.end(id)).catch(() => 127);
  }

  private async end(id: string): Promise<number | null> {
    const { StatusCode: code } = await this.docker.getContainer(id).wait();
    await this.docker.getContainer(id).remove({ force: true });
    // By the shell's convention, a code above 128 means that a signal ended the process.
    return code > 128 ? null : code;
  }

  async signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const id = await this.started.catch(() => undefined);
    // Signalling a process that is gone is no error.
    if (id !== undefined)
      await this.docker
        .getContainer(id)
        .kill({ signal })
        .catch(() => undefined);
  }

  async freeze(): Promise<() => Promise<void>> {
    const container = this.docker.getContainer(await this.started);
    await container.pause();
    return async () => {
      await container.unpause();
    };
  }

  async disconnect(): Promise<() => Promise<void>> {
    const { aliases } = this;
    const container = await this.started;
    const network = this.docker.getNetwork(this.network);
    await network.disconnect({ Container: container, Force: true });
    return async () => {
      await network.connect({ Container: container, EndpointConfig: { Aliases: aliases } });
    };
  }
}

class DockerStore implements StoreProcess {
  constructor(
    private readonly docker: Dockerode,
    private readonly id: string,
    private readonly dir: string,
    private readonly port: number,
  ) {}

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const container = this.docker.getContainer(this.id);
    const ended = container.wait();
    await container.kill({ signal });
    if (!(await endsWithin(ended, END_MS))) throw new Error(`the container of Redis did not end after ${signal}`);
  }

  async start(): Promise<void> {
    await this.docker.getContainer(this.id).start();
    for (const endMs = performance.now() + RESTART_MS_MAX; !(await answersPing(HOST, this.port)); await sleep(30))
      if (performance.now() > endMs) throw new Error('the container of Redis did not come back');
  }

  async signal(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    await this.docker.getContainer(this.id).kill({ signal });
  }

  block(name: string): Promise<() => Promise<void>> {
    return blockFile(this.dir, name);
  }
}

/** Returns whether the image is present or can be pulled. */
export function hasImage(name: string): boolean {
  for (const args of [
    ['image', 'inspect', name],
    ['pull', '--quiet', name],
  ]) {
    try {
      execFileSync('docker', args, { stdio: 'ignore' });
      return true;
    } catch {
      // Try the next command.
    }
  }
  return false;
}
