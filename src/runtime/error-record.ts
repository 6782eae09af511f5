/** How an attempt's error is logged, and how it reaches the caller: JSON text, on one node as across nodes. */

import { AtomicQueuesError, type ErrorCode, isErrorCode } from '../core/errors.js';
import type { TerminalState } from '../core/log/operations.js';
import { FinalFailure } from '../ports/handler.js';
import { StoreCallError } from '../ports/store.js';

/** The wire form of a handler's error. */
interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  /** Set if the library failed the message, not its handler. */
  readonly code?: string | undefined;
}

const MESSAGE_CHARS_MAX = 4096;

/** Any thrown thing as JSON text; never throws. An error of ours that a handler let through is the handler's error. */
export function errorText(thrown: unknown): string {
  let record: ErrorRecord;
  try {
    if (thrown instanceof FinalFailure && thrown.cause instanceof AtomicQueuesError)
      record = { name: thrown.cause.name, message: thrown.cause.message, code: thrown.cause.code };
    else if (thrown instanceof Error) record = { name: String(thrown.name), message: String(thrown.message) };
    else
      record = {
        name: 'NonError',
        message: typeof thrown === 'object' ? (JSON.stringify(thrown) ?? String(thrown)) : String(thrown),
      };
  } catch {
    record = { name: 'NonError', message: 'the handler threw something that cannot be described' };
  }
  return JSON.stringify({ ...record, message: record.message.slice(0, MESSAGE_CHARS_MAX).toWellFormed() });
}

/** The error that a waiting caller is told; definite is never claimed, since the message had begun. */
export function errorOfState(state: TerminalState, detail: string, entity: string, id: string): AtomicQueuesError {
  if (state === 'interrupted')
    return new AtomicQueuesError('INTERRUPTED', 'the node that ran the handler was lost in the middle', {
      details: { entity, id },
    });
  if (state === 'withdrawn')
    return new AtomicQueuesError('WITHDRAWN', 'the message was withdrawn before it began', { details: { entity, id } });
  const error = JSON.parse(detail) as ErrorRecord;
  const code: ErrorCode = error.code !== undefined && isErrorCode(error.code) ? error.code : 'HANDLER_FAILED';
  const text = error.code === undefined ? `${error.name}: ${error.message}` : error.message.replace(`[${error.code}] `, '');
  return new AtomicQueuesError(code, text, { definite: false, details: { entity, id, error } });
}

/** What a start or a join failed of, as callers are told. */
export function asError(error: unknown): AtomicQueuesError {
  if (error instanceof AtomicQueuesError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const permanent = error instanceof StoreCallError && error.permanent;
  return new AtomicQueuesError(permanent ? 'CONFIG_INVALID' : 'STORE_UNAVAILABLE', text, {
    cause: error,
    details: { cause: text },
  });
}
