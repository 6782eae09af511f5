/**
 * A node's session with the store: group commit by back-pressure, in numbered batches.
 *
 * Components `submit` steps; the session reports once how each of them ended. Appends leave in order among themselves.
 *   (1) At most two batches are in flight. Meanwhile steps queue up, so batches grow with load and no step waits for a timer.
 *   (2) A number always carries the same steps, except that it loses those that a refusing store has no room for (`heavyOf`). If
 *       no copy was applied, those steps are refused at once. Otherwise the number of answers shows which steps were applied.
 *   (3) Batches end in order of their numbers, and none is given up while the session lives.
 *   (4) When the session ends, the steps in flight are unknown, unless every copy of their batch was answered that nothing was
 *       done. Steps that never left, and steps behind such a batch, are certainly not applied.
 *   (5) A batch is bounded in size, in both directions. It is resent until it is answered, so one that takes longer than a call
 *       may take would be resent forever. A batch that is large nevertheless, and gets no answer, gets more time with each try.
 *   (6) A copy that was answered "gap" was certainly not applied: an answered call has no other copy, and that one found its
 *       predecessor missing. It counts as refused. Counted as unknown, in a full store, the batch would keep its appends, and
 *       with them the memory that the steps behind it would free.
 *   (7) A finish whose sends have no room waits here (`parked`), outside of the order: steps that free memory overtake it. One of
 *       them is tried from time to time, and all leave as soon as the store has accepted a step that makes the log grow.
 */
import { AtomicQueuesError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { Identity } from '../core/log/control-operations.js';
import { type Answer, type AnswerOf, type FinishOp, growsLog, type SessionOp, sizeOfSends } from '../core/log/operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Random } from '../ports/random.js';
import { type Store, StoreCallError } from '../ports/store.js';
import { BatchSize, patienceFor } from './batch-size.js';
import { heavyOf, type InFlight, isFree } from './in-flight.js';

export interface Step<O extends SessionOp = SessionOp> {
  readonly op: O;
  /** Called as the batch leaves: the last moment to decide `begin` or `next`. */
  leaving?(): void;
  answered(answer: AnswerOf[O['op']]): void;
  /** Called when the store has no room for the step, and the step waits here. */
  parked?(): void;
  /** Called when the step was certainly not applied, and will not be. */
  refused(error: AtomicQueuesError): void;
  /** Called when the session ended while the step was in flight. */
  unknown(error: AtomicQueuesError): void;
}

export interface SessionEvents {
  /** Called when the incarnation was evicted. */
  fenced(): void;
  /** Called when the store has lost acknowledged writes. */
  lost(why: string): void;
  /** Called when a call failed (`error`), or when the store answered (undefined). */
  health(error: StoreCallError | undefined): void;
  /** Called with the number of ended handlers whose sends the store has no room for; 0: there is room again. */
  full(waiting: number, why: string): void;
}

const IN_FLIGHT_MAX = 2;
/** In characters of sends, see `park`. */
const PARKED_SIZE_MAX = 16 * 1024 * 1024;
/** A batch whose script fails this often in a row with the same error is not tried again. */
const BROKEN_MAX = 3;
const RESEND_DELAY_MS = { first: 20, max: 1000 };

const opsOf = (steps: readonly Step[]): SessionOp[] => steps.map(({ op }) => op);

const backoffMs = (failures: number): number => Math.min(RESEND_DELAY_MS.first * 2 ** failures, RESEND_DELAY_MS.max);

export class StoreSession {
  /** Appends, and claims of the entities that they are for. */
  private readonly arrivals = new Fifo<Step>();
  /** Arrivals that were taken back and are still in the queue. */
  private readonly takenBack = new Set<Step>();
  /** All other steps. A finish leaves before an append, so that slots and memory are freed first. */
  private readonly urgent = new Fifo<Step>();
  private readonly flying: InFlight[] = [];
  /** Finishes whose sends the store had no room for. */
  private readonly parked = new Fifo<Step>();
  /** True if the store was out of memory since the flag was last reset. */
  wasFull = false;
  private parkedRefusals = 0;
  private parkedSize = 0;
  private parkedTimer: Timer | undefined;
  private readonly size = new BatchSize();
  private lastN = 0;
  private highestAnswered = 0;
  private armed = false;
  private ended = false;
  /** Heartbeats that were acknowledged since a batch was last applied. */
  private heartbeats = 0;
  private readonly flush = (): void => this.leave();

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly member: Identity,
    private readonly events: SessionEvents,
  ) {}

  get incarnation(): number {
    return this.member.incarnation;
  }

  /** Number of steps that have not ended. */
  get outstanding(): number {
    let n = this.queued + this.parked.length;
    for (const b of this.flying) n += (b.former ?? b.steps).length;
    return n;
  }

  /** Number of the last acknowledged batch; 0 if there is none. */
  get lastAcknowledged(): number {
    return this.highestAnswered;
  }

  /** Number of ended handlers that wait for room for their sends. */
  get awaitingRoom(): number {
    return this.parked.length;
  }

  private get queued(): number {
    return this.urgent.length + this.arrivals.length - this.takenBack.size;
  }

  /** Counts an acknowledged heartbeat. Returns how many were acknowledged while no batch in flight was applied. */
  heartbeat(): number {
    this.heartbeats = this.flying.length === 0 ? 0 : this.heartbeats + 1;
    return this.heartbeats;
  }

  submit(step: Step): void {
    if (this.ended) {
      step.refused(new AtomicQueuesError('FENCED', 'the session has ended'));
      return;
    }
    if (step.op.op === 'append' || step.op.op === 'claim') this.arrivals.push(step);
    else this.urgent.push(step);
    this.arm();
  }

  /** Takes back an append that was submitted here and has not left. */
  takeBack(step: Step): void {
    this.takenBack.add(step);
    if (this.takenBack.size * 2 <= this.arrivals.length) return;
    this.arrivals.retain((s) => !this.takenBack.has(s));
    this.takenBack.clear();
  }

  /** Ends the session: `error` goes to steps that may have been applied, `refusal` to those that certainly were not. */
  end(error: AtomicQueuesError, refusal: AtomicQueuesError): void {
    if (this.ended) return;
    this.ended = true;
    let isCertain = false;
    for (const batch of this.flying.splice(0)) {
      batch.resend?.cancel();
      // Batches are applied in order of their numbers: none behind one that was certainly not applied can have been applied.
      isCertain ||= batch.answers === undefined && isFree(batch);
      for (const step of batch.former ?? batch.steps) {
        if (isCertain) step.refused(refusal);
        else step.unknown(error);
      }
    }
    this.leaveParked(this.parked.length);
    for (let step = this.next(); step !== undefined; step = this.next()) step.refused(refusal);
  }

  private peek(): Step | undefined {
    return this.urgent.peek() ?? this.arrival();
  }

  /** Returns the next arrival that was not taken back. */
  private arrival(): Step | undefined {
    let step = this.arrivals.peek();
    if (this.takenBack.size === 0) return step;
    for (; step !== undefined && this.takenBack.delete(step); step = this.arrivals.peek()) this.arrivals.shift();
    return step;
  }

  private next(): Step | undefined {
    if (this.urgent.length > 0) return this.urgent.shift();
    this.arrival();
    return this.arrivals.shift();
  }

  private arm(): void {
    if (this.armed || this.ended || this.flying.length >= IN_FLIGHT_MAX || this.queued === 0) return;
    this.armed = true;
    this.clock.defer(this.flush);
  }

  private leave(): void {
    this.armed = false;
    while (!this.ended && this.flying.length < IN_FLIGHT_MAX && this.queued > 0) {
      const steps: Step[] = [];
      this.size.begin();
      for (let step = this.peek(); step !== undefined && this.size.hasRoomFor(step.op); step = this.peek()) {
        this.next();
        step.leaving?.();
        steps.push(step);
        this.size.add(step.op);
      }
      const batch: InFlight = {
        n: ++this.lastN,
        steps,
        former: undefined,
        refusal: undefined,
        chars: this.size.total,
        copies: 0,
        refusedCopies: 0,
        answers: undefined,
        waits: false,
        failures: 0,
        broken: 0,
        lastBroken: '',
        unanswered: 0,
        resend: undefined,
      };
      this.flying.push(batch);
      this.send(batch);
    }
  }

  private send(batch: InFlight): void {
    batch.copies++;
    batch.waits = false;
    const answeredBefore = this.highestAnswered;
    const { n, former, chars, unanswered } = batch;
    const { generation, incarnation, token } = this.member;
    const content = { generation, incarnation, token, n, ops: opsOf(batch.steps) };
    this.store.apply(former === undefined ? content : { ...content, former: opsOf(former) }, patienceFor(chars, unanswered)).then(
      (reply) => {
        if (this.ended || !this.flying.includes(batch)) return;
        this.events.health(undefined);
        switch (reply.status) {
          case 'applied':
            this.applied(batch, reply.answers);
            return;
          case 'gap':
            if (answeredBefore > reply.last) this.lostBatch(reply.last + 1);
            else this.metGap(batch);
            return;
          case 'fenced':
            batch.refusedCopies++;
            if (reply.last !== undefined && answeredBefore > reply.last) this.lostBatch(reply.last + 1);
            else this.events.fenced();
            return;
          case 'stale':
            this.events.lost(`batch ${batch.n} is behind the session`);
            return;
          case 'unknown':
            this.events.lost(`it holds no join of incarnation ${this.incarnation} by this process`);
            return;
          case 'lost':
            this.events.lost('its generation changed, or fields of its meta key are gone');
        }
      },
      (error: unknown) => this.failed(batch, error),
    );
  }

  private lostBatch(n: number): void {
    this.events.lost(`batch ${n} was acknowledged and is gone`);
  }

  private metGap(batch: InFlight): void {
    batch.refusedCopies++;
    if (this.flying[0] === batch) this.resendLater(batch);
    else batch.waits = true;
  }

  /**
   * Returns whether the batch has failed too often. A script that fails in itself fails again for the same batch: data that it
   * needs is missing. Nothing of the batch is applied, since a batch that has written anything has kept its answers, and a resend
   * returns those.
   */
  private isBroken(batch: InFlight, failure: StoreCallError): boolean {
    if (failure.kind !== 'broken') {
      batch.lastBroken = '';
      return false;
    }
    batch.broken = batch.lastBroken === failure.message ? batch.broken + 1 : 1;
    batch.lastBroken = failure.message;
    if (batch.broken < BROKEN_MAX) return false;
    this.damaged(`it fails in the same way each time that batch ${batch.n} is sent: ${failure.message}`);
    return true;
  }

  /** Reports a loss: the store is in a state that it can only be in if it lost something acknowledged. */
  damaged(why: string): void {
    if (!this.ended) this.events.lost(why);
  }

  private failed(batch: InFlight, error: unknown): void {
    if (this.ended || !this.flying.includes(batch)) return;
    const failure = error instanceof StoreCallError ? error : new StoreCallError(String(error), false, false, { cause: error });
    this.events.health(failure);
    if (this.ended || this.isBroken(batch, failure)) return;
    if (failure.refused) {
      if (failure.kind === 'full') this.wasFull = true;
      batch.refusedCopies++;
      this.heartbeats = 0;
      this.lighten(batch, failure);
      // The store would refuse the batches behind it as well, so their callers need not wait.
      for (const behind of this.flying) if (behind.waits) this.lighten(behind, failure);
    } else {
      batch.unanswered++;
      this.size.gotStuck(batch.chars);
    }
    this.dropEmpty();
    if (this.flying.includes(batch)) this.tryAgain(batch);
    this.arm();
  }

  /** Frees the numbers of empty batches at the end. Not of one that may have been applied: that has used up its number. */
  private dropEmpty(): void {
    for (
      let last = this.flying.at(-1);
      last !== undefined && isFree(last) && last.steps.length === 0;
      last = this.flying.at(-1)
    ) {
      this.flying.pop();
      last.resend?.cancel();
      this.lastN = last.n - 1;
    }
  }

  /** Removes the steps that a refusing store has no room for, and refuses them once it is certain that none was applied. */
  private lighten(batch: InFlight, failure: StoreCallError): void {
    const heavy = heavyOf(batch.steps);
    if (heavy.size > 0) {
      batch.former ??= batch.steps;
      batch.refusal = failure;
      batch.steps = batch.steps.filter((s) => !heavy.has(s));
    }
    if (!isFree(batch)) return;
    batch.copies = batch.refusedCopies = 0;
    this.refuseHeavy(batch);
  }

  /** Ends the steps that were removed: no copy that carried them was applied, and none will be. */
  private refuseHeavy(batch: InFlight): void {
    const { former, steps, refusal: cause } = batch;
    batch.former = batch.refusal = undefined;
    if (former === undefined || cause === undefined) return;
    const kept = new Set(steps);
    const text = `the store refused the write: ${cause.message}`;
    const error = new AtomicQueuesError('STORE_UNAVAILABLE', text, { cause, details: { cause: cause.message } });
    for (const step of former) {
      if (kept.has(step)) continue;
      if (step.op.op === 'finish') this.park(step, step.op);
      else step.refused(error);
    }
    if (this.parked.length === 0 || this.parkedTimer !== undefined) return;
    if (this.parkedRefusals === 0) this.events.full(this.parked.length, cause.message);
    this.parkedTimer = this.clock.setTimer(backoffMs(this.parkedRefusals++), () => this.leaveParked(1));
  }

  private park(step: Step, op: FinishOp): void {
    this.parked.push(step);
    this.parkedSize += sizeOfSends(op);
    // Size bounds the finishes parked without a slot. Past it a parked finish keeps its slot, so that the slots are the bound.
    if (this.parkedSize <= PARKED_SIZE_MAX) step.parked?.();
  }

  /** Puts that many parked finishes back in the queue. */
  private leaveParked(count: number): void {
    this.parkedTimer?.cancel();
    this.parkedTimer = undefined;
    for (let left = Math.min(count, this.parked.length); left > 0; left--) {
      const step = this.parked.shift() as Step<FinishOp>;
      this.parkedSize -= sizeOfSends(step.op);
      this.urgent.push(step as unknown as Step);
    }
    this.arm();
  }

  private applied(batch: InFlight, answers: readonly Answer[]): void {
    if (batch.former !== undefined && answers.length === batch.former.length) batch.steps = batch.former;
    this.refuseHeavy(batch);
    batch.answers = answers;
    this.heartbeats = 0;
    this.size.gotThrough();
    if (this.parkedRefusals > 0 && batch.steps.some((s) => growsLog(s.op))) this.hasRoom();
    this.highestAnswered = Math.max(this.highestAnswered, batch.n);
    this.endInOrder();
  }

  /** Called when the store has accepted a step that makes the log grow. */
  private hasRoom(): void {
    this.parkedRefusals = 0;
    this.leaveParked(this.parked.length);
    this.events.full(0, '');
  }

  private tryAgain(batch: InFlight): void {
    const first = this.flying[0];
    // Behind a batch that is too large for one deadline, a copy would only take bandwidth from that batch.
    if (first !== undefined && first !== batch && patienceFor(first.chars, first.unanswered) > 1) batch.waits = true;
    else this.resendLater(batch);
  }

  private resendLater(batch: InFlight): void {
    const delayMs = backoffMs(batch.failures++) * (0.5 + this.random.next());
    batch.resend = this.clock.setTimer(delayMs, () => this.sendAgain(batch));
  }

  private sendAgain(batch: InFlight): void {
    batch.resend = undefined;
    if (!this.ended && batch.answers === undefined && this.flying.includes(batch)) this.send(batch);
  }

  /** Called when the store answers again: batches in a backoff leave now, since all later steps wait behind them. */
  storeAnswers(): void {
    for (const batch of [...this.flying]) {
      if (batch.resend === undefined) continue;
      batch.resend.cancel();
      batch.failures = 0;
      this.sendAgain(batch);
    }
  }

  private endInOrder(): void {
    for (let batch = this.flying[0]; batch?.answers !== undefined; batch = this.flying[0]) {
      this.flying.shift();
      const { steps, answers } = batch;
      for (let i = 0; i < steps.length; i++) {
        const step = steps[i] as Step;
        this.size.saw(answers[i] as Answer);
        step.answered(answers[i] as never);
      }
    }
    const next = this.flying[0];
    if (next?.waits === true) this.send(next);
    this.arm();
  }
}
