/**
 * Records a thrown value as JSON, for the log, the dead letter and the caller.
 *
 *   (1) Recording never throws, whatever was thrown: cycles, getters that throw, proxies.
 *   (2) A record is bounded. It holds at most `CAUSES_MAX` errors of the cause chain; each name, message and stack has a limit.
 *       One budget of characters covers the fields of all these errors, and errors among the fields. Outer errors use it first.
 *   (3) A record keeps plain data: primitives, plain objects and arrays, errors, and objects with a `toJSON`. It leaves out other
 *       instances (sockets, requests).
 */
import { isErrorCode } from './errors.js';
import { isError } from './is-error.js';
import { TerminalError } from './terminal-error.js';

export interface RecordedError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly status?: number;
  readonly details?: unknown;
  readonly stack?: string;
  readonly cause?: RecordedError;
  /** All other own fields of the error. */
  readonly [field: string]: unknown;
}

/**
 * Field that says how a caller gets the error: 'http' as an HttpException, 'terminal' as a TerminalError, 'handler' as an Error.
 * The value 'handler' is set only if the error's `code` equals a code of the library.
 */
export const KIND = '$kind';
/** Field of an error of the library: no attempt called the handler. */
export const NOT_CALLED = '$notCalled';
/**
 * Field of an HttpException: the names of the classes between its own class and HttpException, nearest first. Exception filters
 * select by class.
 */
export const BASES = '$bases';

/** Fields that the library records for its own use. They are not fields of the error that a user sees. */
const NOTES = [KIND, NOT_CALLED, BASES] as const;

const TEXT_CHARS_MAX = 4096;
const NAME_CHARS_MAX = 256;
const STACK_HEAD_CHARS_MAX = 512;
const CAUSES_MAX = 5;
const BASES_MAX = 8;
/** Maximum characters of the JSON text of all fields of a record. */
const FIELDS_CHARS_MAX = 16_384;
const FIELDS_MAX = 64;
const DEPTH_MAX = 6;
/** Length of `"status":500,"response":,` in characters. */
const HTTP_CHARS = 25;

const CUT = '[cut]';
const CIRCULAR = '[circular]';
const UNREADABLE = '[unreadable]';

/** Fields that are not recorded with the other fields: `record` handles them itself, or they are notes of the library. */
const OWN_PLACE: ReadonlySet<string> = new Set(['name', 'message', 'stack', 'cause', ...NOTES]);
/** Fields that are recorded even if they are inherited or not enumerable. */
const ALWAYS = ['code', 'status', 'statusCode', 'expose', 'details', 'errors', 'error', 'suppressed'] as const;

const cut = (text: string, charsMax: number): string =>
  (text.length > charsMax ? `${text.slice(0, charsMax)}...` : text).toWellFormed();

function read(object: object, field: string): unknown {
  try {
    return (object as Record<string, unknown>)[field];
  } catch {
    return UNREADABLE;
  }
}

/**
 * Returns the record of a thrown value. `ofLibrary`: the library failed the message, not its handler. The stack of that error is
 * not recorded because it is of no use.
 */
export function recordError(thrown: unknown, ofLibrary = false): RecordedError {
  try {
    return record(thrown, ofLibrary);
  } catch {
    return { name: 'NonError', message: 'a value was thrown that cannot be described' };
  }
}

function record(thrown: unknown, ofLibrary: boolean): RecordedError {
  const chain = chainOf(thrown);
  const fields = new FieldRecorder();
  const records = chain.map((one) => ({ ...headOf(one), ...fields.of(one) }));
  let inner: RecordedError | undefined;
  for (let i = records.length - 1; i >= 0; i--) {
    const one = chain[i];
    const stack = isError(one) && !(ofLibrary && i === 0) ? stackOf(one) : undefined;
    inner = {
      ...(records[i] as RecordedError),
      ...(stack !== undefined && { stack }),
      ...(inner !== undefined && { cause: inner }),
    };
  }
  const whole = inner as RecordedError;
  const kind = ofLibrary ? undefined : kindOf(thrown, whole);
  if (kind === undefined) return whole;
  const bases = kind === 'http' ? basesOf(thrown as Error) : [];
  return { ...whole, [KIND]: kind, ...(bases.length > 0 && { [BASES]: bases }) };
}

/** Returns the names of the classes between an error's own class and HttpException, nearest first. */
function basesOf(error: Error): string[] {
  const names: string[] = [];
  let at: unknown = Object.getPrototypeOf(Object.getPrototypeOf(error));
  while (at instanceof Error && names.length < BASES_MAX) {
    const named = read(at, 'constructor');
    const name = typeof named === 'function' ? cut(named.name, NAME_CHARS_MAX) : '';
    if (name === 'HttpException') break;
    names.push(name);
    at = Object.getPrototypeOf(at);
  }
  return names;
}

/** Returns the error and its causes, outermost first. */
function chainOf(thrown: unknown): unknown[] {
  const chain = [thrown];
  for (let at = thrown; isError(at) && chain.length < CAUSES_MAX; ) {
    const cause = read(at, 'cause');
    if (cause === undefined || cause === null || chain.includes(cause)) break;
    chain.push(cause);
    at = cause;
  }
  return chain;
}

function headOf(thrown: unknown): { name: string; message: string } {
  if (isError(thrown))
    return {
      name: cut(String(read(thrown, 'name')), NAME_CHARS_MAX),
      message: cut(String(read(thrown, 'message')), TEXT_CHARS_MAX),
    };
  const message = typeof thrown === 'object' ? (JSON.stringify(new FieldRecorder().value(thrown)) ?? '') : String(thrown);
  return { name: 'NonError', message: cut(message, TEXT_CHARS_MAX) };
}

/** Returns the stack with separate limits for its head and its frames, so that a long message does not displace the frames. */
function stackOf(error: Error): string | undefined {
  const stack = read(error, 'stack');
  if (typeof stack !== 'string' || stack === UNREADABLE) return undefined;
  const framesAt = stack.search(/\n\s+at /);
  if (framesAt < 0) return cut(stack, STACK_HEAD_CHARS_MAX);
  return cut(stack.slice(0, framesAt), STACK_HEAD_CHARS_MAX) + cut(stack.slice(framesAt), TEXT_CHARS_MAX);
}

function kindOf(thrown: unknown, { code }: RecordedError): 'http' | 'terminal' | 'handler' | undefined {
  if (isHttpException(thrown)) return 'http';
  if (TerminalError.is(thrown)) return 'terminal';
  return typeof code === 'string' && isErrorCode(code) ? 'handler' : undefined;
}

/** The members of an HttpException of Nest that the library uses. */
export type HttpExceptionLike = Error & { getStatus(): number; getResponse(): string | object };

/** Returns whether `thrown` is an HttpException of any copy of Nest. */
export function isHttpException(thrown: unknown): thrown is HttpExceptionLike {
  if (!isError(thrown)) return false;
  return typeof read(thrown, 'getStatus') === 'function' && typeof read(thrown, 'getResponse') === 'function';
}

/** Returns whether `thrown` has the fields of http-errors, by which Nest responds with the status of the error. */
export function isHttpError(thrown: unknown): thrown is Error & { readonly statusCode: number } {
  if (!isError(thrown) || typeof read(thrown, 'expose') !== 'boolean') return false;
  const status = read(thrown, 'statusCode');
  return typeof status === 'number' && read(thrown, 'status') === status;
}

/** The default of `isTerminal`: an HttpException or an error of http-errors below 500 is an answer to the caller, not a fault. */
export const isClientError = (thrown: unknown): boolean =>
  isHttpException(thrown) ? thrown.getStatus() < 500 : isHttpError(thrown) && thrown.statusCode < 500;

class FieldRecorder {
  /** Remaining characters of JSON text. At 0 or below only marks of cut parts are recorded. */
  private left = FIELDS_CHARS_MAX;
  /** The objects that contain the present value, outermost first. */
  private readonly path: object[] = [];

  /** Returns the recorded fields of an error or of another thrown object. */
  of(thrown: unknown): Record<string, unknown> {
    if (typeof thrown !== 'object' || thrown === null || Array.isArray(thrown)) return {};
    const isHttp = isHttpException(thrown);
    const fields: Record<string, unknown> = isHttp ? this.httpFields(thrown) : {};
    this.path.push(thrown);
    for (const name of new Set([...ALWAYS, ...Object.keys(thrown)])) {
      if (this.isFull(fields)) break;
      // `options` of an HttpException repeats its cause and its description.
      if (!OWN_PLACE.has(name) && !(isHttp && (name in fields || name === 'options'))) this.entry(fields, name, thrown);
    }
    this.path.pop();
    return fields;
  }

  /** Returns status and response of an HttpException. The response is recorded as Nest would send it, if it fits the budget. */
  private httpFields(thrown: HttpExceptionLike): { status: number; response: unknown } {
    const response: unknown = thrown.getResponse();
    const text = JSON.stringify(response) ?? 'null';
    const fits = text.length <= this.left;
    this.left -= HTTP_CHARS + (fits ? text.length : 0);
    return { status: thrown.getStatus(), response: fits ? JSON.parse(text) : this.value(response) };
  }

  private isFull(fields: object): boolean {
    return this.left <= 0 || Object.keys(fields).length >= FIELDS_MAX;
  }

  private entry(fields: Record<string, unknown>, name: string, from: object): void {
    if (name === '__proto__' || name.length > NAME_CHARS_MAX) return;
    const nameChars = JSON.stringify(name).length + 2;
    if (nameChars > this.left) return;
    this.left -= nameChars;
    const recorded = this.value(read(from, name));
    if (recorded === undefined) this.left += nameChars;
    else fields[name] = recorded;
  }

  /** Returns the recorded form of a value; undefined if the value is left out. */
  value(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        return this.text(value);
      case 'number':
        return this.whole(Number.isFinite(value) ? value : String(value));
      case 'boolean':
        return this.whole(value);
      case 'bigint':
        return this.text(String(value));
      case 'object':
        return value === null ? this.whole(value) : this.object(value);
      default:
        return undefined;
    }
  }

  /** Records a short value without cutting it. */
  private whole(value: string | number | boolean | null): unknown {
    this.left -= JSON.stringify(value).length;
    return value;
  }

  private text(text: string): string {
    let kept = cut(text, TEXT_CHARS_MAX);
    // Quotes and dots take five characters. An escaped character takes up to six.
    for (let chars = this.left - 5; kept !== '' && JSON.stringify(kept).length > this.left; chars /= 2)
      kept = chars < 1 ? '' : cut(text, chars);
    this.whole(kept);
    return kept;
  }

  private object(value: object): unknown {
    if (this.path.includes(value)) return this.whole(CIRCULAR);
    if (this.left <= 0 || this.path.length > DEPTH_MAX) return this.whole(CUT);
    this.left -= 2;
    this.path.push(value);
    try {
      if (Array.isArray(value)) return this.items(value);
      if (isError(value)) return { ...this.entries(headOf(value)), ...this.of(value) };
      if (ArrayBuffer.isView(value)) return undefined;
      const toJson = read(value, 'toJSON');
      if (typeof toJson === 'function') return this.value(toJson.call(value));
      const prototype: unknown = Object.getPrototypeOf(value);
      return prototype === null || Object.getPrototypeOf(prototype) === null ? this.entries(value) : undefined;
    } catch {
      return UNREADABLE;
    } finally {
      this.path.pop();
    }
  }

  private items(values: readonly unknown[]): unknown[] {
    const items: unknown[] = [];
    for (const value of values) {
      if (this.left <= 0 || items.length >= FIELDS_MAX) {
        items.push(CUT);
        break;
      }
      this.left--;
      const recorded = this.value(value);
      items.push(recorded === undefined ? this.whole(null) : recorded);
    }
    return items;
  }

  private entries(value: object): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    for (const name of Object.keys(value)) {
      if (this.isFull(fields)) break;
      this.entry(fields, name, value);
    }
    return fields;
  }
}

/** Returns the record without stacks and notes of the library. This form may leave the program in the details of an error. */
export function withoutStacks({ stack: _, cause, ...rest }: RecordedError): RecordedError {
  return { ...withoutNotes(rest), ...(cause !== undefined && { cause: withoutStacks(cause) }) } as RecordedError;
}

/** Returns the fields without the notes of the library. */
function withoutNotes(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const rest = { ...fields };
  for (const note of NOTES) delete rest[note];
  return rest;
}

const RECORDED = new WeakMap<object, RecordedError>();

/** Returns the record from which an error was revived; undefined if it was not revived. */
export const recordedOf = (error: unknown): RecordedError | undefined =>
  typeof error === 'object' && error !== null ? RECORDED.get(error) : undefined;

/** Returns an error with everything that the record holds. Its stack is that of the handler. */
export function reviveError(recorded: RecordedError): Error {
  const { name, message, stack, cause, ...fields } = recorded;
  const options = cause === undefined ? undefined : { cause: reviveError(cause) };
  const error = fields[KIND] === 'terminal' ? new TerminalError(message, options) : new Error(message, options);
  RECORDED.set(error, recorded);
  return dressed(error, { name, stack, fields });
}

/** Sets the recorded name, stack and fields on an error, and returns it. */
export function dressed<E extends Error>(
  error: E,
  { name, stack, fields }: { name: string; stack: unknown; fields: Readonly<Record<string, unknown>> },
): E {
  for (const [field, value] of Object.entries(withoutNotes(fields))) define(error, field, value, true);
  define(error, 'name', name, false);
  define(error, 'stack', typeof stack === 'string' ? stack : `${name}: ${error.message}`, false);
  return error;
}

const define = (error: Error, field: string, value: unknown, enumerable: boolean): void =>
  void Object.defineProperty(error, field, { value, enumerable, writable: true, configurable: true });

const LINE_CHARS_MAX = 1000;

/** Returns text for people: the stack of the error and of each cause, each followed by its fields. */
export function linesOf({ name, message, stack, cause, ...rest }: RecordedError): string {
  const fields = withoutNotes(rest);
  const head = stack ?? `${name}: ${message}`;
  const more = Object.keys(fields).length === 0 ? '' : `\n    ${cut(JSON.stringify(fields), LINE_CHARS_MAX)}`;
  return `${head}${more}${cause === undefined ? '' : `\ncaused by ${linesOf(cause)}`}`;
}

/** Returns the text of `linesOf` for any thrown value. Never throws. */
export const linesOfThrown = (thrown: unknown): string => linesOf(recordError(thrown));
