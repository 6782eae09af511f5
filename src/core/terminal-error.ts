import { isError } from './is-error.js';

const BRAND = Symbol.for('atomic-queues:terminal-error');

export interface TerminalErrorOptions {
  /** For the caller, such as 'INSUFFICIENT_FUNDS'. */
  readonly code?: string;
  /** For the caller, such as an HTTP status. */
  readonly status?: number;
  /** JSON data for the caller. */
  readonly details?: unknown;
  readonly cause?: unknown;
}

/**
 * Thrown by a handler for a refusal that is an answer, and no fault: "insufficient funds". The message ends `failed`: it is not
 * retried and leaves no dead letter. The caller gets HANDLER_FAILED with this error as `cause`.
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

  /** True also for one of another copy of this package. */
  static is(thrown: unknown): thrown is TerminalError {
    return isError(thrown) && (thrown as { [BRAND]?: unknown })[BRAND] === true;
  }
}
