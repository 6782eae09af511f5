/**
 * The interface of a driver. A driver opens a world: one Redis, one Toxiproxy, and as many nodes as the run needs. Each node
 * reaches Redis and every other node through a proxy of its own. The code that all drivers share (scenarios, load, history) uses
 * nothing else.
 */
import type { NodeOptions } from './wire.js';

export interface Versions {
  readonly redis: string;
  readonly toxiproxy: string;
  readonly node: string;
}

/** Wrong usage, or a machine that lacks something. The suite prints the message in one line and exits with 2. */
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

/** Addresses of a proxy, as Toxiproxy sees them. */
export interface ProxySpec {
  readonly listen: string;
  readonly upstream: string;
}

export interface World {
  /** Direct address of Redis, past all proxies, for the harness. */
  readonly redis: { readonly host: string; readonly port: number };
  readonly toxiproxyUrl: string;
  redisLink(name: string): ProxySpec;
  /** Returns the proxy through which `from` connects to `to`. */
  peerLink(from: string, to: string): ProxySpec;
  placeOf(name: string): Pick<NodeOptions, 'redisUrl' | 'control' | 'hosts' | 'recordPath'> & { grpc: NodeOptions['grpc'] };
  /** Starts a node's process. `env` is added to the environment of every node. */
  spawn(options: NodeOptions, env: Readonly<Record<string, string>>): Process;
  readonly store: StoreProcess;
  close(): Promise<void>;
}

export interface Process {
  /** Resolves with the exit code, or with null after a signal. */
  readonly exited: Promise<number | null>;
  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** The last 4000 characters that the process wrote to standard error. */
  readonly stderr: string;
  /**
   * Containers only: `freeze` freezes the control group, `disconnect` takes the container off its data network. Both return the
   * undo.
   */
  freeze?(): Promise<() => Promise<void>>;
  disconnect?(): Promise<() => Promise<void>>;
}

export interface StoreProcess {
  /** Ends the process. Its data stays. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** Creates a folder in the data folder, so that Redis cannot write a file of that name. Returns the undo. */
  block(name: string): Promise<() => Promise<void>>;
}
