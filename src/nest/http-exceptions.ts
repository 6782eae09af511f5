import * as common from '@nestjs/common';
import { AtomicQueuesError } from '../core/errors.js';
import { BASES, dressed, isHttpException, KIND, type RecordedError, recordedOf, reviveError } from '../core/recorded-error.js';

type HttpExceptionClass = typeof common.HttpException;

const { HttpException } = common;

/** The first of the names that is a class of Nest's own, for `instanceof` and exception filters; else the base class. */
function classOf(names: readonly string[]): HttpExceptionClass {
  for (const name of names) {
    const found: unknown = Object.hasOwn(common, name) ? (common as Record<string, unknown>)[name] : undefined;
    if (typeof found === 'function' && found.prototype instanceof HttpException) return found as HttpExceptionClass;
  }
  return HttpException;
}

/** Read defensively: the record may be that of another version. */
const namesIn = (bases: unknown): string[] => (Array.isArray(bases) ? bases.filter((name) => typeof name === 'string') : []);

/** The HttpException that a handler threw, from what was recorded of it: with the same status and response body. */
function httpExceptionOf({ name, message, stack, status, response, cause, ...fields }: RecordedError): common.HttpException {
  const options = cause === undefined ? {} : { cause: reviveError(cause) };
  // Built by the base class, since each subclass takes other arguments.
  const exception = Reflect.construct(
    HttpException,
    [response, status, options],
    classOf([name, ...namesIn(fields[BASES])]),
  ) as common.HttpException;
  exception.message = message;
  return dressed(exception, { name, stack, fields });
}

/** Makes the `cause` of a handler's failure an HttpException, where the handler threw one. */
export function rejectWithHttpCause(error: unknown): never {
  const recorded = error instanceof AtomicQueuesError ? recordedOf(error.cause) : undefined;
  if (recorded?.[KIND] === 'http') (error as AtomicQueuesError).cause = httpExceptionOf(recorded);
  throw error;
}

/** Rejects with what the handler threw, if Nest answers that with a status of its own, instead of the error that has it as cause. */
export function rethrowHttpException(error: unknown): never {
  throw error instanceof AtomicQueuesError && error.code === 'HANDLER_FAILED' && hasStatus(error.cause) ? error.cause : error;
}

/** Nest 11 goes by `statusCode` alone, Nest 12 by more of the fields of http-errors: it is left to Nest. */
const hasStatus = (cause: unknown): boolean =>
  isHttpException(cause) || typeof (cause as { statusCode?: unknown } | undefined)?.statusCode === 'number';
