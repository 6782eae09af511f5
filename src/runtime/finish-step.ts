/** The step that ends an attempt. Asks the worker for the next head as it leaves, and reports the end to the worker. */
import type { AnswerOf, FinishOp, Outcome } from '../core/log/operations.js';
import type { Attempt } from './attempt.js';
import { errorText } from './error-record.js';
import type { Step } from './session.js';

/** What a finish step calls on its worker. */
export interface Finisher {
  /** Returns the sequence of the next head if its payload is held here, 0 for any head, -1 for none. */
  nextWanted(): number;
  finished(attempt: Attempt, op: FinishOp, answer: AnswerOf['finish']): void;
  finishParked(): void;
  outcomeUnknown(attempt: Attempt, state: 'completed' | 'failed', detail: string): void;
}

export const failedOf = (thrown: unknown, leavesDeadLetter: boolean): Outcome => ({
  state: 'failed',
  result: '',
  error: errorText(thrown),
  noDeadLetter: !leavesDeadLetter,
});

export class FinishStep implements Step<FinishOp> {
  constructor(
    private readonly worker: Finisher,
    private readonly attempt: Attempt,
    readonly op: FinishOp,
  ) {}

  leaving(): void {
    this.op.next = this.worker.nextWanted();
  }

  answered(answer: AnswerOf['finish']): void {
    this.worker.finished(this.attempt, this.op, answer);
  }

  parked(): void {
    this.worker.finishParked();
  }

  refused(): void {
    this.unknown();
  }

  /** Called when the session ended. If the finish was not applied, the take-over adds a dead letter; this becomes its note. */
  unknown(): void {
    const { state, result, error } = this.op.outcome;
    this.worker.outcomeUnknown(this.attempt, state, state === 'completed' ? result : error);
  }
}
