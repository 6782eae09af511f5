/**
 * One of the two connections of the network: opens by itself, however long Redis is away, and notices a half-open link also
 * when nothing is sent. What it may do while it is down is nothing: hints are lost, or wait in the outbox.
 */
import type { Clock, Timer } from '../ports/clock.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { reasonIn } from './failures.js';

/** What is used of an ioredis client here. */
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
  /** Deadline of one call, ms. */
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
  /** What to say of a link that is down if the client knows no better. */
  #problem: string | undefined;

  constructor(
    options: LinkOptions,
    /** A new client, before its first use. */
    private readonly onClient: (client: PubSubClient) => void,
    /** The link is up, for the first time or again. */
    private readonly onUp: () => void,
    /** Asks the server for something; one that gives no answer is left. */
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

  /** Why the link is down, if it is to be up. */
  get problem(): string | undefined {
    if (this.isUp || this.#isClosed) return undefined;
    const { lastError } = this.#connection;
    return lastError === undefined ? this.#problem : reasonIn(lastError);
  }

  /** Opens in the background, and again until it succeeds. */
  open(): void {
    this.#problem ??= 'there is no connection to Redis yet';
    void this.#open();
  }

  /** Rejects with a StoreCallError, by the deadline at the latest. */
  call<T>(send: (client: PubSubClient) => Promise<T>): Promise<T> {
    return this.#connection.call((client) => send(client as unknown as PubSubClient));
  }

  /** Connects anew, since the server is not the right one any more. */
  leave(): void {
    this.#connection.leave();
  }

  /** Ends the connection at once, whatever the other end does. */
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
      // It is down again; the next time comes.
      () => undefined,
    );
  }

  #adopt(client: PubSubClient): void {
    this.#client = client;
    // The client's own way ends the process by an unhandled rejection if the link breaks meanwhile.
    client.options.autoResubscribe = false;
    this.onClient(client);
    this.#armPing();
  }

  #armPing(): void {
    this.#ping?.cancel();
    this.#ping = this.#clock.setTimer(PING_EVERY_MS, () => {
      // A question without an answer ends the connection: that is its whole point.
      this.call(this.ask).catch(() => undefined);
      this.#armPing();
    });
  }
}
