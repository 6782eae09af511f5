/**
 * One connection to Redis that hides no failure. Nothing is queued while it is down, nothing is resent after it broke, and every
 * call settles by its own deadline. A call without an answer by its deadline also closes the connection: on a half-open link all
 * later calls would wait too, and a late answer must not be taken for that of another call.
 * Two cases do not close it, since the link works: part of an answer has come in, or a call with a longer deadline is pending.
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
  /** Further ioredis options, except those that the library sets itself. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** The part of the ioredis client that is used here; ioredis-mock has it too. */
export interface RedisClient {
  readonly status?: string;
  /** The socket, if the client has one. */
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
  /** Address and credentials of Redis, or a function that makes a client for each `open`. */
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
    // `close` destroys the socket itself. This client timer would keep the process alive after the socket is gone.
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

/** Returns the address of the server, without secrets. */
function addressOf(connection: ConnectionOptions['connection']): string {
  if (typeof connection === 'function') return 'the given client';
  const { url, options, host = '127.0.0.1', port = 6379 } = connection;
  if (typeof options?.path === 'string') return options.path;
  return url === undefined ? `${host.includes(':') ? `[${host}]` : host}:${port}` : addressOfRedisUrl(url);
}

type Send<A> = (client: RedisClient) => Promise<A>;

/** One command, and how to decode its answer. */
interface Command<A, T> {
  readonly send: Send<A>;
  /** The command to send instead after an error for which `after` returns true: the first one was certainly not applied. */
  readonly instead?: { after(error: unknown): boolean; readonly send: Send<A> };
  /** Throws a StoreCallError if the answer cannot be decoded. */
  readonly read: (answer: A) => T;
}

const asItIs = <T>(answer: T): T => answer;

class Call<T> {
  #settled = false;

  constructor(
    readonly deadlineMs: number,
    /** True: this call has a longer deadline than others, since its request is large. */
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
  /** Pending calls in the order in which they were sent, which is also the order of their answers. */
  readonly #calls = new Set<Call<never>>();
  #client: RedisClient | undefined;
  #sweep: Timer | undefined;
  #handshake: Timer | undefined;
  #lastError: Error | undefined;
  #isOpened = false;
  /**
   * True once the client has emitted 'ready' for this connection and `onReconnect` was called. The client sets its status
   * earlier, and other promise reactions can run between the two: their calls would reach a server that is not checked yet.
   */
  #isReady = false;
  #leftMs = Number.NEGATIVE_INFINITY;
  /** Bytes received in all when the last answer was complete, and when `#isAnswering` last ran. */
  #bytesAnswered = 0;
  #bytesSeen = 0;

  /** `onReconnect` runs when a lost connection is back. */
  constructor(
    options: ConnectionOptions,
    readonly onReconnect: () => void,
  ) {
    this.#options = options;
  }

  /** The error for which there is no connection, or undefined. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /** Connects. Rejects with a StoreCallError that names the address and the cause; may then be called again. */
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
    // ioredis 5 resolves although the server refused the user, if the server requires no password. Anonymous clients could use
    // that connection, but ioredis closes it.
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

  /** Closes the connection at once, without waiting for the other end. */
  close(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#isOpened = this.#isReady = false;
    this.#lastError = undefined;
    this.#sweep?.cancel();
    this.#handshake?.cancel();
    this.#sweep = this.#handshake = undefined;
    client?.disconnect();
    // 'disconnect' alone waits for the other end, which may be gone. Meanwhile the open socket would keep the process alive.
    client?.stream?.destroy();
    for (const call of this.#calls) call.fail(new StoreCallError('the connection to Redis was closed', false));
  }

  /** Sends one command. It may take `patience` times the call deadline. Rejects with a StoreCallError. */
  call<T>(send: Send<T>, patience = 1): Promise<T> {
    return this.run({ send, read: asItIs<T> }, patience);
  }

  /** Like `call`, but decodes the answer with `command.read`. Each further promise adds measurably to a lone message. */
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

  /** Waits one turn of the event loop: after a blocked loop, the answers that have arrived meanwhile are read first. */
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

  /** Returns whether part of the next answer came in since the last check: it is a large answer, and all others come after it. */
  #isAnswering(): boolean {
    const bytes = this.#client?.stream?.bytesRead ?? 0;
    const hasMoved = bytes !== this.#bytesSeen && bytes > this.#bytesAnswered;
    this.#bytesSeen = bytes;
    return hasMoved && this.#calls.size > 0;
  }

  /**
   * Drops the connection to a demoted primary. It keeps connections open, and only a new connection can reach its successor.
   * Waits one turn of the event loop, so that answers that came with the refusal are read first. Does this at most once per
   * second: ioredis sees no failure in a server that accepts it, and would reconnect without a pause while there is no primary.
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

  /** Destroys the socket; the client then reconnects. `disconnect` would wait for the other end, which may be gone. */
  #drop(): void {
    this.#client?.stream?.destroy();
  }

  #listen(client: RedisClient): void {
    const mine =
      <A extends unknown[]>(run: (...args: A) => void) =>
      (...args: A) => {
        if (this.#client === client) run(...args);
      };
    // Without this listener an error of the client would end the process.
    client.on(
      'error',
      mine((error: Error) => {
        // The client emits this error for commands that it could not send. It has emitted the cause before.
        if (error.name === 'MaxRetriesPerRequestError' && this.#lastError !== undefined) return;
        this.#lastError = error;
      }),
    );
    // Without this timer a server that accepts but never answers would leave the client between "connect" and "ready" forever.
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

  /** Returns a hint to add if only one end seems to use TLS. Neither end reports that itself. */
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
