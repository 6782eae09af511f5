/**
 * The worker of one entity: it runs the messages of the entity's log, one at a time.
 *
 *   claiming -> idle -> starting -> running -> finishing -> (running | idle)
 *                 \-> releasing        \-> retrying -> waiting -> starting
 * In `checking` and `parked`, between starting and running, the log counts the message as begun, but no handler runs.
 *
 *   (1) The log decides what runs: the worker runs exactly the message that an append, begin or finish returned. Its inbox only
 *       saves reading a payload back.
 *   (2) At most one step that can begin something is in flight.
 *   (3) The lease is checked right before the handler is called, with no await in between.
 */

import type { EntitySettings } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import {
  type AnswerOf,
  type BeginOp,
  type Begun,
  type ClaimOp,
  type FinishOp,
  type MessageRecord,
  type Outcome,
  type ReleaseOp,
  type RetryOp,
  type Send,
  sizeOf,
} from '../core/log/operations.js';
import { retryDelayMs } from '../core/retry.js';
import { FinalFailure } from '../ports/handler.js';
import { Attempt, type Verdict } from './attempt.js';
import type { Due } from './due-times.js';
import { FinishStep, failedOf } from './finish-step.js';
import type { Idle } from './idle-list.js';
import { Inbox } from './inbox.js';
import type { Ownership } from './ownership.js';
import type { Step } from './session.js';

type Phase =
  | 'claiming'
  | 'idle'
  | 'starting' // a step that may begin a message is in flight
  | 'checking' // begun; its payload is being checked
  | 'parked' // begun, but the lease has lapsed: the handler starts when the lease is proved again
  | 'running'
  | 'finishing'
  | 'retrying'
  | 'waiting' // until a backoff or a take-over hold ends
  | 'releasing'
  | 'gone';

const WAIT_RESOLUTION_MS = 8;

export class EntityWorker implements Idle, Due {
  phase: Phase = 'claiming';
  fence = 0;
  /** True if the log may hold messages that the inbox does not. */
  more = false;
  idlePlace: Idle['idlePlace'];
  dueAtMs = 0;
  attempt: Attempt | undefined;
  /** A wake arrived while a begin, a retry or a finish was in flight, so the log's answer to that step may be out of date. */
  private wokenMeanwhile = false;
  /** A message arrived while a begin was in flight. */
  private arrivedMeanwhile = false;
  private holdsSlot = false;
  private queuedForSlot = false;
  private inbox: Inbox | undefined;

  constructor(
    readonly entity: string,
    readonly settings: EntitySettings,
    readonly table: Ownership,
  ) {}

  get idleTimeoutMs(): number {
    return this.settings.workerIdleTimeoutMs;
  }

  /** True if messages of this entity were pending as far as the worker last heard. */
  get hadMore(): boolean {
    return this.more || this.backlog > 0;
  }

  get backlog(): number {
    return this.inbox?.length ?? 0;
  }

  // ---- claim ---------------------------------------------------------------------------------------------------

  claim(): void {
    const op: ClaimOp = { op: 'claim', entity: this.entity };
    const step: Step<ClaimOp> = {
      op,
      answered: (answer) => this.claimed(answer),
      refused: () => this.leaveTable(),
      unknown: () => undefined,
    };
    this.table.submit(step);
  }

  private claimed(answer: AnswerOf['claim']): void {
    if (!answer.ok) {
      this.leaveTable();
      return;
    }
    this.fence = answer.fence;
    this.table.traceClaim(this.entity, answer.fence);
    if (answer.pending > 0) this.more = true;
    if (this.phase !== 'claiming') return;
    this.rest();
  }

  // ---- arrival -------------------------------------------------------------------------------------------------

  /** Called as an append leaves: returns whether the log may begin it in the same step. The worker then waits for the answer. */
  mayBeginWithAppend(chained: boolean): boolean {
    if (this.phase !== 'idle' && this.phase !== 'claiming') return false;
    if (this.more || this.backlog > 0 || !this.table.mayStart(chained)) return false;
    this.start();
    return true;
  }

  /** Called when the log did not begin an append that was asked to begin. */
  appendDidNotBegin(): void {
    if (this.phase === 'starting') this.rest();
  }

  /** Takes a logged message of this entity, which may run as soon as it is the head. */
  arrived(record: MessageRecord): void {
    this.inbox ??= new Inbox();
    this.inbox.push(record);
    this.arrivedMeanwhile = true;
    this.tryToBegin();
  }

  /** Called when the log may have work for this entity: tries to begin it. */
  wake(): void {
    this.more = true;
    this.wokenMeanwhile = true;
    // The end of the wait was computed from the store's clock, which may have jumped since. The log is asked again.
    if (this.phase === 'waiting') {
      this.table.due.cancel(this);
      this.rest();
    } else this.tryToBegin();
  }

  /** Begins the head, if the phase, the lease and the slots allow it. */
  tryToBegin(): void {
    if (this.phase !== 'idle' || (!this.more && this.backlog === 0)) return;
    if (!this.table.mayStart(this.inbox?.isWaitedFor === true)) {
      if (!this.queuedForSlot && this.table.waitForSlot(this)) this.queuedForSlot = true;
      return;
    }
    this.start();
    const op: BeginOp = { op: 'begin', entity: this.entity, fence: this.fence, have: this.inbox?.head?.seq ?? 0 };
    this.table.submit({
      op,
      answered: (answer) => this.beginAnswered(answer),
      refused: ignore,
      unknown: ignore,
    } satisfies Step<BeginOp>);
  }

  slotIsFree(): void {
    this.queuedForSlot = false;
    this.tryToBegin();
  }

  private start(): void {
    if (this.phase === 'idle') this.table.idle.remove(this);
    this.phase = 'starting';
    this.wokenMeanwhile = false;
    this.arrivedMeanwhile = false;
    this.takeSlot();
  }

  private takeSlot(): void {
    if (this.holdsSlot) return;
    this.holdsSlot = true;
    this.table.slots.taken++;
  }

  private freeSlot(): void {
    if (!this.holdsSlot) return;
    this.holdsSlot = false;
    this.table.slotFreed();
  }

  /** Becomes idle: no message of this entity runs or is about to run. Begins the next one if there is one. */
  private rest(): void {
    this.freeSlot();
    if (this.fence === 0) {
      this.phase = 'claiming';
      return;
    }
    this.phase = 'idle';
    if (this.more || this.backlog > 0) this.tryToBegin();
    if (this.phase === 'idle') this.table.idle.add(this);
  }

  private beginAnswered(answer: AnswerOf['begin']): void {
    if (answer.ok) {
      this.begun(answer);
      return;
    }
    switch (answer.code) {
      case 'EMPTY':
        // A hint that arrived while the begin was in flight may belong to a message that was appended after it.
        this.more = this.wokenMeanwhile || this.arrivedMeanwhile;
        this.inbox = undefined;
        this.rest();
        return;
      case 'HELD':
      case 'NOT_BEFORE':
        this.waitUntil(answer.at);
        return;
      case 'UNDECLARED':
        this.freeSlot();
        this.table.handOff(this);
        return;
      default:
        this.table.contradicted(this, answer.code);
    }
  }

  private waitUntil(storeMs: number): void {
    this.more = true;
    if (this.wokenMeanwhile) {
      this.rest();
      return;
    }
    this.phase = 'waiting';
    this.freeSlot();
    this.table.due.schedule(this, storeMs - this.table.storeNowMs() + 1, WAIT_RESOLUTION_MS);
  }

  onDue(): void {
    if (this.phase === 'waiting') this.rest();
  }

  /** Finds the payload of an attempt that the log has begun, and runs the attempt. */
  begun(begun: Begun): void {
    const held = begun.message ?? this.inbox?.find(begun.seq);
    // The inbox may be older than the log: another owner may have tried the message meanwhile.
    const record = held === undefined || held.attempt === begun.attempt ? held : { ...held, attempt: begun.attempt };
    if (record === undefined) {
      this.table.fetch(this, begun);
      return;
    }
    this.dropUpTo(begun.seq);
    // Other nodes may have appended behind a message that the inbox lacked. Assume more until a begin or finish finds none.
    if (begun.message !== undefined) this.more = true;
    this.launch(record);
  }

  private dropUpTo(seq: number): void {
    const { inbox } = this;
    if (inbox === undefined) return;
    inbox.dropUpTo(seq);
    if (inbox.length === 0) this.inbox = undefined;
  }

  // ---- run -----------------------------------------------------------------------------------------------------

  launch(record: MessageRecord): void {
    this.takeSlot();
    const attempt = this.attemptOf(record);
    const checking = attempt.check();
    if (!(checking instanceof Promise)) {
      this.checked(attempt, checking);
      return;
    }
    this.phase = 'checking';
    this.table.park(this);
    void checking.then((verdict) => {
      if (this.phase === 'checking' && this.attempt === attempt) this.checked(this.attemptOf(record), verdict);
    });
  }

  private attemptOf(record: MessageRecord): Attempt {
    this.attempt = new Attempt(this, record, this.table.contextFor(this, record));
    return this.attempt;
  }

  private checked(attempt: Attempt, verdict: Verdict): void {
    this.table.unpark(this);
    if (verdict === undefined) this.startIfLeased(attempt);
    else this.attemptEnded(attempt, undefined, verdict.thrown);
  }

  /** Called when the lease is proved again: starts the parked attempt. */
  leaseProved(): void {
    if (this.phase !== 'parked') return;
    this.table.unpark(this);
    this.startIfLeased(this.attemptOf((this.attempt as Attempt).record));
  }

  private startIfLeased(attempt: Attempt): void {
    if (this.table.leaseValid()) {
      attempt.start();
      return;
    }
    this.phase = 'parked';
    this.table.park(this);
  }

  attemptEnded(attempt: Attempt, result: string | undefined, thrown: unknown): void {
    const sends = attempt.context.close();
    if (attempt.zombie) {
      this.table.zombieEnded(attempt, result, thrown);
      return;
    }
    const { record } = attempt;
    if (result !== undefined) {
      this.finish(attempt, { state: 'completed', result, error: '' }, sends);
      return;
    }
    const { retry } = this.settings;
    const { isFinal, leavesDeadLetter } = this.table.ruleOn(attempt, thrown);
    const failed = failedOf(thrown, leavesDeadLetter);
    if (record.attempt < retry.maxAttempts && !isFinal) this.retry(attempt, retryDelayMs(retry, record.attempt), failed);
    else this.finish(attempt, failed, NO_SENDS);
  }

  // ---- finish --------------------------------------------------------------------------------------------------

  private finish(attempt: Attempt, outcome: Outcome, sends: readonly Send[]): void {
    this.phase = 'finishing';
    this.wokenMeanwhile = false;
    const { seq, attempt: number } = attempt.record;
    const frees = sends.length > 0 ? sizeOf(attempt.record) : 0;
    const { entity, fence } = this;
    const op: FinishOp = { op: 'finish', entity, fence, seq, attempt: number, outcome, sends, frees, next: -1 };
    this.table.submit(new FinishStep(this, attempt, op));
  }

  /** Returns, as a finish leaves, the sequence of the next head if its payload is here, 0 for any head, -1 for none. */
  nextWanted(): number {
    const chained = this.inbox?.isWaitedFor === true;
    if (!this.table.mayGoOn(chained) || (!this.holdsSlot && !this.table.mayStart(chained))) return -1;
    return this.inbox?.head?.seq ?? 0;
  }

  /** Called when the store has no room for the handler's sends. The entity waits, and its slot goes to another entity. */
  finishParked(): void {
    this.freeSlot();
  }

  finished(attempt: Attempt, op: FinishOp, answer: AnswerOf['finish']): void {
    const { record } = attempt;
    if (!answer.ok) {
      if (answer.code === 'QUEUE_DEPTH_EXCEEDED' || answer.code === 'WORKER_LIMIT_EXCEEDED') {
        const limit = `what the handler sent exceeds a limit of ${answer.at}; nothing was sent`;
        const failure = new FinalFailure(new AtomicQueuesError(answer.code, limit, { details: { limit: answer.at } }));
        this.finish(attempt, failedOf(failure, this.table.ruleOn(attempt, failure).leavesDeadLetter), NO_SENDS);
        return;
      }
      this.table.contradicted(this, answer.code);
      return;
    }
    this.attempt = undefined;
    this.table.ended(this, record, op.outcome);
    for (let i = 0; i < op.sends.length; i++) {
      const to = answer.sent[i];
      if (to !== undefined) this.table.sent(op.sends[i] as Send, to.seq, to.owner);
    }
    if (answer.next !== undefined) {
      this.phase = 'starting';
      this.begun(answer.next);
      return;
    }
    if (op.next >= 0 && this.backlog === 0 && !this.wokenMeanwhile) this.more = false;
    this.rest();
  }

  outcomeUnknown(attempt: Attempt, state: 'completed' | 'failed', detail: string): void {
    this.table.reportLate(attempt, this.table.incarnation, state, detail);
  }

  /** Retries the message. `failed`: the outcome of the message if the log has no attempt left for it. */
  private retry(attempt: Attempt, delayMs: number, failed: Outcome): void {
    this.phase = 'retrying';
    this.wokenMeanwhile = false;
    const { record } = attempt;
    const { error } = failed;
    const op: RetryOp = {
      op: 'retry',
      entity: this.entity,
      fence: this.fence,
      seq: record.seq,
      attempt: record.attempt,
      delayMs,
      error,
    };
    const answered = (answer: AnswerOf['retry']): void => {
      if (!answer.ok) {
        this.finish(attempt, failed, NO_SENDS);
        return;
      }
      this.attempt = undefined;
      if (failed.noDeadLetter !== true) this.table.traceRetry(attempt, delayMs, error);
      this.inbox ??= new Inbox();
      this.inbox.unshift({ ...record, attempt: record.attempt + 1, notBeforeMs: answer.notBeforeMs, error });
      this.waitUntil(answer.notBeforeMs);
    };
    // The session ended. If the retry was not applied, the take-over adds a dead letter, and this report becomes its note.
    const ended = (): void => this.outcomeUnknown(attempt, 'failed', error);
    this.table.submit({ op, answered, refused: ended, unknown: ended } satisfies Step<RetryOp>);
  }

  // ---- release -------------------------------------------------------------------------------------------------

  onIdleTimeout(): void {
    if (this.phase === 'idle') this.release(false);
  }

  /** Releases the entity. `handoff`: also if messages are pending, which another owner then runs. */
  release(handoff: boolean): void {
    if (this.phase === 'idle') this.table.idle.remove(this);
    if (this.phase === 'waiting') this.table.due.cancel(this);
    this.phase = 'releasing';
    this.table.releases++;
    const op: ReleaseOp = { op: 'release', entity: this.entity, fence: this.fence, handoff };
    const answered = (answer: AnswerOf['release']): void => {
      if (answer.ok || answer.code !== 'MORE') {
        this.table.released(this, handoff);
        return;
      }
      this.more = true;
      this.rest();
    };
    this.table.submit({ op, answered, refused: ignore, unknown: ignore } satisfies Step<ReleaseOp>);
  }

  /** Removes the worker: this process no longer owns the entity, or its session has ended. */
  leaveTable(): void {
    if (this.phase === 'gone') return;
    if (this.phase === 'idle') this.table.idle.remove(this);
    if (this.phase === 'waiting') this.table.due.cancel(this);
    this.phase = 'gone';
    this.freeSlot();
    this.table.remove(this);
  }
}

const NO_SENDS: readonly Send[] = [];

// A begin or release is refused only at the end of the session, when `Ownership.abandon` removes every worker.
const ignore = (): void => undefined;
