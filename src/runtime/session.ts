/**
 * A node's session with the store: group commit by back-pressure, in numbered batches (design §3).
 *
 * Who calls whom: flows `submit` steps; a step is told once how it ended. Appends leave in order among themselves.
 *   (1) At most two batches are in flight; while they are, steps pile up, so batches grow with load and nothing waits for a timer.
 *   (2) A number always carries the same steps, unless every copy sent of it was certainly refused.
 *   (3) Batches end in order of their numbers, and none is given up while the session lives.
 *   (4) When the session ends, what is in flight is unknown, and what never left is certainly not applied.
 *   (5) A batch is bounded in size, both ways: since it is sent until it is answered, one that takes longer than a call may
 *       would be sent for ever.
 */
import { AtomicQueuesError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { Identity } from '../core/log/control-operations.js';
import type { Answer, AnswerOf, SessionOp } from '../core/log/operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Random } from '../ports/random.js';
import { type Store, StoreCallError } from '../ports/store.js';
import { BatchSize } from './batch-size.js';

export interface Step<O extends SessionOp = SessionOp> {
  readonly op: O;
  /** Called as the batch leaves: the last moment to decide `begin` or `next`. */
  leaving?(): void;
  answered(answer: AnswerOf[O['op']]): void;
  /** It was certainly not applied, and will not be. */
  refused(error: AtomicQueuesError): void;
  /** The session ended while it was in flight. */
  unknown(error: AtomicQueuesError): void;
}

interface InFlight {
  readonly n: number;
  steps: Step[];
  ops: SessionOp[];
  /** Copies sent under this number since it last carried other steps. */
  copies: number;
  refusedCopies: number;
  answers: readonly Answer[] | undefined;
  /** It was told of a gap before it: it leaves again when its predecessor has ended. */
  waits: boolean;
  failures: number;
  /** Set while it waits to be sent again. */
  resend: Timer | undefined;
}

export interface SessionEvents {
  /** The incarnation was evicted. */
  fenced(): void;
  /** The store lost acknowledged writes. */
  lost(why: string): void;
  /** A call got no answer (`error`), or an answer came again (undefined). */
  health(error: StoreCallError | undefined): void;
}

const IN_FLIGHT_MAX = 2;
const RESEND_DELAY_MS = { first: 20, max: 1000 };

export class StoreSession {
  /** Appends, and claims on their way to them. */
  private readonly arrivals = new Fifo<Step>();
  /** All else: what ends goes before what arrives, so slots and memory come free first. */
  private readonly urgent = new Fifo<Step>();
  private readonly flying: InFlight[] = [];
  private readonly size = new BatchSize();
  private lastN = 0;
  private highestAnswered = 0;
  private armed = false;
  private ended = false;
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

  /** Steps that have not ended. */
  get outstanding(): number {
    let n = this.queued;
    for (const b of this.flying) n += b.steps.length;
    return n;
  }

  private get queued(): number {
    return this.urgent.length + this.arrivals.length;
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

  /** Takes an append back that has not left. */
  takeBack(step: Step): void {
    this.arrivals.remove((s) => s === step);
  }

  /** Ends the session: `error` goes to what is in flight, and what never left is refused. */
  end(error: AtomicQueuesError, refusal: AtomicQueuesError): void {
    if (this.ended) return;
    this.ended = true;
    const flying = this.flying.splice(0);
    for (const batch of flying) for (const step of batch.steps) step.unknown(error);
    for (let step = this.next(); step !== undefined; step = this.next()) step.refused(refusal);
  }

  private next(): Step | undefined {
    return this.urgent.shift() ?? this.arrivals.shift();
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
      const ops: SessionOp[] = [];
      this.size.begin();
      for (let step = this.next(); step !== undefined; step = this.size.isFull ? undefined : this.next()) {
        step.leaving?.();
        steps.push(step);
        ops.push(step.op);
        this.size.add(step.op);
      }
      const batch: InFlight = {
        n: ++this.lastN,
        steps,
        ops,
        copies: 0,
        refusedCopies: 0,
        answers: undefined,
        waits: false,
        failures: 0,
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
    this.store.apply({ ...this.member, n: batch.n, ops: batch.ops }).then(
      (reply) => {
        if (this.ended || !this.flying.includes(batch)) return;
        this.events.health(undefined);
        switch (reply.status) {
          case 'applied':
            batch.answers = reply.answers;
            this.highestAnswered = Math.max(this.highestAnswered, batch.n);
            this.endInOrder();
            return;
          case 'gap':
            if (answeredBefore > reply.last) this.events.lost(`batch ${reply.last + 1} was acknowledged and is gone`);
            else if (this.flying[0] === batch) this.resendLater(batch);
            else batch.waits = true;
            return;
          case 'fenced':
            this.events.fenced();
            return;
          case 'stale':
            this.events.lost(`batch ${batch.n} is behind the session`);
            return;
          case 'unknown':
            this.events.lost(`it holds no join of incarnation ${this.incarnation} by this process`);
            return;
          case 'lost':
            this.events.lost('its generation changed');
        }
      },
      (error: unknown) => this.failed(batch, error),
    );
  }

  private failed(batch: InFlight, error: unknown): void {
    if (this.ended || !this.flying.includes(batch)) return;
    const failure = error instanceof StoreCallError ? error : new StoreCallError(String(error), false, false, { cause: error });
    this.events.health(failure);
    if (this.ended) return;
    if (failure.refused) batch.refusedCopies++;
    const isFree = batch.refusedCopies === batch.copies;
    if (isFree) this.rejectAppends(batch, failure);
    // Also an empty batch may have been applied under its number: that one is used for nothing else then.
    if (isFree && batch.steps.length === 0 && this.flying.at(-1) === batch) {
      this.flying.pop();
      this.lastN = batch.n - 1;
      this.arm();
      return;
    }
    this.resendLater(batch);
  }

  /** No copy of this number was applied, so it may carry other steps: all but the appends, which are told at once. */
  private rejectAppends(batch: InFlight, failure: StoreCallError): void {
    const appends = batch.steps.filter((s) => s.op.op === 'append');
    if (appends.length === 0) return;
    batch.steps = batch.steps.filter((s) => s.op.op !== 'append');
    batch.ops = batch.steps.map((s) => s.op);
    batch.copies = 0;
    batch.refusedCopies = 0;
    const error = new AtomicQueuesError('STORE_UNAVAILABLE', `the store refused the write: ${failure.message}`, {
      cause: failure,
      details: { cause: failure.message },
    });
    for (const step of appends) step.refused(error);
  }

  private resendLater(batch: InFlight): void {
    const delayMs = Math.min(RESEND_DELAY_MS.first * 2 ** batch.failures++, RESEND_DELAY_MS.max) * (0.5 + this.random.next());
    batch.resend = this.clock.setTimer(delayMs, () => this.sendAgain(batch));
  }

  private sendAgain(batch: InFlight): void {
    batch.resend = undefined;
    if (!this.ended && batch.answers === undefined && this.flying.includes(batch)) this.send(batch);
  }

  /** The store answers again: what waits out a backoff leaves now, since all that comes after waits behind it. */
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
