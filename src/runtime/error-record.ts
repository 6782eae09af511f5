/** How an attempt's error is logged, and how it reaches the caller: as JSON text, on one node and across nodes. */

import { AtomicQueuesError, isErrorCode } from '../core/errors.js';
import { INTERRUPTED_ERROR } from '../core/log/entity.js';
import type { KnownMessage } from '../core/log/operations.js';
import {
  KIND,
  linesOf,
  NOT_CALLED,
  type RecordedError,
  recordError,
  reviveError,
  withoutStacks,
} from '../core/recorded-error.js';
import { FinalFailure, NotCalled } from '../ports/handler.js';
import { StoreCallError } from '../ports/store.js';

/** Returns any thrown value as JSON text. Never throws. A library error that a handler let through is the handler's error. */
export function errorText(thrown: unknown): string {
  if (thrown instanceof NotCalled) {
    const { cause } = thrown;
    return JSON.stringify({ ...recordError(cause, true), ...(cause.definite && { [NOT_CALLED]: true }) });
  }
  if (!(thrown instanceof FinalFailure)) return JSON.stringify(recordError(thrown));
  return JSON.stringify(recordError(thrown.cause, thrown.cause instanceof AtomicQueuesError));
}

/** Returns a recorded error as the text for a log line. */
export const errorLines = (text: string): string => linesOf(JSON.parse(text) as RecordedError);

/** How a message ended. */
export type EndState = Exclude<KnownMessage['state'], 'live'>;

/** Returns the error for a waiting caller. A failure is definite only if no handler was called. */
export function errorOfState(state: EndState, detail: string, entity: string, id: string): AtomicQueuesError {
  if (state === 'purged') {
    const before = errorOfState(detail === INTERRUPTED_ERROR ? 'interrupted' : 'failed', detail, entity, id);
    const { code, message, details, cause } = before;
    const text = `${message.replace(`[${code}] `, '')}; its dead letter was purged, so it will not run again under this id`;
    return new AtomicQueuesError(code, text, { definite: false, details: { ...details, purged: true }, cause });
  }
  if (state === 'interrupted')
    return new AtomicQueuesError('INTERRUPTED', 'the node that ran the handler was lost in the middle', {
      details: { entity, id },
    });
  if (state === 'withdrawn')
    return new AtomicQueuesError('WITHDRAWN', 'the message was withdrawn before it began', { details: { entity, id } });
  const recorded = JSON.parse(detail) as RecordedError;
  const error = withoutStacks(recorded);
  const { code, details } = error;
  const revived = reviveError(recorded);
  // The library failed the message: its error is meant for this caller.
  if (recorded[KIND] === undefined && typeof code === 'string' && isErrorCode(code))
    return new AtomicQueuesError(code, error.message.replace(`[${code}] `, ''), {
      definite: recorded[NOT_CALLED] === true,
      details: { ...(details as object | undefined), entity, id, error },
      cause: revived.cause,
    });
  return new AtomicQueuesError('HANDLER_FAILED', `${error.name}: ${error.message}`, {
    definite: false,
    details: { entity, id, error },
    cause: revived,
  });
}

/** Returns the error of a failed start, join or store call: CONFIG_INVALID if it is permanent, else STORE_UNAVAILABLE. */
export function asError(error: unknown): AtomicQueuesError {
  if (error instanceof AtomicQueuesError) return error;
  const text = recordError(error).message;
  const permanent = error instanceof StoreCallError && error.permanent;
  return new AtomicQueuesError(permanent ? 'CONFIG_INVALID' : 'STORE_UNAVAILABLE', text, {
    cause: error,
    details: { cause: text },
  });
}
