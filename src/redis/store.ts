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
  /** Default 0. */
  readonly partition?: number;
  /** Deadline of one call, ms. */
  readonly storeCallTimeoutMs: number;
  /** Deadline of connecting, ms; default 2000. */
  readonly connectTimeoutMs?: number;
  readonly clock: Clock;
  /** False: only reads will be done, by a user who need not be allowed more. Default true. */
  readonly writes?: boolean;
  /** Store time in ms instead of the server's own, for tests. */
  readonly storeNowMs?: () => number;
}

const CONNECT_TIMEOUT_MS = 2000;

/** A script and the hash by which the server knows it once it has seen it. */
class Script {
  readonly sha: string;

  constructor(readonly text: string) {
    this.sha = createHash('sha1').update(text).digest('hex');
  }
}

const BATCH = new Script(BATCH_SCRIPT);
const CONTROL = new Script(CONTROL_SCRIPT);

/**
 * The store protocol on Redis: src/redis/scripts apply it, this adds the transport. A call is sent once; that its answer
 * may be lost, or its copy late, is what the sessions of the protocol are for.
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
  /** What is wrong with the server's settings since a reconnect: nothing more is trusted to it until they are mended. */
  #unsafe: StoreCallError | undefined;
  /** Since a reconnect the server has not answered what it is: no call is sent to it. */
  #isUnchecked = false;
  /** The check that is under way. */
  #check: Promise<void> | undefined;
  /** Since a reconnect it was not read whether this is still the same store. */
  #isUncompared = false;
  /** The comparison that is under way. */
  #comparison: Promise<void> | undefined;

  constructor(options: RedisStoreOptions) {
    const { connection, storeCallTimeoutMs, connectTimeoutMs = CONNECT_TIMEOUT_MS, clock } = options;
    this.#connection = new Connection({ connection, storeCallTimeoutMs, connectTimeoutMs, clock }, () => {
      this.#isUnchecked = this.#isUncompared = true;
      this.#check = this.#comparison = undefined;
      this.#beginComparison();
    });
    // One hash tag, so that a partition's keys stay together on a cluster.
    this.#base = `${options.keyPrefix}:{${options.partition ?? 0}}:`;
    this.#writes = options.writes ?? true;
    this.#storeNowMs = options.storeNowMs;
  }

  /**
   * Connects, and checks that this Redis can be what we need: no foreign keys under our prefix, no eviction, a user who may
   * write. `permanent` if trying again is pointless.
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
    // Only spares the first call one round trip: a server that refuses it gets the whole script with that call.
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
    // One array: a call with so many arguments as a large batch has would overflow the stack.
    const all = this.#keys.concat(args);
    return this.#connection.run(
      {
        send: (client) => client.evalsha(script.sha, length, all),
        // That copy was certainly not applied, so this one is no second.
        instead: { after: isNoScript, send: (client) => client.eval(script.text, length, all) },
        read: (text) => decoded(decode, text as string),
      },
      patience,
    );
  }

  #now(): string {
    return this.#storeNowMs === undefined ? '' : String(this.#storeNowMs());
  }

  /** Compares the store with the one before the reconnect. If a read fails, the next call begins another comparison. */
  #beginComparison(): void {
    const comparison = this.#compare().then((isDone) => {
      if (this.#comparison !== comparison) return;
      this.#comparison = undefined;
      if (isDone) this.#isUncompared = false;
    });
    this.#comparison = comparison;
  }

  /**
   * After a reconnect: another run id alone is a restart, which keeps its data; with another generation, or none, it is not
   * the store that we knew. A store that lost only its tail shows it by a gap. Returns false if the server could not be asked.
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
   * After a reconnect it may be another server, of another role and with other settings. Rejects with a StoreCallError if it is a
   * replica or cannot be asked now: the next call asks again.
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

  /** `isCurrent`: false once there is another connection than the one that is asked. */
  async #askForSettings(isCurrent: () => boolean): Promise<void> {
    let unsafe: StoreCallError | undefined;
    try {
      await checkRole(this.#connection);
      await checkEviction(this.#connection);
    } catch (error) {
      if (!(error instanceof StoreCallError)) throw error;
      // The call that waits for this was not sent.
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
