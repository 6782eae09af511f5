/**
 * The path of a message into the log: a message becomes an append, and the append's answer is the receipt.
 *   (1) No message is accepted before the log has answered. A caller whose append never left, or was refused by every copy, gets
 *       a definite error; one whose append may have been applied gets OUTCOME_UNKNOWN.
 *   (2) A caller's deadline ends the caller's wait, never an append that has left.
 *   (3) One caller's appends for one entity leave in call order: there is one queue, and it never reorders. A message that is
 *       still being checked delays later ones for its entity, and nothing else.
 *   (4) A message that no member is known to handle waits until the directory has read the members again. It is then refused or
 *       appended.
 */
import type { ResolvedConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import { digestOf, entityKeyOf, escapeId, GENERATED, typeOfKey } from '../core/ids.js';
import type { KnownMessage, NewMessage, Send, WithdrawOp } from '../core/log/operations.js';
import { canonicalText } from '../core/payload.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Trace } from '../ports/trace.js';
import { Append, outcomeUnknown } from './append.js';
import { EntityContext } from './context.js';
import type { Directory } from './directory.js';
import type { Replies, Waiter, WaitOptions } from './replies.js';
import type { Router } from './router.js';
import type { Step, StoreSession } from './session.js';
import type { PublishedShapes } from './shapes.js';

/** A message whose ids and payload its sender has checked (core/ids, core/payload). */
export interface OutgoingMessage {
  readonly type: string;
  /** Unescaped. */
  readonly entityId: string;
  readonly name: string;
  /** JSON text. */
  readonly payload: string;
  /** Idempotency id within the entity. */
  readonly id?: string | undefined;
  /** JSON text of an object of strings, or ''. */
  readonly headers?: string | undefined;
  /** Set if the schema is checked asynchronously: settles within `enqueueTimeoutMs`, and rejects with what is wrong. */
  readonly checked?: Promise<void> | undefined;
  /** Passed to the handler as it is, if that runs in this process while the caller waits; it is not logged. */
  readonly carried?: object | undefined;
}

/**
 * State of the message that has a known id. 'live': it waits or runs. 'purged': it failed or was interrupted, and its dead letter
 * was purged. A withdrawn message has no receipt.
 */
export type KnownState = Exclude<KnownMessage['state'], 'withdrawn'>;

export interface Receipt {
  readonly id: string;
  /** Position in the entity's log: grows with every message of the entity. */
  readonly sequence: number;
  /** The id was known: this is the receipt of the message that has it. */
  readonly duplicate: boolean;
  /** Set exactly if `duplicate`. */
  readonly state?: KnownState;
}

export type BulkOutcome =
  | { readonly ok: true; readonly receipt: Receipt }
  | { readonly ok: false; readonly error: AtomicQueuesError };

export interface EnqueueParts {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly config: ResolvedConfig;
  readonly directory: Directory;
  readonly shapes: PublishedShapes;
  readonly router: Router;
  readonly replies: Replies;
  /** Throws SHUTTING_DOWN, STORE_UNAVAILABLE or STORE_LOST if no message may be accepted now. */
  admit(): void;
  /** Returns why the last call to the store failed; undefined if a later one was answered. */
  why(): string | undefined;
}

const EXPIRY_CHECK_MS = 250;
/** Time in ms that a process that was paused gets to read its answers. */
const ANSWERS_MS = 50;

export class Enqueue {
  private session: StoreSession | undefined;
  private prefix = '';
  private counter = 0;
  private lastIncarnation = 0;
  /** Appends in order of submission; those whose caller has its answer leave from the front. */
  private readonly open = new Fifo<Append>();
  /** Appends that wait for the next session. */
  private readonly held = new Set<Append>();
  /** By entity, while a message of it is being checked: settles when the last append of the entity has had its turn. */
  private readonly turns = new Map<string, Promise<void>>();
  private expiryTimer: Timer | undefined;

  constructor(readonly parts: EnqueueParts) {}

  openSession(session: StoreSession): void {
    this.session = session;
    this.lastIncarnation = session.incarnation;
    this.prefix = `${GENERATED}${session.incarnation.toString(36)}-`;
    const held = [...this.held];
    this.held.clear();
    for (const append of held) this.resubmit(append);
  }

  closeSession(): void {
    this.session = undefined;
  }

  /** Resolves when the message is durably logged. */
  enqueue(outgoing: OutgoingMessage): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const append = this.make(outgoing, '', 0);
      append.onReceipt = resolve;
      append.onError = reject;
      this.submitInTurn(append, outgoing.checked);
    });
  }

  /** Resolves with the result as JSON text. */
  enqueueAndWait(outgoing: OutgoingMessage, wait: WaitOptions): Promise<string> {
    if (wait.signal?.aborted === true)
      throw new AtomicQueuesError('REPLY_TIMEOUT', 'the caller had aborted before; nothing was sent', { definite: true });
    const context = EntityContext.currentOrNone();
    const chain = context?.chainOfCalls() ?? [];
    const key = entityKeyOf(outgoing.type, outgoing.entityId);
    if (chain.includes(key))
      throw new AtomicQueuesError(
        'CALL_CYCLE',
        `the handler of ${chain.join(' -> ')} would wait for ${key}, which waits for it`,
        {
          details: { chain, entity: key },
        },
      );
    const append = this.make(outgoing, chain.length === 0 ? '' : JSON.stringify(chain), this.lastIncarnation);
    const onTimeout = wait.onTimeout ?? (context === undefined ? 'keep' : 'withdraw');
    const { entity, message } = append.op;
    const waiter = this.parts.replies.wait(entity, message.id, { ...wait, onTimeout }, outgoing.carried);
    append.waiter = waiter;
    waiter.append = append;
    append.onError = (error) => this.parts.replies.reject(waiter, error);
    this.submitInTurn(append, outgoing.checked);
    return waiter.promise;
  }

  /** Appends many messages: they leave together, and each has its own outcome. */
  enqueueBulk(all: readonly OutgoingMessage[]): Promise<BulkOutcome[]> {
    return new Promise((resolve) => {
      const outcomes = new Array<BulkOutcome>(all.length);
      let left = all.length;
      if (left === 0) resolve(outcomes);
      const set = (i: number, outcome: BulkOutcome): void => {
        outcomes[i] = outcome;
        if (--left === 0) resolve(outcomes);
      };
      all.forEach((outgoing, i) => {
        try {
          const append = this.make(outgoing, '', 0);
          append.onReceipt = (receipt) => set(i, { ok: true, receipt });
          append.onError = (error) => set(i, { ok: false, error });
          this.submitInTurn(append, outgoing.checked);
        } catch (error) {
          if (!(error instanceof AtomicQueuesError)) throw error;
          set(i, { ok: false, error });
        }
      });
    });
  }

  /** Makes a transactional send, which cannot wait: a message that no member is known to handle is refused. */
  toSend(outgoing: OutgoingMessage, id: string): Send {
    const { directory } = this.parts;
    const depthMax = directory.find(outgoing.type, outgoing.name);
    if (depthMax === undefined) throw directory.refusal(outgoing.type, outgoing.name);
    this.checkShape(outgoing);
    return { entity: this.keyOf(outgoing), message: this.toMessage(outgoing, id, '', 0), depthMax };
  }

  private toMessage(outgoing: OutgoingMessage, id: string, chain: string, waiter: number): NewMessage {
    const { name, payload, headers = '' } = outgoing;
    const given = outgoing.id !== undefined;
    const digest = given ? digestOf(name, canonicalText(payload)) : '';
    return { id, given, digest, name, payload, headers, chain, waiter, replayOf: '' };
  }

  private keyOf(outgoing: OutgoingMessage): string {
    return entityKeyOf(outgoing.type, outgoing.entityId);
  }

  private make(outgoing: OutgoingMessage, chain: string, waiter: number): Append {
    this.parts.admit();
    const id = outgoing.id === undefined ? this.prefix + (++this.counter).toString(36) : escapeId(outgoing.id);
    const message = this.toMessage(outgoing, id, chain, waiter);
    const entity = this.keyOf(outgoing);
    const { directory } = this.parts;
    const depthMax = directory.find(outgoing.type, outgoing.name);
    const append = new Append(this, { op: 'append', entity, message, depthMax: depthMax ?? 0, begin: false });
    append.asks = depthMax === undefined || directory.isAsked(outgoing.type);
    if (!append.asks) this.checkShape(outgoing);
    return append;
  }

  private checkShape({ type, name, payload }: OutgoingMessage): void {
    const wrong = this.parts.shapes.violation(type, name, payload);
    if (wrong !== undefined) throw wrong;
  }

  private submitInTurn(append: Append, checked: Promise<void> | undefined): void {
    const { turns } = this;
    const { entity } = append.op;
    const before = turns.size === 0 ? undefined : turns.get(entity);
    if (checked === undefined && before === undefined) {
      this.submit(append);
      return;
    }
    append.waitsForTurn = true;
    const turn = Promise.allSettled([checked, before]).then(([check]) => {
      if (turns.get(entity) === turn) turns.delete(entity);
      append.waitsForTurn = false;
      if (append.closed) return;
      try {
        if (check.status === 'rejected') throw check.reason;
        // The node may have stopped meanwhile.
        this.parts.admit();
      } catch (error) {
        append.failed(error as AtomicQueuesError);
        return;
      }
      this.submit(append);
    });
    turns.set(entity, turn);
  }

  private submit(append: Append): void {
    append.sinceMs = this.parts.clock.monotonicMs();
    this.open.push(append);
    if (this.expiryTimer === undefined) this.armExpiry();
    if (append.asks) this.ask(append);
    else this.resubmit(append);
  }

  private ask(append: Append): void {
    const { directory } = this.parts;
    const { entity, message } = append.op;
    const [type, name] = [typeOfKey(entity), message.name];
    const answered = (depthMax: number | undefined): void => {
      if (append.closed) return;
      if (depthMax === undefined) {
        append.refused(directory.refusal(type, name));
        return;
      }
      const wrong = this.parts.shapes.violation(type, name, message.payload);
      if (wrong !== undefined) {
        append.refused(wrong);
        return;
      }
      append.op = { ...append.op, depthMax };
      this.resubmit(append);
    };
    directory.ask({ type, name, answered });
  }

  private resubmit(append: Append): void {
    if (this.session === undefined) {
      this.held.add(append);
      return;
    }
    append.worker = this.parts.router.workerFor(append.op.entity);
    append.left = false;
    append.isSubmitted = true;
    this.session.submit(append as unknown as Step);
  }

  /** Keeps an append that was certainly not applied, for the next session. Drops it if its caller has given up. */
  hold(append: Append): void {
    append.left = false;
    if (!append.closed) this.held.add(append);
  }

  /** Takes back an append that has not left. */
  takeBack(append: Append): void {
    if (append.isSubmitted) this.session?.takeBack(append as unknown as Step);
    this.held.delete(append);
    this.close(append);
  }

  /** Called when the caller of an append has its answer. */
  close(append: Append): void {
    append.closed = true;
    while (this.open.peek()?.closed === true) this.open.shift();
  }

  private armExpiry(delayMs = EXPIRY_CHECK_MS): void {
    const { clock, config } = this.parts;
    const dueMs = clock.monotonicMs() + delayMs;
    this.expiryTimer = clock.setTimer(delayMs, () => {
      this.expiryTimer = undefined;
      const nowMs = clock.monotonicMs();
      // A process that was paused first reads its answers, which may show that a batch was certainly not applied.
      const isPutOff = delayMs === EXPIRY_CHECK_MS && nowMs - dueMs > EXPIRY_CHECK_MS;
      if (!isPutOff) this.expire(nowMs - config.enqueueTimeoutMs);
      if (this.open.length > 0) this.armExpiry(isPutOff ? ANSWERS_MS : EXPIRY_CHECK_MS);
    });
  }

  /** Rejects every caller whose append has waited since `beforeMs`. Appends that left are unknown; the others were never sent. */
  private expire(beforeMs: number): void {
    const { enqueueTimeoutMs } = this.parts.config;
    for (const append of [...this.open]) {
      if (append.closed) continue;
      if (append.sinceMs > beforeMs) break;
      if (append.left) {
        append.failed(outcomeUnknown(append, `the store did not answer within enqueueTimeoutMs (${enqueueTimeoutMs} ms)`));
        continue;
      }
      this.takeBack(append);
      append.refused(
        new AtomicQueuesError(
          'STORE_UNAVAILABLE',
          `the store was not reached within enqueueTimeoutMs (${enqueueTimeoutMs} ms); nothing was sent`,
          { details: { cause: this.parts.why() } },
        ),
      );
    }
  }

  /**
   * Rejects every caller without a receipt: the node ends. `why`: the reason; `cause`: the error that closed the node, if it
   * closed itself; `unsent`: the error for appends that never left.
   */
  rejectAll(why: string, unsent: AtomicQueuesError, cause?: AtomicQueuesError): void {
    this.held.clear();
    for (const append of [...this.open])
      if (!append.closed) append.failed(append.left ? outcomeUnknown(append, why, cause) : unsent);
    this.expiryTimer?.cancel();
    this.expiryTimer = undefined;
  }

  /** Tries to take back the message of a caller that gave up. */
  withdraw(waiter: Waiter, why: string): void {
    const { replies, clock, config, router } = this.parts;
    const isTakenBack = waiter.append?.takeBack() === true;
    if (isTakenBack || this.session === undefined) {
      replies.giveUp(waiter, why, isTakenBack);
      return;
    }
    const end = (withdrawn: boolean): void => replies.giveUp(waiter, why, withdrawn);
    const limit = clock.setTimer(config.storeCallTimeoutMs, () => end(false));
    // Every end of the wait cancels the limit: the outcome, the end of the node, the answer to the withdrawal.
    waiter.promise.catch(() => undefined).finally(() => limit.cancel());
    const withdraw = (): void => {
      const { entity, id, seq } = waiter;
      const step: Step<WithdrawOp> = {
        op: { op: 'withdraw', entity, id, seq },
        answered: (answer) => {
          end(answer.ok);
          if (answer.ok && answer.owner !== 0) router.wake(entity, answer.owner);
        },
        refused: () => end(false),
        unknown: () => end(false),
      };
      this.session?.submit(step as unknown as Step);
    };
    // While the append is in flight, the withdrawal waits for its answer. It is sent even if that is too late for this caller.
    if (waiter.seq === 0) waiter.onLogged = withdraw;
    else withdraw();
  }
}
