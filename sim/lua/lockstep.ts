/**
 * Runs the scripts of the production adapter in lockstep with the core: both apply each step at the same store time. The nodes
 * get the answers of the scripts. The checkers and faults read the state of the core. The first difference between the two, in an
 * answer or in the stored state, is reported as a violation.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ControlAnswer, ControlOp } from '../../src/core/log/control-operations.js';
import { CLOSED } from '../../src/core/log/membership.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import type { PartitionState } from '../../src/core/log/state.js';
import { decodeBatchReply, encodeBatch } from '../../src/redis/codec.js';
import { decodeControl, encodeControl } from '../../src/redis/codec-control.js';
import { BATCH_SCRIPT, CONTROL_SCRIPT } from '../../src/redis/script.gen.js';
import { KEY_TYPES } from '../../src/redis/server-checks.js';
import type { Applied } from '../applied-log.js';
import type { ScriptAsked } from './sim-client.js';
import { type Refusing, ReplyError, SimRedis } from './sim-redis.js';
import { differenceOf, storedIn, storedOf } from './stored.js';

export const KEY_PREFIX = 'aq';
const BASE = `${KEY_PREFIX}:{0}:`;
const KEYS = Object.keys(KEY_TYPES)
  .slice(0, 3)
  .map((name) => BASE + name);

/** Everything stored is compared once in so many steps, and at the end. */
const STEPS_PER_LOOK = 20;

/** Operations that return pages. A store may end a page anywhere, and returns it in any order. */
const PAGES: ReadonlySet<string> = new Set(['audit', 'survey', 'history', 'owned', 'ready', 'letters']);

export interface Scripts {
  readonly batch: string;
  readonly control: string;
}

export const SCRIPTS: Scripts = { batch: BATCH_SCRIPT, control: CONTROL_SCRIPT };

const shaOf = (script: string): string => createHash('sha1').update(script).digest('hex');

/** The conditions under which the server refuses requests when they arrive. */
export interface StoreConditions {
  readonly refusing: Refusing;
  readonly full: boolean;
}

const refusingOf = ({ refusing, full }: StoreConditions): Refusing => (refusing === 'none' && full ? 'oom' : refusing);

/** A step as the adapter encoded it. `isLate`: no caller reads its answer. */
export interface Written {
  /** Left out: the server refuses nothing, as for calls of an operator. */
  readonly conditions?: StoreConditions;
  readonly args?: readonly string[] | undefined;
  readonly isLate?: boolean;
}

export class LuaLockstep {
  private readonly redis: SimRedis;
  private readonly known = new Map<string, string>();
  /** The answer of the last script that ran for a step. */
  text = '';
  private steps = 0;
  private isOver = false;
  private isReadyKnown = true;
  /** Set when keys of Redis were deleted, so that it differs from the core. From here on the scripts alone apply each step. */
  isApart = false;
  private failure: ReplyError | undefined;

  /** `differs` is called at most once. */
  constructor(
    nowMs: () => number,
    private readonly scripts: Scripts,
    private readonly differs: (what: string) => void,
  ) {
    this.redis = new SimRedis(nowMs);
  }

  /** The answer of the last script, or the error with which it failed. */
  get answer(): unknown {
    return this.failure ?? this.text;
  }

  command(name: string, ...args: string[]): unknown {
    return this.redis.command(name, ...args);
  }

  /** Makes the server know the script. Returns its hash. */
  learn(script: string): string {
    const sha = shaOf(script);
    this.known.set(sha, script);
    return sha;
  }

  /** Returns the error for a script whose hash the server does not know; undefined if the script can run. */
  unknownScript({ script, isSha }: ScriptAsked): ReplyError | undefined {
    if (!isSha) this.learn(script);
    return isSha && !this.known.has(script) ? new ReplyError('NOSCRIPT No matching script. Please use EVAL.') : undefined;
  }

  /**
   * Returns the text of the script that runs in place of the one that the production adapter sends. They differ only under a
   * canary.
   */
  private textOf({ script, isSha }: ScriptAsked): string {
    const text = isSha ? (this.known.get(script) as string) : script;
    if (text === SCRIPTS.batch) return this.scripts.batch;
    return text === SCRIPTS.control ? this.scripts.control : text;
  }

  /** Runs a script that does not correspond to a step of the core. Throws a ReplyError. */
  run(asked: ScriptAsked): unknown {
    return this.redis.run(this.textOf(asked), asked.keys, asked.args);
  }

  /** Runs the batch that the core has applied, and compares the answers. */
  batch(state: PartitionState, batch: Batch, reply: BatchReply, { args, isLate, conditions }: Written = {}): void {
    this.follow(this.scripts.batch, args ?? encodeBatch(batch, ''), conditions);
    // A late copy may carry more steps than the copy that was applied, and would decode the answer to that one wrongly.
    if (isLate !== true) this.same(`batch ${batch.n} of ${batch.incarnation}`, reply, () => decodeBatchReply(this.text, batch));
    this.look(state);
  }

  control(state: PartitionState, op: ControlOp, answer: ControlAnswer, { args, conditions }: Written = {}): void {
    this.follow(this.scripts.control, args ?? encodeControl(op, ''), conditions);
    if (!PAGES.has(op.op)) this.same(op.op, answer, () => decodeControl(op, this.text));
    this.look(state);
  }

  /** Runs the script of a step. The core has applied the step, so a script that the server refuses counts as a difference. */
  private follow(script: string, args: readonly string[], conditions?: StoreConditions): void {
    this.redis.refusing = conditions === undefined ? 'none' : refusingOf(conditions);
    this.failure = undefined;
    try {
      this.text = this.redis.run(script, KEYS, args) as string;
    } catch (error) {
      this.text = '';
      if (!(error instanceof ReplyError)) throw error;
      if (this.isApart) this.failure = error;
      else this.tell(`a script failed: ${(error as Error).message}`);
    } finally {
      this.redis.refusing = 'none';
    }
  }

  /** Runs a script that the server must refuse. Returns its error, or its answer if it wrote nothing. */
  refused(asked: ScriptAsked, conditions: StoreConditions): unknown {
    this.redis.refusing = refusingOf(conditions);
    try {
      const answer = this.redis.run(this.textOf(asked), asked.keys, asked.args);
      if (this.redis.hasWritten) this.tell(`the server refuses such writes (${this.redis.refusing}), and a script got through`);
      return answer;
    } catch (error) {
      if (error instanceof ReplyError) return error;
      throw error;
    } finally {
      this.redis.refusing = 'none';
    }
  }

  private same(what: string, core: unknown, decode: () => unknown): void {
    if (this.isOver) return;
    let lua: unknown;
    try {
      lua = decode();
    } catch (error) {
      lua = String(error);
    }
    if (!isDeepStrictEqual(lua, core)) this.tell(`${what}: the core answers ${shown(core)}, the scripts ${shown(lua)}`);
  }

  private look(state: PartitionState): void {
    if (++this.steps % STEPS_PER_LOOK === 0) this.compare(state);
  }

  /** Compares everything that is stored. */
  compare(state: PartitionState): void {
    if (this.isOver) return;
    const [core, redis] = [storedOf(state), storedIn(this.redis, BASE)].map((lines) => this.comparable(lines)) as [Lines, Lines];
    const found = differenceOf(core, redis);
    if (found !== undefined) this.tell(found);
  }

  private comparable(lines: Lines): Lines {
    return this.isReadyKnown ? lines : new Map([...lines].filter(([name]) => !name.startsWith('ready ')));
  }

  /**
   * Empties the ready set. It is not compared from here: the core lists an entity again at its next step, the scripts at the
   * audit.
   */
  loseReady(): void {
    this.isReadyKnown = false;
    this.redis.command('del', `${BASE}ready`);
  }

  /**
   * Deletes one of the library's keys, or one field of it, as an operator or an eviction does. `which` selects the key and the
   * field. Returns the name; undefined if the key does not exist.
   */
  loseKey(which: number): string | undefined {
    const names = Object.keys(KEY_TYPES);
    const name = names[which % names.length] as string;
    const rest = Math.floor(which / names.length);
    const key = BASE + name;
    const isHash = KEY_TYPES[name] === 'hash';
    const fields = isHash ? Object.keys(this.redis.hash(key)) : [...this.redis.sortedSet(key).keys()];
    const field = fields.sort()[Math.floor(rest / 2) % Math.max(1, fields.length)];
    if (field === undefined) return undefined;
    const isWhole = rest % 2 === 0;
    if (isWhole) this.redis.command('del', key);
    else this.redis.command(isHash ? 'hdel' : 'zrem', key, field);
    this.isApart = this.isOver = true;
    return isWhole ? name : `${name} ${field}`;
  }

  /**
   * Applies a batch by the script alone. `isNew`: the batch was not applied before. The reply is undefined if the script failed.
   */
  batchAlone(
    batch: Batch,
    { args, conditions }: Written = {},
  ): { readonly reply: BatchReply | undefined; readonly isNew: boolean } {
    const last = (): unknown => this.redis.command('hget', `${BASE}meta`, `s${batch.incarnation}.${batch.token}`);
    const before = last();
    this.follow(this.scripts.batch, args ?? encodeBatch(batch, ''), conditions);
    const isNew = last() !== before;
    return { reply: this.failure === undefined ? this.decoded(() => decodeBatchReply(this.text, batch)) : undefined, isNew };
  }

  /** Applies an operation outside of sessions by the script alone. Returns undefined if the script failed. */
  controlAlone(op: ControlOp, { args, conditions }: Written = {}): ControlAnswer | undefined {
    this.follow(this.scripts.control, args ?? encodeControl(op, ''), conditions);
    return this.failure === undefined ? this.decoded(() => decodeControl(op, this.text)) : undefined;
  }

  /** Returns undefined for an answer that cannot be decoded. The node gets the same answer. */
  private decoded<T>(decode: () => T): T | undefined {
    try {
      return decode();
    } catch {
      return undefined;
    }
  }

  /** Number of messages that are not terminal, as Redis counts them. */
  get depth(): number {
    return Number(this.redis.command('hget', `${BASE}meta`, 'depth'));
  }

  get isClosed(): boolean {
    return this.redis.command('hget', `${BASE}meta`, 'generation') === CLOSED;
  }

  /** Restores the server to the state after the given steps. */
  restored(steps: readonly Applied[], state: PartitionState): void {
    this.redis.flush();
    this.known.clear();
    for (const { batch, op, atMs } of steps) {
      if (batch !== undefined) this.follow(this.scripts.batch, encodeBatch(batch, String(atMs)));
      else if (op !== undefined) this.follow(this.scripts.control, encodeControl(op, String(atMs)));
    }
    this.compare(state);
  }

  private tell(what: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.differs(what);
  }
}

type Lines = ReadonlyMap<string, string>;

const shown = (value: unknown): string => JSON.stringify(value)?.slice(0, 400) ?? 'nothing';
