/**
 * Where a run takes place. A driver opens a world: one Redis, one Toxiproxy, and as many nodes as are asked for, each of which
 * sees Redis and every other node through a proxy of its own. What the drivers share (scenarios, load, history) is built on
 * nothing but this.
 */
import type { NodeOptions } from './wire.js';

export interface Versions {
  readonly redis: string;
  readonly toxiproxy: string;
  readonly node: string;
}

/** Wrong usage, or a machine that lacks something: one line, exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Driver {
  readonly name: 'local' | 'docker';
  versions(): Promise<Versions>;
  open(options: WorldOptions): Promise<World>;
  /** Removes what the driver keeps between worlds. */
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly names: readonly string[];
  /** Folder of the run: records, logs, data. */
  readonly dir: string;
  /** Port of the harness that nodes connect to. */
  readonly controlPort: number;
}

/** Addresses as Toxiproxy sees them. */
export interface ProxySpec {
  readonly listen: string;
  readonly upstream: string;
}

export interface World {
  /** Past all proxies, for the harness. */
  readonly redis: { readonly host: string; readonly port: number };
  readonly toxiproxyUrl: string;
  redisLink(name: string): ProxySpec;
  /** What `from` connects to as `to`. */
  peerLink(from: string, to: string): ProxySpec;
  placeOf(name: string): Pick<NodeOptions, 'redisUrl' | 'control' | 'hosts' | 'recordPath'> & { grpc: NodeOptions['grpc'] };
  /** `env`: besides what every node gets. */
  spawn(options: NodeOptions, env: Readonly<Record<string, string>>): Process;
  readonly store: StoreProcess;
  close(): Promise<void>;
}

export interface Process {
  /** Resolves with its exit code, null after a signal. */
  readonly exited: Promise<number | null>;
  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** The last lines that it wrote to standard error. */
  readonly stderr: string;
  /** Of a container only: the freezer of its control group, and its networks. */
  freeze?(): Promise<() => Promise<void>>;
  disconnect?(): Promise<() => Promise<void>>;
}

export interface StoreProcess {
  /** Ends it; its data stays. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** A file or folder in its data folder, to be in its way. */
  block(name: string): Promise<() => Promise<void>>;
}
