import { createHash } from 'node:crypto';
import type { ControlAnswerOf, ControlOp } from '../core/log/control-operations.js';
import { type Batch, type BatchReply, growsLog } from '../core/log/operations.js';
import type { Clock } from '../ports/clock.js';
import { type Store, StoreCallError } from '../ports/store.js';
import { decodeBatchReply, encodeBatch } from './codec.js';
import { decodeControl, encodeControl } from './codec-control.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { isNoScript } from './failures.js';
import { BATCH_SCRIPT, CONTROL_SCRIPT } from './script.gen.js';
import { checkEviction, checkRole, checkServer, keysToDeclare, runIdOf } from './server-checks.js';

export interface RedisStoreOptions {
  readonly connection: ConnectionOptions['connection'];
  readonly keyPrefix: string;
  /** Partition number, part of every key; default 0. */
  readonly partition?: number;
  /** Deadline of one call to Redis, ms. */
  readonly storeCallTimeoutMs: number;
  /** Deadline of connecting, ms; default 2000. */
  readonly connectTimeoutMs?: number;
  readonly clock: Clock;
  /** False: this store only reads, so its Redis user needs no write permissions. Default true. */
  readonly writes?: boolean;
  /** Returns the store time in ms to use instead of the server's clock; for tests. */
  readonly storeNowMs?: () => number;
}

const CONNECT_TIMEOUT_MS = 2000;

/** A script, with the SHA-1 by which the server knows it once it has loaded it. */
class Script {
  readonly sha: string;

  constructor(readonly text: string) {
    this.sha = createHash('sha1').update(text).digest('hex');
  }
}

const BATCH = new Script(BATCH_SCRIPT);
const CONTROL = new Script(CONTROL_SCRIPT);

/**
 * The store protocol on Redis. The scripts in src/redis/scripts apply it; this class adds the transport. It sends each call
 * once. The answer may be lost, or a copy of the call may arrive late: the sessions of the protocol make both harmless.
 */
export class RedisStore implements Store {
  readonly #connection: Connection;
  readonly #base: string;
  #keys: readonly string[] = [];
  readonly #writes: boolean;
  readonly #storeNowMs: (() => number) | undefined;
  readonly #listeners: ((why: string) => void)[] = [];
  #generation = '';
  #runId = '';
  /** What is wrong with the server's settings, found after a reconnect. Rejects batches that grow the log until it is fixed. */
  #unsafe: StoreCallError | undefined;
  /** True after a reconnect until the server's role and settings were checked. No call is sent before that. */
  #isUnchecked = false;
  /** The settings check in progress. */
  #check: Promise<void> | undefined;
  /** True after a reconnect until a comparison has shown whether this is still the same store. */
  #isUncompared = false;
  /** The comparison in progress. */
  #comparison: Promise<void> | undefined;

  constructor(options: RedisStoreOptions) {
    const { connection, storeCallTimeoutMs, connectTimeoutMs = CONNECT_TIMEOUT_MS, clock } = options;
    this.#connection = new Connection({ connection, storeCallTimeoutMs, connectTimeoutMs, clock }, () => {
      this.#isUnchecked = this.#isUncompared = true;
      this.#check = this.#comparison = undefined;
      this.#beginComparison();
    });
    // One hash tag keeps all keys of a partition on one node of a Redis cluster.
    this.#base = `${options.keyPrefix}:{${options.partition ?? 0}}:`;
    this.#writes = options.writes ?? true;
    this.#storeNowMs = options.storeNowMs;
  }

  /**
   * Connects, and checks that this Redis is usable: no foreign keys under the key prefix, no eviction policy, a user with write
   * permissions. Rejects with a StoreCallError, `permanent` if trying again is pointless.
   */
  async open(): Promise<void> {
    await this.#connection.open();
    try {
      await checkServer(this.#connection, this.#base, this.#writes);
      this.#keys = await keysToDeclare(this.#connection, this.#base);
      this.#runId = await runIdOf(this.#connection);
    } catch (error) {
      this.#connection.close();
      throw error;
    }
    // Loading only saves the first call a round trip: if the server lacks a script, the call sends its whole text.
    for (const { text } of [BATCH, CONTROL]) {
      await this.#connection.call((client) => client.script('LOAD', text)).catch(() => undefined);
    }
  }

  close(): Promise<void> {
    this.#listeners.length = 0;
    this.#connection.close();
    return Promise.resolve();
  }

  onReplaced(listener: (why: string) => void): void {
    this.#listeners.push(listener);
  }

  apply(batch: Batch, patience = 1): Promise<BatchReply> {
    this.#generation = batch.generation;
    if (this.#isUnchecked) return this.#checkSettings().then(() => this.apply(batch, patience));
    if (this.#unsafe !== undefined && batch.ops.some(growsLog)) {
      this.#checkSettings().catch(() => undefined);
      return Promise.reject(this.#unsafe);
    }
    return this.#run(BATCH, encodeBatch(batch, this.#now()), (text) => decodeBatchReply(text, batch), patience);
  }

  async control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    while (this.#isUnchecked) await this.#checkSettings();
    const answer = (await this.#run(CONTROL, encodeControl(op, this.#now()), (text) =>
      decodeControl(op, text),
    )) as ControlAnswerOf[O['op']];
    if ('generation' in answer) this.#generation = answer.generation;
    return answer;
  }

  #run<T>(script: Script, args: string[], decode: (text: string) => T, patience = 1): Promise<T> {
    if (this.#isUncompared && this.#comparison === undefined) this.#beginComparison();
    const { length } = this.#keys;
    // One array instead of spread arguments: a large batch has so many that a call would overflow the stack.
    const all = this.#keys.concat(args);
    return this.#connection.run(
      {
        send: (client) => client.evalsha(script.sha, length, all),
        // NOSCRIPT proves that the first copy was not applied, so this copy is not a duplicate.
        instead: { after: isNoScript, send: (client) => client.eval(script.text, length, all) },
        read: (text) => decoded(decode, text as string),
      },
      patience,
    );
  }

  #now(): string {
    return this.#storeNowMs === undefined ? '' : String(this.#storeNowMs());
  }

  /** Begins to compare the store with the one before the reconnect. If a read fails, the next call begins another comparison. */
  #beginComparison(): void {
    const comparison = this.#compare().then((isDone) => {
      if (this.#comparison !== comparison) return;
      this.#comparison = undefined;
      if (isDone) this.#isUncompared = false;
    });
    this.#comparison = comparison;
  }

  /**
   * Compares the store with the one before the reconnect. Another run id alone is a restart that kept the data. Another run id
   * with another generation, or none, is another store: calls the `onReplaced` listeners. A store that lost only its newest
   * writes is detected by a gap in batch numbers instead. Returns false if the server could not be asked.
   */
  async #compare(): Promise<boolean> {
    try {
      await this.#checkSettings();
      const runId = await runIdOf(this.#connection);
      if (runId === this.#runId || this.#generation === '') return true;
      const generation = await this.#connection.call((client) => client.hget(`${this.#base}meta`, 'generation'));
      this.#runId = runId;
      if (generation === this.#generation) return true;
      const found = generation === null ? 'is empty' : 'holds the data of another generation';
      for (const listener of this.#listeners) listener(`after a reconnect Redis has another run id and ${found}`);
      return true;
    } catch (error) {
      if (error instanceof StoreCallError) return false;
      throw error;
    }
  }

  /**
   * Checks the server after a reconnect: it may be another server, with another role and other settings. Rejects with a
   * StoreCallError if it is a replica or cannot be asked now; the next call checks again.
   */
  #checkSettings(): Promise<void> {
    if (this.#check !== undefined) return this.#check;
    const isCurrent = (): boolean => this.#check === check;
    const check = this.#askForSettings(isCurrent).finally(() => {
      if (isCurrent()) this.#check = undefined;
    });
    this.#check = check;
    return check;
  }

  /** `isCurrent` returns false once a newer connection has replaced the one that is checked. */
  async #askForSettings(isCurrent: () => boolean): Promise<void> {
    let unsafe: StoreCallError | undefined;
    try {
      await checkRole(this.#connection);
      await checkEviction(this.#connection);
    } catch (error) {
      if (!(error instanceof StoreCallError)) throw error;
      // The call that waits for this check was not sent, so its error says `refused`.
      if (!error.permanent) throw error.refused ? error : new StoreCallError(error.message, true, false, { cause: error });
      unsafe = error;
    }
    if (!isCurrent()) return;
    this.#unsafe = unsafe;
    this.#isUnchecked = false;
  }
}

function decoded<T>(decode: (text: string) => T, text: string): T {
  try {
    return decode(text);
  } catch (cause) {
    throw new StoreCallError(cause instanceof Error ? cause.message : String(cause), false, false, { cause });
  }
}
