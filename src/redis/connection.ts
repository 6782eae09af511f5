/**
 * One connection to Redis that never hides anything: nothing is queued while it is down, nothing is resent after it broke,
 * and every call settles by its own deadline. A call that got no answer in time takes its connection with it: behind a
 * half-open link everything else would wait as well, and an answer that comes late must not be taken for another call's.
 * Two cases are no half-open link: an answer that is arriving (bytes come in), and a call before it that was given more time.
 */
import { Redis } from 'ioredis';
import { addressOfRedisUrl } from '../core/redis-options.js';
import type { Clock, Timer } from '../ports/clock.js';
import { StoreCallError } from '../ports/store.js';
import { isDemoted, isLoginRefusal, notConnected, reasonIn, storeCallErrorOf } from './failures.js';

export interface RedisConnectionConfig {
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  /** true, or options for `tls.connect`. */
  readonly tls?: boolean | object;
  /** More options of ioredis, none of which the library sets. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What is used of an ioredis client; ioredis-mock has it too. */
export interface RedisClient {
  readonly status?: string;
  /** The socket, if there is one. */
  readonly stream?: { readonly bytesRead: number; destroy(): void };
  connect(): Promise<unknown>;
  disconnect(): void;
  on(event: string, listener: (...args: never[]) => void): unknown;
  evalsha(sha: string, keys: number, args: readonly string[]): Promise<unknown>;
  eval(script: string, keys: number, args: readonly string[]): Promise<unknown>;
  info(section: string): Promise<string>;
  type(key: string): Promise<string>;
  hget(key: string, field: string): Promise<string | null>;
  config(what: 'GET', name: string): Promise<unknown>;
  script(what: 'LOAD', text: string): Promise<unknown>;
}

export interface ConnectionOptions {
  /** Where Redis is, or a function that makes a client for each `open`. */
  readonly connection: RedisConnectionConfig | (() => RedisClient);
  /** Deadline of one call, ms. */
  readonly storeCallTimeoutMs: number;
  /** Deadline of connecting, ms. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
}

const RETRY_DELAYS_MS = [20, 50, 100, 200, 400, 800];
const RETRY_DELAY_MAX_MS = 1000;
const KEEP_ALIVE_MS = 5000;

function clientOf({ connection, connectTimeoutMs }: ConnectionOptions): RedisClient {
  if (typeof connection === 'function') return connection();
  const { url, tls, options: more, ...rest } = connection;
  const options = {
    keepAlive: KEEP_ALIVE_MS,
    noDelay: true,
    disableClientInfo: true,
    // `close` destroys the socket. The client's timer for that would hold the process after a socket that is gone already.
    disconnectTimeout: 0,
    ...more,
    ...rest,
    ...(tls === undefined || tls === false ? {} : { tls: tls === true ? {} : tls }),
    connectTimeout: connectTimeoutMs,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times: number) => RETRY_DELAYS_MS[times - 1] ?? RETRY_DELAY_MAX_MS,
  };
  return (url === undefined ? new Redis(options) : new Redis(url, options)) as unknown as RedisClient;
}

/** Where the connection leads, without secrets. */
function addressOf(connection: ConnectionOptions['connection']): string {
  if (typeof connection === 'function') return 'the given client';
  const { url, options, host = '127.0.0.1', port = 6379 } = connection;
  if (typeof options?.path === 'string') return options.path;
  return url === undefined ? `${host.includes(':') ? `[${host}]` : host}:${port}` : addressOfRedisUrl(url);
}

type Send<A> = (client: RedisClient) => Promise<A>;

/** One command, and what is read from its answer. */
interface Command<A, T> {
  readonly send: Send<A>;
  /** What is sent after an error by which the command was certainly not done. */
  readonly instead?: { after(error: unknown): boolean; readonly send: Send<A> };
  /** Throws a StoreCallError for an answer that cannot be read. */
  readonly read: (answer: A) => T;
}

const asItIs = <T>(answer: T): T => answer;

class Call<T> {
  #settled = false;

  constructor(
    readonly deadlineMs: number,
    /** It was given more time than others: its request is large. */
    readonly isPatient: boolean,
    readonly resolve: (value: T) => void,
    readonly reject: (error: StoreCallError) => void,
    readonly calls: Set<Call<never>>,
  ) {
    calls.add(this as unknown as Call<never>);
  }

  settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.calls.delete(this as unknown as Call<never>);
    return true;
  }

  succeed<A>(read: (answer: A) => T, answer: A): void {
    if (!this.settle()) return;
    try {
      this.resolve(read(answer));
    } catch (error) {
      this.reject(error as StoreCallError);
    }
  }

  fail(error: StoreCallError): void {
    if (this.settle()) this.reject(error);
  }
}

export class Connection {
  readonly #options: ConnectionOptions;
  /** In the order in which they left, which is that of their answers. */
  readonly #calls = new Set<Call<never>>();
  #client: RedisClient | undefined;
  #sweep: Timer | undefined;
  #handshake: Timer | undefined;
  #lastError: Error | undefined;
  #isOpened = false;
  /**
   * The client has emitted 'ready' for this connection, and `onReconnect` was called. The client sets its status earlier, and other
   * promise reactions can run between the two: their calls would reach a server that is not checked yet.
   */
  #isReady = false;
  #leftMs = Number.NEGATIVE_INFINITY;
  /** Bytes that had come in when the last answer was whole, and when the calls were last looked at. */
  #bytesAnswered = 0;
  #bytesSeen = 0;

  /** `onReconnect`: called when the connection is back after it was lost. */
  constructor(
    options: ConnectionOptions,
    readonly onReconnect: () => void,
  ) {
    this.#options = options;
  }

  /** Why there is no connection, or undefined. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /** Connects. Rejects with a StoreCallError that names the address and the cause; may be called again then. */
  async open(): Promise<void> {
    this.close();
    const client = clientOf(this.#options);
    this.#client = client;
    this.#listen(client);
    try {
      await this.#within(this.#options.connectTimeoutMs, client.status === 'wait' ? client.connect() : Promise.resolve());
    } catch (error) {
      const cause = this.#lastError ?? (error as Error);
      this.close();
      throw this.#unreachable(cause);
    }
    // ioredis 5 resolves although the server refused its user, if the server asks for no password: others could use that
    // connection, but the client leaves it.
    const cause = this.#lastError;
    if (cause !== undefined && isLoginRefusal(cause)) {
      this.close();
      throw this.#unreachable(cause);
    }
    if (cause !== undefined && /^ERR (invalid DB|DB index)/.test(cause.message)) {
      this.close();
      throw new StoreCallError(`redis.db: ${cause.message}`, true, true, { cause });
    }
    if (this.#client !== client) throw this.#unreachable(new Error('the connection was closed'));
    this.#isOpened = this.#isReady = true;
  }

  /** Ends the connection at once, whatever the other end does. */
  close(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#isOpened = this.#isReady = false;
    this.#lastError = undefined;
    this.#sweep?.cancel();
    this.#handshake?.cancel();
    this.#sweep = this.#handshake = undefined;
    client?.disconnect();
    // 'disconnect' alone waits for the other end, which may be gone. The open socket would hold the process meanwhile.
    client?.stream?.destroy();
    for (const call of this.#calls) call.fail(new StoreCallError('the connection to Redis was closed', false));
  }

  /** Sends one command by `send`, which may take `patience` deadlines; rejects with a StoreCallError. */
  call<T>(send: Send<T>, patience = 1): Promise<T> {
    return this.run({ send, read: asItIs<T> }, patience);
  }

  /** As `call`, but resolves with what is read from the answer: each promise more is a part of what a lone message costs. */
  run<A, T>(command: Command<A, T>, patience = 1): Promise<T> {
    const client = this.#client;
    if (client === undefined || !this.#isReady || (client.status !== 'ready' && client.status !== undefined)) {
      return Promise.reject(notConnected(this.#lastError));
    }
    return new Promise<T>((resolve, reject) => {
      const timeoutMs = this.#options.storeCallTimeoutMs;
      const call = new Call<T>(this.#nowMs() + timeoutMs * patience, patience > 1, resolve, reject, this.#calls);
      this.#sweep ??= this.#options.clock.setTimer(timeoutMs, this.#onSweep);
      this.#send(client, command, call);
    });
  }

  #send<A, T>(client: RedisClient, { send, instead, read }: Command<A, T>, call: Call<T>): void {
    let answer: Promise<A>;
    try {
      answer = send(client);
    } catch (error) {
      call.fail(new StoreCallError(`the call to Redis could not be made: ${String(error)}`, true, false, { cause: error }));
      return;
    }
    answer.then(
      (value) => {
        this.#bytesAnswered = client.stream?.bytesRead ?? 0;
        call.succeed(read, value);
      },
      (error: unknown) => {
        if (instead?.after(error) === true) {
          this.#send(client, { send: instead.send, read }, call);
          return;
        }
        call.fail(storeCallErrorOf(error));
        if (isDemoted(error) && this.#client === client) this.leave();
      },
    );
  }

  /** After a turn of the loop: one that was blocked reads first what has been answered meanwhile. */
  readonly #onSweep = (): void => {
    this.#sweep = undefined;
    this.#options.clock.defer(this.#failOverdue);
  };

  readonly #failOverdue = (): void => {
    const { clock, storeCallTimeoutMs } = this.#options;
    if (this.#isAnswering()) {
      this.#sweep ??= clock.setTimer(storeCallTimeoutMs, this.#onSweep);
      return;
    }
    const nowMs = this.#nowMs();
    let [late, waitMs, isHeldUp] = [false, storeCallTimeoutMs, false];
    for (const call of this.#calls) {
      if (call.deadlineMs > nowMs) {
        waitMs = Math.min(waitMs, call.deadlineMs - nowMs);
        isHeldUp ||= call.isPatient;
        continue;
      }
      late = true;
      call.fail(new StoreCallError(`no answer from Redis within ${storeCallTimeoutMs} ms`, false));
    }
    if (this.#calls.size > 0) this.#sweep ??= clock.setTimer(waitMs, this.#onSweep);
    if (late && !isHeldUp) this.#drop();
  };

  /** Whether a part of the next answer has come in since the last look: it is large, and all others come after it. */
  #isAnswering(): boolean {
    const bytes = this.#client?.stream?.bytesRead ?? 0;
    const hasMoved = bytes !== this.#bytesSeen && bytes > this.#bytesAnswered;
    this.#bytesSeen = bytes;
    return hasMoved && this.#calls.size > 0;
  }

  /**
   * A server that is the primary no more keeps its connections, and only a new one leads to its successor. After a turn of the
   * loop, so that what has been answered with this refusal is read first. And not more often than one that is gone is tried:
   * the client sees no failure in a server that lets it in, and would come back at once for as long as there is no primary.
   */
  leave(): void {
    const client = this.#client;
    const nowMs = this.#nowMs();
    if (nowMs - this.#leftMs < RETRY_DELAY_MAX_MS) return;
    this.#leftMs = nowMs;
    this.#options.clock.defer(() => {
      if (this.#client === client) this.#drop();
    });
  }

  /** Not `disconnect`: that waits for the other end, which may be gone. The client connects again by itself. */
  #drop(): void {
    this.#client?.stream?.destroy();
  }

  #listen(client: RedisClient): void {
    const mine =
      <A extends unknown[]>(run: (...args: A) => void) =>
      (...args: A) => {
        if (this.#client === client) run(...args);
      };
    // A client without this listener would end the process.
    client.on(
      'error',
      mine((error: Error) => {
        // The client says this of what it could not send any more; why, it has said before.
        if (error.name === 'MaxRetriesPerRequestError' && this.#lastError !== undefined) return;
        this.#lastError = error;
      }),
    );
    // A peer that accepts but never answers would leave the client between "connect" and "ready" for ever.
    client.on(
      'connect',
      mine(() => {
        this.#handshake?.cancel();
        this.#handshake = this.#options.clock.setTimer(this.#options.connectTimeoutMs, () => this.#drop());
      }),
    );
    client.on(
      'close',
      mine(() => {
        this.#isReady = false;
        this.#handshake?.cancel();
      }),
    );
    client.on(
      'ready',
      mine(() => {
        this.#handshake?.cancel();
        if (!this.#isOpened) return;
        this.#isReady = true;
        this.#lastError = undefined;
        this.#bytesAnswered = this.#bytesSeen = client.stream?.bytesRead ?? 0;
        this.onReconnect();
      }),
    );
  }

  #within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = this.#options.clock.setTimer(timeoutMs, () =>
        reject(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' })),
      );
      promise.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  #unreachable(cause: Error): StoreCallError {
    const where = addressOf(this.#options.connection);
    const refusal = storeCallErrorOf(cause);
    const why = refusal.refused ? refusal.message : reasonIn(cause) + this.#tlsHint(cause);
    return new StoreCallError(`cannot open Redis at ${where}: ${why}`, true, refusal.permanent, { cause });
  }

  /** Neither end of a connection says that only one of them speaks TLS. */
  #tlsHint(cause: Error): string {
    const { connection } = this.#options;
    const { code = '' } = cause as NodeJS.ErrnoException;
    if (typeof connection === 'function') return '';
    const isTls = (connection.tls ?? false) !== false || connection.url?.startsWith('rediss:') === true;
    if (isTls && code === 'ETIMEDOUT') return '; TLS is on: if Redis has none at this port, leave out redis.tls';
    return !isTls && code === 'ECONNRESET'
      ? '; if Redis speaks TLS at this port, set redis.tls or write rediss:// in the URL'
      : '';
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
