/** The options of a node's process, and the messages between a node and the harness: one JSON object per line. */
import type { Socket } from 'node:net';
import type { PeerHealth } from 'atomic-queues';
import type { Job } from '../sim/job.js';
import type { Settings } from '../sim/plan.js';

export interface NodeOptions {
  /** Name of the node's place, as links and histories use it. */
  readonly name: string;
  readonly serverId: string;
  /** Number of the process, counted over all nodes. */
  readonly run: number;
  readonly redisUrl: string;
  readonly keyPrefix: string;
  readonly control: { readonly host: string; readonly port: number };
  /** Path of the file in which this process records its events. */
  readonly recordPath: string;
  /** Host time at which the history begins. */
  readonly originMs: number;
  readonly settings: Settings;
  /** Addresses for gRPC. Undefined: nodes use pub/sub. */
  readonly grpc: { readonly listen: string; readonly advertise: string } | undefined;
  /** Addresses of host names as this node sees them. */
  readonly hosts: Readonly<Record<string, string>>;
}

/**
 * Returns the serverId of a server at a place. One server after another may take a place, so the id contains the name of the
 * place.
 */
export const serverIdOf = (name: string, again: number): string => (again === 0 ? name : `${name}.${again}`);
export const placeNameOf = (serverId: string): string => serverId.split('.')[0] as string;

/** A client's call. */
export interface Send {
  readonly entity: string;
  readonly job: Job;
  readonly how: 'enqueue' | 'wait';
  readonly id?: string | undefined;
  readonly onTimeout?: 'keep' | 'withdraw' | undefined;
  readonly timeoutMs?: number | undefined;
  readonly probe: boolean;
}

export interface Told {
  readonly outcome: 'ok' | 'fail' | 'unknown';
  readonly code: string;
}

/** A request of a handler to the bank. The bank is in the harness and stands for a database. */
export interface BankAsk {
  readonly do: 'read' | 'write';
  readonly entity: string;
  readonly seq: number;
  readonly incarnation: number;
  readonly fence: number;
  readonly fenced: boolean;
  /** Whether the bank keeps the result per message, so that a handler that runs twice finds what its first run wrote. */
  readonly journal: boolean;
  /** New balance, for a write. */
  readonly balance: number;
}
export interface BankAnswer {
  readonly accepted: boolean;
  readonly balance: number;
}

export interface NodeStatus {
  readonly state: string;
  readonly running: number;
  readonly waiting: number;
  readonly owned: number;
  readonly suspended: boolean;
  readonly degraded: boolean;
  readonly wallMs: number;
  /** State of the link to each peer, by name of the peer. */
  readonly links: Readonly<Record<string, PeerHealth['link']>>;
}

export type ToNode =
  | { readonly kind: 'send'; readonly n: number; readonly send: Send }
  | { readonly kind: 'answer'; readonly n: number; readonly answer: BankAnswer }
  | { readonly kind: 'status'; readonly n: number }
  | { readonly kind: 'block'; readonly ms: number }
  | { readonly kind: 'close' };

export type FromNode =
  | { readonly kind: 'hello'; readonly name: string; readonly run: number }
  | { readonly kind: 'ready' }
  | { readonly kind: 'told'; readonly n: number; readonly told: Told }
  | { readonly kind: 'ask'; readonly n: number; readonly ask: BankAsk }
  | { readonly kind: 'status'; readonly n: number; readonly status: NodeStatus };

/** Sends and receives lines of JSON over a socket. */
export class Lines<In, Out> {
  #rest = '';

  constructor(
    readonly socket: Socket,
    onMessage: (message: In) => void,
  ) {
    socket.setNoDelay(true);
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (this.#rest + chunk).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) onMessage(JSON.parse(line) as In);
    });
  }

  send(message: Out): void {
    if (this.socket.writable) this.socket.write(`${JSON.stringify(message)}\n`);
  }
}
