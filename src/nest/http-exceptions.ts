import * as common from '@nestjs/common';
import { AtomicQueuesError } from '../core/errors.js';
import { dressed, isHttpException, KIND, type RecordedError, recordedOf, reviveError } from '../core/recorded-error.js';

type HttpExceptionClass = typeof common.HttpException;

const { HttpException } = common;

/** Nest's own class of that name, for `instanceof` and exception filters; else the base class. */
function classOf(name: string): HttpExceptionClass {
  const found: unknown = Object.hasOwn(common, name) ? (common as Record<string, unknown>)[name] : undefined;
  const isOne = typeof found === 'function' && found.prototype instanceof HttpException;
  return isOne ? (found as HttpExceptionClass) : HttpException;
}

/** The HttpException that a handler threw, from what was recorded of it: with the same status and response body. */
function httpExceptionOf({
  name,
  message,
  stack,
  status,
  response,
  cause,
  [KIND]: _,
  ...fields
}: RecordedError): common.HttpException {
  const options = cause === undefined ? {} : { cause: reviveError(cause) };
  // Built by the base class, since each subclass takes other arguments.
  const exception = Reflect.construct(HttpException, [response, status, options], classOf(name)) as common.HttpException;
  exception.message = message;
  return dressed(exception, { name, stack, fields });
}

/** Makes the `cause` of a handler's failure an HttpException, where the handler threw one. */
export function rejectWithHttpCause(error: unknown): never {
  const recorded = error instanceof AtomicQueuesError ? recordedOf(error.cause) : undefined;
  if (recorded?.[KIND] === 'http') (error as AtomicQueuesError).cause = httpExceptionOf(recorded);
  throw error;
}

/** Rejects with the handler's HttpException instead of the error that has it as cause. */
export function rethrowHttpException(error: unknown): never {
  throw error instanceof AtomicQueuesError && error.code === 'HANDLER_FAILED' && isHttpException(error.cause)
    ? error.cause
    : error;
}
