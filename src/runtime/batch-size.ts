import { type Answer, type Begun, type NewMessage, type SessionOp, sizeOf } from '../core/log/operations.js';

const STEPS_MAX = 256;
/** Characters of a batch at most: a tenth of a second at 100 Mbit/s. */
const CHARS_MAX = 1024 * 1024;
/** A batch of at most this many characters is never too large for a link. */
const CHARS_MIN = 64 * 1024;
/** Estimate of a record's characters before any record was seen. */
const RECORD_CHARS_FIRST = 32 * 1024;
/** The estimate decays per record: one large record raises it for a few hundred more. */
const FADING = 1 / 64;
/** Number of call deadlines that one try gets at most. */
const PATIENCE_MAX = 16;

/**
 * Decides when a batch is full. Counts the characters that the batch carries, and those that the log reads for it and may send
 * back: the message that a step begins, whose size is estimated from the messages seen so far. A batch that did not get through
 * makes the next ones smaller; each one that gets through makes them larger again.
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

  /** Returns whether the batch has room for that step; the first one may be of any size. */
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

  /** Updates the estimate from the answer to a step. */
  saw(answer: Answer): void {
    const { next, message } = answer as Partial<Begun> & { readonly next?: Begun };
    const record = message ?? next?.message;
    if (record !== undefined) this.sawRecord(record.payload.length);
  }

  /** Called when a batch was answered: the next ones may be larger. */
  gotThrough(): void {
    this.charsMax = Math.min(CHARS_MAX, this.charsMax * 1.1);
  }

  /** Called when a try of a batch of `chars` characters got no answer: the next ones are smaller. */
  gotStuck(chars: number): void {
    if (chars > CHARS_MIN) this.charsMax = Math.max(CHARS_MIN, this.charsMax / 2);
  }

  private sawRecord(chars: number): void {
    this.recordChars = Math.max(chars, this.recordChars * (1 - FADING));
  }
}

/** Returns how many call deadlines the next try of a batch gets: twice as many per failure, as far as its size explains it. */
export const patienceFor = (chars: number, failures: number): number =>
  Math.min(2 ** Math.min(failures, 10), Math.max(1, Math.ceil(chars / CHARS_MIN)), PATIENCE_MAX);

const carriedOf = (entity: string, message: NewMessage): number => sizeOf(message) + entity.length + message.id.length;

/** Returns the characters that the request carries for a step. */
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
