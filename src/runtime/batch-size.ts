import { type Answer, type Begun, type NewMessage, type SessionOp, sizeOf } from '../core/log/operations.js';

const STEPS_MAX = 256;
/** A tenth of a second at 100 Mbit/s. */
const CHARS_MAX = 1024 * 1024;
/** No batch is too large for a link if it has no more than this. */
const CHARS_MIN = 64 * 1024;
/** Before anything was seen. */
const RECORD_CHARS_FIRST = 32 * 1024;
/** What was large once counts for some hundred records. */
const FADING = 1 / 64;
/** A try gets at most so many deadlines of a call. */
const PATIENCE_MAX = 16;

/**
 * How much of one batch is full, in characters of what it carries and of what the log reads for it and may send back: the message
 * that a step begins, of which the session can only guess the size by those that it has seen. After a batch that did not get
 * through the next ones are smaller, and larger again with each that does.
 */
export class BatchSize {
  private steps = 0;
  private chars = 0;
  private charsMax = CHARS_MAX;
  private recordChars = RECORD_CHARS_FIRST;

  begin(): void {
    this.steps = 0;
    this.chars = 0;
  }

  /** Characters of the batch so far. */
  get total(): number {
    return this.chars;
  }

  /** Whether the batch has room for that step; the first one may be of any size. */
  hasRoomFor(op: SessionOp): boolean {
    if (this.steps === 0) return true;
    return this.steps < STEPS_MAX && this.chars < this.charsMax && this.chars + carriedChars(op) <= this.charsMax;
  }

  add(op: SessionOp): void {
    this.steps++;
    this.chars += carriedChars(op);
    if (op.op === 'append') this.sawRecord(op.message.payload.length);
    else if (op.op === 'begin' || op.op === 'retry' || (op.op === 'finish' && op.next >= 0)) this.chars += this.recordChars;
  }

  /** The answer to a step. */
  saw(answer: Answer): void {
    const { next, message } = answer as Partial<Begun> & { readonly next?: Begun };
    const record = message ?? next?.message;
    if (record !== undefined) this.sawRecord(record.payload.length);
  }

  /** A batch of `chars` was answered. */
  gotThrough(): void {
    this.charsMax = Math.min(CHARS_MAX, this.charsMax * 1.1);
  }

  /** A try of a batch of `chars` got no answer. */
  gotStuck(chars: number): void {
    if (chars > CHARS_MIN) this.charsMax = Math.max(CHARS_MIN, this.charsMax / 2);
  }

  private sawRecord(chars: number): void {
    this.recordChars = Math.max(chars, this.recordChars * (1 - FADING));
  }
}

/** How many deadlines of a call the next try of a batch gets: a large one more after each failure, as its size explains them. */
export const patienceFor = (chars: number, failures: number): number =>
  Math.min(2 ** Math.min(failures, 10), Math.max(1, Math.ceil(chars / CHARS_MIN)), PATIENCE_MAX);

const carriedOf = (entity: string, message: NewMessage): number => sizeOf(message) + entity.length + message.id.length;

/** What the request carries for a step. */
function carriedChars(op: SessionOp): number {
  switch (op.op) {
    case 'append':
      return carriedOf(op.entity, op.message);
    case 'finish': {
      let chars = op.outcome.result.length + op.outcome.error.length;
      for (const { entity, message } of op.sends) chars += carriedOf(entity, message);
      return chars;
    }
    case 'retry':
      return op.error.length;
    case 'late':
      return op.detail.length;
    default:
      return 0;
  }
}
