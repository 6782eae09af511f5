/**
 * Takes the place of ioredis below the production adapter, on connections of the simulated network.
 *
 * A connection is a stream, so a lost request or reply stalls that direction of it. The adapter fails the call at its own
 * deadline and drops the connection, and the client connects again. Requests that a stalled connection had buffered may still
 * arrive later.
 */
import { EventEmitter } from 'node:events';
import type { Clock, Timer } from '../../src/ports/clock.js';
import type { RedisClient } from '../../src/redis/connection.js';
import type { Wire } from './lua-store.js';

const RECONNECT_MS = [20, 50, 100, 200, 400, 800, 1000];

/** A request to the server. */
export type Asked = ScriptAsked | { readonly kind: 'command'; readonly name: string; readonly args: readonly string[] };

export interface ScriptAsked {
  readonly kind: 'script';
  /** The text of the script, or the hash by which the server knows it. */
  readonly script: string;
  readonly isSha: boolean;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** One connection. */
export class Link {
  isOpen = true;
  /** Nothing more gets through in this direction. */
  isOutHeld = false;
  isInHeld = false;

  constructor(readonly runId: number) {}
}

/** The adapter's view of the connection below the client. */
class Socket {
  constructor(private readonly client: SimClient) {}

  get bytesRead(): number {
    return this.client.bytesRead();
  }

  destroy(): void {
    this.client.broken();
  }
}

export class SimClient implements RedisClient {
  status = 'wait';
  readonly stream = new Socket(this);
  private answers = 0;
  private readonly events = new EventEmitter();
  private link: Link | undefined;
  /** Reject functions of the calls without an answer. */
  private readonly pending = new Set<(error: Error) => void>();
  private isClosed = false;
  private tries = 0;
  private timer: Timer | undefined;

  constructor(
    private readonly wire: Wire,
    private readonly clock: Clock,
  ) {}

  async connect(): Promise<void> {
    await this.wire.dial();
    this.connected();
  }

  private connected(): void {
    if (this.isClosed) return;
    this.link = new Link(this.wire.server.runId);
    this.tries = 0;
    this.status = 'ready';
    this.events.emit('connect');
    this.events.emit('ready');
  }

  disconnect(): void {
    this.isClosed = true;
    this.timer?.cancel();
    this.shut();
    this.status = 'end';
    this.events.removeAllListeners();
  }

  private shut(): void {
    if (this.link !== undefined) this.link.isOpen = false;
    this.wire.path.broken();
    this.link = undefined;
    for (const reject of this.pending) reject(brokenError());
    this.pending.clear();
  }

  /** Drops the connection and connects again later. */
  broken(): void {
    if (this.isClosed || this.link === undefined) return;
    this.shut();
    this.status = 'reconnecting';
    this.events.emit('close');
    this.reconnectLater();
  }

  private reconnectLater(): void {
    const delayMs = RECONNECT_MS[Math.min(this.tries++, RECONNECT_MS.length - 1)] as number;
    this.timer = this.clock.setTimer(delayMs, () => {
      this.wire.dial().then(
        () => this.connected(),
        (error: Error) => {
          if (this.isClosed) return;
          this.events.emit('error', error);
          this.reconnectLater();
        },
      );
    });
  }

  /** Returns a number that grows with each answer, and on a thin link also while an answer arrives. */
  bytesRead(): number {
    return this.answers + this.wire.path.bytesIn();
  }

  on(event: string, listener: (...args: never[]) => void): unknown {
    return this.events.on(event, listener as (...args: unknown[]) => void);
  }

  evalsha(sha: string, keys: number, args: readonly string[]): Promise<unknown> {
    return this.ask({ kind: 'script', script: sha, isSha: true, keys: args.slice(0, keys), args: args.slice(keys) });
  }

  eval(script: string, keys: number, args: readonly string[]): Promise<unknown> {
    return this.ask({ kind: 'script', script, isSha: false, keys: args.slice(0, keys), args: args.slice(keys) });
  }

  info(section: string): Promise<string> {
    return this.ask({ kind: 'command', name: 'info', args: [section] }) as Promise<string>;
  }

  type(key: string): Promise<string> {
    return this.ask({ kind: 'command', name: 'type', args: [key] }).then((answer) => (answer as { readonly ok: string }).ok);
  }

  hget(key: string, field: string): Promise<string | null> {
    return this.ask({ kind: 'command', name: 'hget', args: [key, field] }) as Promise<string | null>;
  }

  config(what: 'GET', name: string): Promise<unknown> {
    return this.ask({ kind: 'command', name: 'config', args: [what, name] });
  }

  script(what: 'LOAD', text: string): Promise<unknown> {
    return this.ask({ kind: 'command', name: 'script', args: [what, text] });
  }

  private ask(asked: Asked): Promise<unknown> {
    const { link } = this;
    if (link === undefined) return Promise.reject(new Error("Stream isn't writeable and enableOfflineQueue options is false"));
    return new Promise((resolve, reject) => {
      this.pending.add(reject);
      this.wire.send(this, link, asked, (answer) => {
        this.pending.delete(reject);
        this.answers++;
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      });
    });
  }
}

/** The error of ioredis for a call without an answer when the connection broke. */
const brokenError = (): Error => Object.assign(new Error('the connection broke'), { name: 'MaxRetriesPerRequestError' });
