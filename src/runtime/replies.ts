/**
 * Callers that wait for a result, by entity and message id.
 *   (1) A waiter settles exactly once: by the outcome, its deadline, its signal, or the end of the node.
 *   (2) A reply is only a hint: `readBack` reads a lost result back from the log.
 *   (3) A replay has the id of the message that it replays. So a waiter settles only by an end of the message that the answer to
 *       its append named, or of a later one. An end that arrives before that answer is kept.
 */
import { AtomicQueuesError } from '../core/errors.js';
import { unescapeId } from '../core/ids.js';
import { DROPPED, type KnownMessage } from '../core/log/operations.js';
import type { Clock } from '../ports/clock.js';
import type { PetitionRefusal } from '../ports/network.js';
import type { Store } from '../ports/store.js';
import type { Due, DueTimes } from './due-times.js';
import { type EndState, errorOfState } from './error-record.js';
import { type Generation, ReadBack } from './read-back.js';

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** 'withdraw' takes the message back if it has not begun; then the timeout is definite. Default inside a handler. */
  readonly onTimeout?: 'keep' | 'withdraw' | undefined;
}

/** Resolution of reply deadlines in ms: a wait ends at most this long after its deadline. */
const REPLY_RESOLUTION_MS = 16;

/** How a message ended. */
interface End {
  readonly seq: number;
  readonly state: EndState;
  readonly result: string;
  /** Undefined if it completed. */
  readonly error: AtomicQueuesError | undefined;
}

export class Waiter implements Due {
  dueAtMs = 0;
  /** Sequence of the message once it is logged, else 0. */
  seq = 0;
  /** The latest end of a message with this id that arrived before `seq` was known. */
  early: End | undefined;
  /** The append of the message. */
  append: { takeBack(): boolean } | undefined;
  /** Set if the caller gave up before the log had answered: takes the message back, if it has not begun. */
  onLogged: (() => void) | undefined;
  /** True if the id was known: another call relies on the message, so this one does not take it back. */
  isOfAnother = false;
  /** When the call began to wait, or when its outcome was last looked for in the log; ms of the node's monotonic clock. */
  checkedMs = 0;
  /** Other waiters for the same message: `next` called earlier, `previous` later. */
  next: Waiter | undefined;
  previous: Waiter | undefined;
  /** True until it settles. */
  isOpen = true;
  /** Why the caller gave up, once the log was asked to withdraw its message. */
  expiredWhy: string | undefined;
  /** Why the last petition for the message's entity was refused. */
  lastRefusal: PetitionRefusal | undefined;
  readonly promise: Promise<string>;
  private resolve!: (result: string) => void;
  private reject!: (error: AtomicQueuesError) => void;

  constructor(
    readonly entity: string,
    readonly id: string,
    /** Of the entity and the id together. */
    readonly key: string,
    readonly options: WaitOptions,
    private readonly replies: Replies,
    private readonly signals: Signals,
    /** The object that the caller passed for the handler. */
    readonly carried: object | undefined,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    if (options.signal !== undefined) signals.add(options.signal, this);
  }

  onAbort(): void {
    this.replies.expired(this, 'the caller aborted');
  }

  onDue(): void {
    this.replies.expired(this, `no result within ${this.options.timeoutMs} ms`);
  }

  /** @internal */
  done(): void {
    if (this.options.signal !== undefined) this.signals.remove(this.options.signal, this);
  }

  /** @internal */
  succeed(result: string): void {
    this.resolve(result);
  }

  /** @internal */
  fail(error: AtomicQueuesError): void {
    this.reject(error);
  }
}

/** One listener per signal, however many calls wait with it: a signal walks over all its listeners to add or remove one. */
class Signals {
  private readonly watched = new Map<AbortSignal, { readonly waiters: Set<Waiter>; readonly listener: () => void }>();

  add(signal: AbortSignal, waiter: Waiter): void {
    let found = this.watched.get(signal);
    if (found === undefined) {
      const waiters = new Set<Waiter>();
      const listener = (): void => {
        this.watched.delete(signal);
        for (const one of waiters) one.onAbort();
      };
      found = { waiters, listener };
      this.watched.set(signal, found);
      signal.addEventListener('abort', listener, { once: true });
    }
    found.waiters.add(waiter);
  }

  remove(signal: AbortSignal, waiter: Waiter): void {
    const found = this.watched.get(signal);
    if (found?.waiters.delete(waiter) !== true || found.waiters.size > 0) return;
    this.watched.delete(signal);
    signal.removeEventListener('abort', found.listener);
  }
}

export class Replies {
  readonly readBack: ReadBack;
  private readonly waiters = new Map<string, Waiter>();
  /** False until a caller passes an object for its handler: then no start of a handler looks for one. */
  private hasCarried = false;
  /** All waiters, the one that was checked longest ago first. */
  private readonly byCheck = new Set<Waiter>();
  private readonly signals = new Signals();
  /** Set by the node: tries to take back the message of a caller that gave up. */
  withdraw: (waiter: Waiter, why: string) => void = (waiter, why) => this.giveUp(waiter, why, undefined);

  constructor(
    private readonly clock: Clock,
    private readonly due: DueTimes,
    store: Store,
    membership: Generation,
  ) {
    this.readBack = new ReadBack(store, membership, this);
  }

  get size(): number {
    return this.waiters.size;
  }

  /** True if a caller here waits for that message. */
  isAwaited(entity: string, id: string): boolean {
    return this.waiters.has(keyOf(entity, id));
  }

  wait(entity: string, id: string, options: WaitOptions, carried?: object): Waiter {
    const key = keyOf(entity, id);
    const waiter = new Waiter(entity, id, key, options, this, this.signals, carried);
    if (carried !== undefined) this.hasCarried = true;
    waiter.next = this.waiters.get(key);
    if (waiter.next !== undefined) waiter.next.previous = waiter;
    waiter.checkedMs = this.clock.monotonicMs();
    this.byCheck.add(waiter);
    this.waiters.set(key, waiter);
    this.due.schedule(waiter, options.timeoutMs, REPLY_RESOLUTION_MS);
    return waiter;
  }

  /** Returns the object that a waiting caller passed for the handler of that message. Of several, the one of the first caller. */
  carriedFor(entity: string, id: string): object | undefined {
    if (!this.hasCarried) return undefined;
    let carried: object | undefined;
    for (let w = this.waiters.get(keyOf(entity, id)); w !== undefined; w = w.next) carried = w.carried ?? carried;
    return carried;
  }

  /** Settles every waiter for that message with how it ended. `detail`: its result or error, JSON text. */
  settle(entity: string, id: string, seq: number, state: EndState, detail: string): void {
    if (this.waiters.size === 0) return;
    for (let w = this.waiters.get(keyOf(entity, id)), next: Waiter | undefined; w !== undefined; w = next) {
      next = w.next;
      // It throws if `detail` is not JSON; the wait then goes on until its deadline.
      const error = state === 'completed' ? undefined : errorOfState(state, detail, entity, id);
      const end = { seq, state, result: detail, error };
      if (w.seq > 0) this.endBy(w, end);
      else if (w.early === undefined || w.early.seq < seq) w.early = end;
    }
  }

  /** Called when the log has answered the waiter's append: its message has that sequence. */
  logged(waiter: Waiter, seq: number): void {
    const { early } = waiter;
    waiter.seq = seq;
    waiter.early = undefined;
    if (early !== undefined) this.endBy(waiter, early);
  }

  private endBy(waiter: Waiter, { seq, state, result, error }: End): void {
    if (seq < waiter.seq) return;
    // The caller's own withdrawal may be read back before its answer. By the state, since a handler may fail with that code.
    if (state === 'withdrawn' && waiter.expiredWhy !== undefined) {
      this.giveUp(waiter, waiter.expiredWhy, true);
      return;
    }
    if (!this.remove(waiter)) return;
    if (error === undefined) waiter.succeed(result);
    else waiter.fail(error);
  }

  /** Settles the waiters with what the log knows of the message by its id, unless the message is live. */
  settleKnown(entity: string, id: string, seq: number, { state, result, error }: KnownMessage): void {
    if (state === 'live') return;
    if (state !== 'completed' || error !== DROPPED) {
      this.settle(entity, id, seq, state, state === 'completed' ? result : error);
      return;
    }
    const text = 'the message of this id has completed, but its result is gone: the store was out of memory (wal.resultTTL)';
    const details = { entity, id: unescapeId(id), state };
    for (let w = this.waiters.get(keyOf(entity, id)), next: Waiter | undefined; w !== undefined; w = next) {
      next = w.next;
      if (w.seq > 0 && w.seq <= seq) this.reject(w, new AtomicQueuesError('OUTCOME_UNKNOWN', text, { details }));
    }
  }

  /** Rejects one waiter with `error`. */
  reject(waiter: Waiter, error: AtomicQueuesError): void {
    if (this.remove(waiter)) waiter.fail(error);
  }

  rejectAll(error: AtomicQueuesError): void {
    for (const first of [...this.waiters.values()])
      for (let w: Waiter | undefined = first, next: Waiter | undefined; w !== undefined; w = next) {
        next = w.next;
        this.reject(w, error);
      }
  }

  /** Called when the message is logged, but no owner was found for its entity yet. */
  noteRefusal(entity: string, id: string, refusal: PetitionRefusal): void {
    for (let w = this.waiters.get(keyOf(entity, id)); w !== undefined; w = w.next) w.lastRefusal = refusal;
  }

  /**
   * Returns at most `max` waiters for logged messages that `wanted` selects and that were not checked for `ageMs`. They count as
   * checked now, so that the next call returns others.
   */
  overdue(ageMs: number, max: number, wanted: (waiter: Waiter) => boolean): Waiter[] {
    const nowMs = this.clock.monotonicMs();
    const found: Waiter[] = [];
    for (const waiter of this.byCheck) {
      if (found.length === max || waiter.checkedMs > nowMs - ageMs) break;
      waiter.checkedMs = nowMs;
      this.byCheck.delete(waiter);
      this.byCheck.add(waiter);
      if (waiter.seq > 0 && wanted(waiter)) found.push(waiter);
    }
    return found;
  }

  /** @internal A deadline passed or the caller aborted. */
  expired(waiter: Waiter, why: string): void {
    this.due.cancel(waiter);
    if (waiter.options.onTimeout !== 'withdraw' || waiter.isOfAnother) {
      this.giveUp(waiter, why, undefined);
      return;
    }
    waiter.expiredWhy = why;
    this.withdraw(waiter, why);
  }

  /** Rejects a waiter without an outcome. `withdrawn`: whether the message was taken back; undefined if that was not tried. */
  giveUp(waiter: Waiter, why: string, withdrawn: boolean | undefined): void {
    const tail =
      withdrawn === true
        ? 'the message was withdrawn and will not run'
        : `the message ${waiter.seq > 0 ? 'is' : 'may be'} logged: it may have run, run now, or run later`;
    this.reject(
      waiter,
      new AtomicQueuesError('REPLY_TIMEOUT', `${why}; ${tail}`, {
        definite: withdrawn === true,
        details: { entity: waiter.entity, id: waiter.id, withdrawn: withdrawn === true, lastRefusal: waiter.lastRefusal },
      }),
    );
  }

  private remove(waiter: Waiter): boolean {
    if (!waiter.isOpen) return false;
    waiter.isOpen = false;
    const { next, previous } = waiter;
    if (next !== undefined) next.previous = previous;
    if (previous !== undefined) previous.next = next;
    else if (next !== undefined) this.waiters.set(waiter.key, next);
    else this.waiters.delete(waiter.key);
    this.due.cancel(waiter);
    this.byCheck.delete(waiter);
    waiter.done();
    return true;
  }
}

const keyOf = (entity: string, id: string): string => `${entity}\n${id}`;
