import { isError } from './is-error.js';

const BRAND = Symbol.for('atomic-queues:terminal-error');

export interface TerminalErrorOptions {
  /** Code for the caller, such as 'INSUFFICIENT_FUNDS'. */
  readonly code?: string;
  /** Status for the caller, such as an HTTP status. */
  readonly status?: number;
  /** JSON data for the caller. */
  readonly details?: unknown;
  readonly cause?: unknown;
}

/**
 * An error that a handler throws for a refusal that is a regular answer, not a fault, such as "insufficient funds". The message
 * ends `failed`. It is not retried and leaves no dead letter. The caller gets HANDLER_FAILED with this error as `cause`.
 */
export class TerminalError extends Error {
  override readonly name: string = 'TerminalError';
  declare readonly code?: string;
  declare readonly status?: number;
  declare readonly details?: unknown;

  constructor(message: string, options: TerminalErrorOptions = {}) {
    const { cause, ...fields } = options;
    super(message, cause === undefined ? undefined : { cause });
    Object.defineProperty(this, BRAND, { value: true });
    for (const field of ['code', 'status', 'details'] as const)
      if (fields[field] !== undefined)
        Object.defineProperty(this, field, { value: fields[field], enumerable: true, writable: true, configurable: true });
  }

  /** Returns whether `thrown` is a TerminalError, also of another copy of this package. */
  static is(thrown: unknown): thrown is TerminalError {
    return isError(thrown) && (thrown as { [BRAND]?: unknown })[BRAND] === true;
  }
}
