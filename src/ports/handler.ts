import type { AtomicQueuesError } from '../core/errors.js';

/** One attempt of one message, as the worker hands it over. */
export interface Delivery {
  readonly type: string;
  /** As the caller gave it, unescaped. */
  readonly entityId: string;
  readonly name: string;
  /** JSON text. */
  readonly payload: string;
  /** An earlier attempt, or the message that this one replays, may have run. */
  readonly mayHaveRun: boolean;
  /** What its caller handed over for the handler, if that caller is in this process and still waits. */
  readonly carried: object | undefined;
}

/** What becomes of a message whose attempt failed. */
export interface FailureRuling {
  /** It is not retried, whatever attempts are left. */
  readonly isFinal: boolean;
  /** Its last failure makes a dead letter. */
  readonly leavesDeadLetter: boolean;
}

/** The user's code. It runs only after the begin of the attempt is recorded. */
export interface HandlerPort {
  /**
   * Checks that the payload fits the handler of this process; the message may have been logged by another version. Throws or
   * rejects with NotCalled: the attempt has failed, and `run` is not called. Undefined or a promise that resolves: it fits.
   * Settles within a bounded time.
   */
  check?(delivery: Delivery): undefined | Promise<void>;
  /**
   * Runs the handler and resolves with its result as JSON text ('' for undefined). A rejection is the attempt's failure;
   * one that is a `FinalFailure` is not retried. May throw synchronously; may never settle.
   */
  run(delivery: Delivery): Promise<string>;
  /** Rules on a failed attempt of a message of that type and name. Never throws. Left out: retried as configured, then a dead letter. */
  ruleOn?(type: string, name: string, thrown: unknown): FailureRuling;
}

/** A failure of an attempt whose handler was not called. */
export class NotCalled extends Error {
  override readonly name = 'NotCalled';

  constructor(
    override readonly cause: AtomicQueuesError,
    /** Another attempt would fail the same way. */
    readonly isFinal: boolean,
  ) {
    super(cause.message, { cause });
  }
}

/** A failure that another attempt cannot mend: the handler ran, but what it returned is not a legal result. */
export class FinalFailure extends Error {
  override readonly name = 'FinalFailure';

  constructor(override readonly cause: Error) {
    super(cause.message, { cause });
  }
}
