import type { AtomicQueuesError } from '../core/errors.js';

/** One attempt of one message, as the worker passes it to the handler. */
export interface Delivery {
  readonly type: string;
  /** Entity id as the caller gave it, unescaped. */
  readonly entityId: string;
  readonly name: string;
  /** JSON text. */
  readonly payload: string;
  /** An earlier attempt of this message, or the message that it replays, may have run. */
  readonly mayHaveRun: boolean;
  /** Object that the caller passed for the handler; undefined unless that caller is in this process and still waits. */
  readonly carried: object | undefined;
}

/** The treatment of a message whose attempt failed. */
export interface FailureRuling {
  /** The message is not retried, even if attempts are left. */
  readonly isFinal: boolean;
  /** The last failure of the message adds a dead letter. */
  readonly leavesDeadLetter: boolean;
}

/** The user's code. It runs only after the log has recorded the begin of the attempt. */
export interface HandlerPort {
  /**
   * Checks that the payload fits the handler of this process; a node of another version may have appended the message. If it
   * does not fit, throws or rejects with NotCalled: the attempt has failed, and `run` is not called. If it fits, returns
   * undefined or a promise that resolves. Settles within a bounded time.
   */
  check?(delivery: Delivery): undefined | Promise<void>;
  /**
   * Runs the handler and resolves with its result as JSON text ('' for undefined). A rejection fails the attempt. After a
   * `FinalFailure` the message is not retried. May throw synchronously, and may never settle.
   */
  run(delivery: Delivery): Promise<string>;
  /**
   * Decides how a message of that type and name is treated after a failed attempt. Never throws. Left out: the message is retried
   * as configured, then a dead letter is added.
   */
  ruleOn?(type: string, name: string, thrown: unknown): FailureRuling;
}

/** The failure of an attempt whose handler was not called. */
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

/** A failure that another attempt cannot fix: the handler ran, but returned a value that is not a legal result. */
export class FinalFailure extends Error {
  override readonly name = 'FinalFailure';

  constructor(override readonly cause: Error) {
    super(cause.message, { cause });
  }
}
