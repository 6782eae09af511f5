/** How an attempt's error is logged, and how it reaches the caller: JSON text, on one node as across nodes. */

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

/** Any thrown thing as JSON text; never throws. An error of ours that a handler let through is the handler's error. */
export function errorText(thrown: unknown): string {
  if (thrown instanceof NotCalled) {
    const { cause } = thrown;
    return JSON.stringify({ ...recordError(cause, true), ...(cause.definite && { [NOT_CALLED]: true }) });
  }
  if (!(thrown instanceof FinalFailure)) return JSON.stringify(recordError(thrown));
  return JSON.stringify(recordError(thrown.cause, thrown.cause instanceof AtomicQueuesError));
}

/** What a log line says of a recorded error. */
export const errorLines = (text: string): string => linesOf(JSON.parse(text) as RecordedError);

/** How a message has ended that does not live any more. */
export type EndState = Exclude<KnownMessage['state'], 'live'>;

/** The error that a waiting caller gets. The message had begun: it is definite only where no handler was called. */
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
  // The library failed the message: what it says is meant for this caller.
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

/** What a start or a join failed of, as callers are told. */
export function asError(error: unknown): AtomicQueuesError {
  if (error instanceof AtomicQueuesError) return error;
  const text = recordError(error).message;
  const permanent = error instanceof StoreCallError && error.permanent;
  return new AtomicQueuesError(permanent ? 'CONFIG_INVALID' : 'STORE_UNAVAILABLE', text, {
    cause: error,
    details: { cause: text },
  });
}
