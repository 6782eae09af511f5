/**
 * The worker of one entity: it drains the entity's log, one message at a time.
 *
 *   claiming -> idle -> starting -> running -> finishing -> (running | idle)
 *                 \-> releasing        \-> retrying -> waiting -> starting
 * Between starting and running a message may be `checking` or `parked`: the log counts it as begun, and nothing runs.
 *
 *   (1) The log decides what runs: the worker runs exactly what append, begin or finish answered. Its inbox only spares
 *       reading a payload back.
 *   (2) At most one step that can begin something is in flight.
 *   (3) The check of the lease is the last synchronous statement before the handler is called.
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
  | 'starting' // a step that may begin something is in flight
  | 'checking' // begun, and its payload is being checked
  | 'parked' // begun, but the lease has lapsed: it starts when the lease is proved again
  | 'running'
  | 'finishing'
  | 'retrying'
  | 'waiting' // for a backoff or a take-over hold to end
  | 'releasing'
  | 'gone';

const WAIT_GRANULE_MS = 8;

export class EntityWorker implements Idle, Due {
  phase: Phase = 'claiming';
  fence = 0;
  /** The log may hold messages that the inbox does not. */
  more = false;
  idlePlace: Idle['idlePlace'];
  dueAtMs = 0;
  attempt: Attempt | undefined;
  /** A wake came while a begin, a retry or a finish was in flight, so what the log answers to that may be out of date. */
  private wokenMeanwhile = false;
  /** A message came while a begin was in flight. */
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

  /** Something was pending when it was last asked. */
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

  /** Asked as an append leaves: may the log begin it in the same step? If so, the worker waits for that answer. */
  mayBeginWithAppend(chained: boolean): boolean {
    if (this.phase !== 'idle' && this.phase !== 'claiming') return false;
    if (this.more || this.backlog > 0 || !this.table.mayStart(chained)) return false;
    this.start();
    return true;
  }

  /** The answer to an append that was asked to begin: nothing began. */
  appendDidNotBegin(): void {
    if (this.phase === 'starting') this.rest();
  }

  /** A logged message of this entity: `record` may run as soon as it is the head. */
  arrived(record: MessageRecord): void {
    this.inbox ??= new Inbox();
    this.inbox.push(record);
    this.arrivedMeanwhile = true;
    this.kick();
  }

  /** The log has something for this entity. */
  ring(): void {
    this.more = true;
    this.wokenMeanwhile = true;
    // What it waits for is over by the store's clock, which may have jumped since the wait was reckoned.
    if (this.phase === 'waiting') {
      this.table.due.cancel(this);
      this.rest();
    } else this.kick();
  }

  /** Begins the head if nothing stands against it. */
  kick(): void {
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
    this.kick();
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

  /** Nothing of this entity runs or is about to. */
  private rest(): void {
    this.freeSlot();
    if (this.fence === 0) {
      this.phase = 'claiming';
      return;
    }
    this.phase = 'idle';
    if (this.more || this.backlog > 0) this.kick();
    if (this.phase === 'idle') this.table.idle.add(this);
  }

  private beginAnswered(answer: AnswerOf['begin']): void {
    if (answer.ok) {
      this.begun(answer);
      return;
    }
    switch (answer.code) {
      case 'EMPTY':
        // A hint that came while the begin was in flight may be of a message that was appended after it.
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
    this.table.due.schedule(this, storeMs - this.table.storeNowMs() + 1, WAIT_GRANULE_MS);
  }

  onDue(): void {
    if (this.phase === 'waiting') this.rest();
  }

  /** The log has begun an attempt: finds its payload and runs it. */
  begun(begun: Begun): void {
    const held = begun.message ?? this.inbox?.find(begun.seq);
    // A hint may be older than the log: another owner may have tried the message meanwhile.
    const record = held === undefined || held.attempt === begun.attempt ? held : { ...held, attempt: begun.attempt };
    if (record === undefined) {
      this.table.fetch(this, begun);
      return;
    }
    this.dropUpTo(begun.seq);
    // What lies behind the head may have come from elsewhere, until a begin or finish says that nothing is there.
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

  /** The lease is proved again: starts what waits for it. */
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
    if (attempt.ghost) {
      this.table.ghostEnded(attempt, result, thrown);
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

  /** As a finish leaves: the sequence of the next head whose payload is here, 0 for any head, -1 for none. */
  nextWanted(): number {
    const chained = this.inbox?.isWaitedFor === true;
    if (!this.table.mayGoOn(chained) || (!this.holdsSlot && !this.table.mayStart(chained))) return -1;
    return this.inbox?.head?.seq ?? 0;
  }

  /** The store has no room for what the handler sent: until it has, this entity stands still, and its slot is another's. */
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

  /** `failed`: how the message ends if the log has no attempt left for it. */
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
    // The session ended. If the retry was not applied, the take-over makes a dead letter, and this becomes its note.
    const ended = (): void => this.outcomeUnknown(attempt, 'failed', error);
    this.table.submit({ op, answered, refused: ended, unknown: ended } satisfies Step<RetryOp>);
  }

  // ---- release -------------------------------------------------------------------------------------------------

  onIdleTimeout(): void {
    if (this.phase === 'idle') this.release(false);
  }

  /** Gives the entity up. `handoff`: with what is pending, for another owner. */
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

  /** This process no longer owns the entity, or its session has ended. */
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

// The session's end takes the whole table with it; steps other than appends are never refused alone.
const ignore = (): void => undefined;
