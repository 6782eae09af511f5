import type { Answer, Begun, SessionOp } from '../core/log/operations.js';

const STEPS_MAX = 256;
/** A tenth of a second at 100 Mbit/s; the last step may be larger. */
const CHARS_MAX = 1024 * 1024;
/** Before anything was seen. */
const RECORD_CHARS_FIRST = 32 * 1024;
/** What was large once counts for some hundred records. */
const FADING = 1 / 64;

/**
 * How much of one batch is full, in characters of what it carries and of what the log reads for it and may send back: the message
 * that a step begins, of which the session can only guess the size by those that it has seen.
 */
export class BatchSize {
  private steps = 0;
  private chars = 0;
  private recordChars = RECORD_CHARS_FIRST;

  begin(): void {
    this.steps = 0;
    this.chars = 0;
  }

  get isFull(): boolean {
    return this.steps >= STEPS_MAX || this.chars >= CHARS_MAX;
  }

  add(op: SessionOp): void {
    this.steps++;
    switch (op.op) {
      case 'append':
        this.chars += op.message.payload.length + op.message.headers.length;
        this.sawRecord(op.message.payload.length);
        return;
      case 'begin':
        this.chars += this.recordChars;
        return;
      case 'finish':
        this.chars += op.outcome.result.length + op.outcome.error.length + (op.next >= 0 ? this.recordChars : 0);
        for (const { message } of op.sends) this.chars += message.payload.length + message.headers.length;
        return;
      case 'retry':
        this.chars += op.error.length + this.recordChars;
        return;
      case 'late':
        this.chars += op.detail.length;
    }
  }

  /** The answer to a step. */
  saw(answer: Answer): void {
    const { next, message } = answer as Partial<Begun> & { readonly next?: Begun };
    const record = message ?? next?.message;
    if (record !== undefined) this.sawRecord(record.payload.length);
  }

  private sawRecord(chars: number): void {
    this.recordChars = Math.max(chars, this.recordChars * (1 - FADING));
  }
}
