/**
 * One of the two connections of the Redis network. It connects in the background, however long Redis is unreachable, and
 * detects a half-open link even when nothing is sent. While it is down it queues nothing: hints are lost, or wait in the outbox.
 */
import type { Clock, Timer } from '../ports/clock.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { reasonIn } from './failures.js';

/** The part of the ioredis client that is used here. */
export interface PubSubClient {
  readonly status: string;
  readonly options: { autoResubscribe?: boolean };
  publish(channel: string, text: string): Promise<number>;
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  ping(): Promise<unknown>;
  info(section: string): Promise<string>;
  hget(key: string, field: string): Promise<string | null>;
  on(event: 'messageBuffer', listener: (channel: Buffer, data: Buffer) => void): unknown;
}

export interface LinkOptions {
  readonly connection: ConnectionOptions['connection'];
  /** Deadline of one call to Redis, ms. */
  readonly callTimeoutMs: number;
  readonly clock: Clock;
}

const CONNECT_TIMEOUT_MS = 2000;
const OPEN_AGAIN_MS = 500;
const PING_EVERY_MS = 2000;

export class PubSubLink {
  readonly #connection: Connection;
  readonly #clock: Clock;
  #client: PubSubClient | undefined;
  #openAgain: Timer | undefined;
  #ping: Timer | undefined;
  #isClosed = false;
  /** The reason to report for a link that is down if the connection has no error. */
  #problem: string | undefined;

  constructor(
    options: LinkOptions,
    /** Called with a new client before its first use. */
    private readonly onClient: (client: PubSubClient) => void,
    /** Called each time the link comes up. */
    private readonly onUp: () => void,
    /** Sends a request to the server. If there is no answer by the deadline, the connection is dropped. */
    private readonly ask: (client: PubSubClient) => Promise<unknown> = (client) => client.ping(),
  ) {
    const { connection, callTimeoutMs: storeCallTimeoutMs, clock } = options;
    this.#clock = clock;
    this.#connection = new Connection({ connection, storeCallTimeoutMs, connectTimeoutMs: CONNECT_TIMEOUT_MS, clock }, () =>
      this.#up(),
    );
  }

  get isUp(): boolean {
    return this.#client?.status === 'ready';
  }

  /** Why the link is down; undefined if it is up or closed. */
  get problem(): string | undefined {
    if (this.isUp || this.#isClosed) return undefined;
    const { lastError } = this.#connection;
    return lastError === undefined ? this.#problem : reasonIn(lastError);
  }

  /** Connects in the background, and retries until it succeeds. */
  open(): void {
    this.#problem ??= 'there is no connection to Redis yet';
    void this.#open();
  }

  /** Sends a command. Rejects with a StoreCallError, at the deadline at the latest. */
  call<T>(send: (client: PubSubClient) => Promise<T>): Promise<T> {
    return this.#connection.call((client) => send(client as unknown as PubSubClient));
  }

  /** Drops the connection and connects again, since the server is no longer the right one. */
  leave(): void {
    this.#connection.leave();
  }

  /** Closes the connection at once, without waiting for the other end. */
  close(): void {
    this.#isClosed = true;
    this.#openAgain?.cancel();
    this.#ping?.cancel();
    this.#connection.close();
    this.#client = undefined;
  }

  async #open(): Promise<void> {
    try {
      await this.#connection.open();
      if (this.#isClosed) this.#connection.close();
      else this.#up();
    } catch (error) {
      this.#problem = reasonIn(error);
      if (!this.#isClosed) this.#openAgain = this.#clock.setTimer(OPEN_AGAIN_MS, () => this.open());
    }
  }

  #up(): void {
    const seen = this.call((client) => {
      if (client !== this.#client) this.#adopt(client);
      return Promise.resolve();
    });
    seen.then(
      () => {
        this.#problem = 'the connection to Redis broke';
        if (!this.#isClosed) this.onUp();
      },
      // The link is down again; the next reconnect calls this method again.
      () => undefined,
    );
  }

  #adopt(client: PubSubClient): void {
    this.#client = client;
    // ioredis' own resubscription ends the process with an unhandled rejection if the link breaks meanwhile.
    client.options.autoResubscribe = false;
    this.onClient(client);
    this.#armPing();
  }

  #armPing(): void {
    this.#ping?.cancel();
    this.#ping = this.#clock.setTimer(PING_EVERY_MS, () => {
      // A request without an answer drops the connection: that is how a half-open link is detected.
      this.call(this.ask).catch(() => undefined);
      this.#armPing();
    });
  }
}
