import * as common from '@nestjs/common';
import { AtomicQueuesError } from '../core/errors.js';
import { BASES, dressed, isHttpException, KIND, type RecordedError, recordedOf, reviveError } from '../core/recorded-error.js';

type HttpExceptionClass = typeof common.HttpException;

const { HttpException } = common;

/**
 * Returns the first of the names that is an HttpException class of @nestjs/common, so that `instanceof` and exception filters
 * work; else HttpException.
 */
function classOf(names: readonly string[]): HttpExceptionClass {
  for (const name of names) {
    const found: unknown = Object.hasOwn(common, name) ? (common as Record<string, unknown>)[name] : undefined;
    if (typeof found === 'function' && found.prototype instanceof HttpException) return found as HttpExceptionClass;
  }
  return HttpException;
}

/** Returns the strings in `bases`. Another version may have written the record, so its type is not trusted. */
const namesIn = (bases: unknown): string[] => (Array.isArray(bases) ? bases.filter((name) => typeof name === 'string') : []);

/** Rebuilds the HttpException that a handler threw from its record, with the same status and response body. */
function httpExceptionOf({ name, message, stack, status, response, cause, ...fields }: RecordedError): common.HttpException {
  const options = cause === undefined ? {} : { cause: reviveError(cause) };
  // Call the constructor of the base class, since each subclass takes other arguments.
  const exception = Reflect.construct(
    HttpException,
    [response, status, options],
    classOf([name, ...namesIn(fields[BASES])]),
  ) as common.HttpException;
  exception.message = message;
  return dressed(exception, { name, stack, fields });
}

/** Rethrows `error`. If the handler threw an HttpException, first makes its `cause` an HttpException. */
export function rejectWithHttpCause(error: unknown): never {
  const recorded = error instanceof AtomicQueuesError ? recordedOf(error.cause) : undefined;
  if (recorded?.[KIND] === 'http') (error as AtomicQueuesError).cause = httpExceptionOf(recorded);
  throw error;
}

/** Throws the cause of a HANDLER_FAILED error if Nest maps that cause to an HTTP status; else throws the error itself. */
export function rethrowHttpException(error: unknown): never {
  throw error instanceof AtomicQueuesError && error.code === 'HANDLER_FAILED' && hasStatus(error.cause) ? error.cause : error;
}

/**
 * Returns true if Nest may map `cause` to a status. Nest 11 reads only `statusCode`, Nest 12 more fields of http-errors, so Nest
 * decides on those.
 */
const hasStatus = (cause: unknown): boolean =>
  isHttpException(cause) || typeof (cause as { statusCode?: unknown } | undefined)?.statusCode === 'number';
