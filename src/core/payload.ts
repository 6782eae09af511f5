/**
 * Encodes payloads and results as JSON text. Refuses values that JSON would change silently.
 *
 * There are two passes with one verdict. The first pass is a walk that allocates nothing. Nearly every message passes this walk
 * as plain JSON, and plain `JSON.stringify` encodes it. All other values (a `toJSON`, a deep or large value, a fault) take the
 * second pass: `JSON.stringify` with a replacer. The replacer sees exactly what is serialised, once, and knows the path to it.
 *
 * As in JSON, `undefined` properties vanish, and `undefined` or a hole in an array becomes null. A Date becomes its ISO string.
 * Boxed primitives are unboxed, symbol keys are ignored, and `-0` becomes 0. An object with `toJSON` becomes its result.
 */
import { AtomicQueuesError } from './errors.js';
import { exceedsUtf8Bytes } from './ids.js';
import { canonical } from './json-schema.js';

/** Maximum depth of the first pass. Deeper values take the second pass, which finds cycles. */
const SURE_DEPTH_MAX = 200;

const OBJECT_PROTOTYPE: object = Object.prototype;
const DATE_PROTOTYPE: object = Date.prototype;
const DATE_TO_JSON = Date.prototype.toJSON;
const tagOf = Object.prototype.toString;
const protoOf = Object.getPrototypeOf as (value: object) => object | null;

/** Tags of built-ins whose content JSON drops or changes. The `Object.prototype.toString` tag is the same in all realms. */
const SPOILED_TAGS: ReadonlySet<string> = new Set(
  [
    ...['Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'Promise', 'RegExp', 'Error', 'Symbol', 'BigInt'],
    ...[
      'ArrayBuffer',
      'SharedArrayBuffer',
      'DataView',
      'Int8Array',
      'Uint8Array',
      'Uint8ClampedArray',
      'Int16Array',
      'Uint16Array',
    ],
    ...['Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'],
  ].map((name) => `[object ${name}]`),
);

const ODD_PROTOTYPES: ReadonlySet<object> = new Set<object>([
  ...[Map, Set, WeakMap, WeakSet, WeakRef, Promise, RegExp, Error, ArrayBuffer, SharedArrayBuffer, DataView].map(
    (c) => c.prototype,
  ),
  ...[Number, String, Boolean, Symbol, BigInt].map((c) => c.prototype),
  protoOf(Uint8Array.prototype) as object,
]);

/** Remaining budget of the first pass in JSON characters. It bounds huge arrays, and values that repeat a part many times. */
let walkBudget = 0;

function surelyPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      return value === null || surelyPlainObject(value, depth);
    default:
      return false;
  }
}

function surelyPlainObject(value: object, depth: number): boolean {
  const proto = protoOf(value);
  if (proto === DATE_PROTOTYPE) {
    const date = value as Date;
    return date.toJSON === DATE_TO_JSON && !Number.isNaN(date.getTime());
  }
  walkBudget -= 2;
  if (depth > SURE_DEPTH_MAX || walkBudget < 0 || (value as { toJSON?: unknown }).toJSON !== undefined) return false;
  if (Array.isArray(value)) {
    walkBudget -= value.length;
    if (walkBudget < 0) return false;
    for (let i = 0; i < value.length; i++) if (!surelyPlain(value[i], depth + 1)) return false;
    return true;
  }
  if (proto !== OBJECT_PROTOTYPE && proto !== null && !isOwnRealmClass(proto)) return false;
  // for-in needs no array of keys. It also visits inherited keys, which at worst causes a needless second pass.
  for (const key in value) {
    if (key === '__proto__' || !surelyPlain((value as Record<string, unknown>)[key], depth + 1)) return false;
  }
  return true;
}

/** Returns whether the prototype chain ends in the `Object.prototype` of this realm without passing a built-in. */
function isOwnRealmClass(start: object): boolean {
  let proto: object | null = start;
  while (proto !== null && proto !== OBJECT_PROTOTYPE) {
    if (ODD_PROTOTYPES.has(proto)) return false;
    proto = protoOf(proto);
  }
  return proto === OBJECT_PROTOTYPE;
}

/** Ends the second pass. This module converts it to an AtomicQueuesError before it throws. */
class Refused extends Error {
  constructor(
    readonly why: string,
    readonly tooLarge = false,
  ) {
    super(why);
  }
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const PATH_CHARS_MAX = 300;

function step(holder: object, key: string): string {
  if (Array.isArray(holder)) return `[${key}]`;
  return IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function spoiledKind(value: object): string | undefined {
  const tag = tagOf.call(value);
  if (SPOILED_TAGS.has(tag)) return `a ${tag.slice(8, -1)}`;
  if (tag === '[object Number]') return Number.isFinite(Number(value)) ? undefined : String(Number(value));
  if (value instanceof Map || value instanceof Set || value instanceof Error || ArrayBuffer.isView(value)) {
    return `a ${value.constructor.name}`;
  }
  return undefined;
}

/** Follows one `JSON.stringify` call: the objects that contain the current value, and the keys between them. */
class Inspector {
  private readonly holders: object[] = [];
  private readonly keys: (string | undefined)[] = [];
  private readonly open = new Set<object>();

  constructor(private budget: number) {}

  /** Returns the path to the value visited last, or to the object whose getter or `toJSON` is being called. */
  path(): string {
    let text = '$';
    for (let i = 1; i < this.holders.length && text.length <= PATH_CHARS_MAX; i++) {
      const key = this.keys[i];
      if (key !== undefined) text += step(this.holders[i]!, key);
    }
    return text.length > PATH_CHARS_MAX ? `${text.slice(0, PATH_CHARS_MAX)}...` : text;
  }

  visit(holder: object, key: string, value: unknown): unknown {
    this.enter(holder, key);
    if (key === '__proto__') throw new Refused('an own "__proto__" key');
    if (typeof value === 'object' && value !== null) this.visitObject(value);
    else if (typeof value === 'number' && !Number.isFinite(value)) throw new Refused(String(value));
    else if (typeof value === 'function' || typeof value === 'symbol') throw new Refused(`a ${typeof value}`);
    else if (typeof value === 'bigint') throw new Refused('a BigInt');
    else if (value === null) refuseInvalidDate((holder as Record<string, unknown>)[key]);
    return value;
  }

  private enter(holder: object, key: string): void {
    while (this.holders.length > 0 && this.holders[this.holders.length - 1] !== holder) this.pop();
    if (this.holders.length === 0) this.push(holder);
    this.keys[this.keys.length - 1] = key;
  }

  private visitObject(value: object): void {
    if (this.open.has(value)) throw new Refused('a cycle');
    const spoiled = spoiledKind(value);
    if (spoiled !== undefined) throw new Refused(spoiled);
    if (!(value instanceof Number)) this.budget -= Array.isArray(value) ? 2 + Math.max(0, value.length - 1) : 2;
    if (this.budget < 0) throw new Refused('too large', true);
    this.push(value);
  }

  private push(value: object): void {
    this.holders.push(value);
    this.keys.push(undefined);
    this.open.add(value);
  }

  private pop(): void {
    this.open.delete(this.holders.pop()!);
    this.keys.pop();
  }
}

function refuseInvalidDate(original: unknown): void {
  if (tagOf.call(original) === '[object Date]' && Number.isNaN((original as Date).getTime()))
    throw new Refused('an invalid Date');
}

const tooLarge = (what: string, bytesMax: number): AtomicQueuesError =>
  new AtomicQueuesError('PAYLOAD_TOO_LARGE', `${what} is larger than ${bytesMax} bytes as JSON`, { details: { bytesMax } });

const notJson = (what: string, path: string, why: string, cause?: unknown): AtomicQueuesError =>
  new AtomicQueuesError('SCHEMA_VIOLATION', `${what}: ${path} is ${why}, which JSON cannot carry`, {
    details: { path, why },
    cause,
  });

function stringifyInspected(value: unknown, what: string, bytesMax: number): string | undefined {
  const inspector = new Inspector(bytesMax);
  try {
    return JSON.stringify(value, function (this: object, key: string, inner: unknown) {
      return inspector.visit(this, key, inner);
    });
  } catch (error) {
    const path = inspector.path();
    if (!(error instanceof Refused)) {
      const why = error instanceof RangeError ? 'nested too deep' : 'an object whose getter or toJSON threw';
      throw notJson(what, path, why, error);
    }
    throw error.tooLarge ? tooLarge(what, bytesMax) : notJson(what, path, error.why);
  }
}

function isSurelyPlain(value: unknown, bytesMax: number): boolean {
  walkBudget = bytesMax;
  try {
    return surelyPlain(value, 0);
  } catch {
    // A getter or proxy of the caller threw. The second pass finds it again and reports its path.
    return false;
  }
}

function encode(value: unknown, what: string, bytesMax: number): string | undefined {
  const text = isSurelyPlain(value, bytesMax) ? JSON.stringify(value) : stringifyInspected(value, what, bytesMax);
  if (text !== undefined && exceedsUtf8Bytes(text, bytesMax)) throw tooLarge(what, bytesMax);
  return text;
}

/**
 * Returns the JSON text of a payload; `what` names it in errors. Throws SCHEMA_VIOLATION (`details.path`, like
 * `$.items[2].price`) if JSON would change the value, or if it is `undefined`. Throws PAYLOAD_TOO_LARGE if the text exceeds
 * `bytesMax` UTF-8 bytes.
 */
export function encodeJson(value: unknown, what: string, bytesMax: number): string {
  const text = encode(value, what, bytesMax);
  if (text === undefined) throw notJson(what, '$', 'undefined');
  return text;
}

/**
 * Returns the JSON text of a handler's result, '' for `undefined`. Throws SCHEMA_VIOLATION, also for a result that is too large.
 * That error is never definite, because the handler has run.
 */
export function encodeResult(value: unknown, what: string, bytesMax: number): string {
  if (value === undefined) return '';
  try {
    return encode(value, what, bytesMax) ?? '';
  } catch (error) {
    if (!(error instanceof AtomicQueuesError)) throw error;
    const message = error.message.slice(error.message.indexOf(' ') + 1);
    throw new AtomicQueuesError('SCHEMA_VIOLATION', message, { definite: false, details: error.details, cause: error.cause });
  }
}

/** Decodes a text of `encodeJson` or `encodeResult` ('' is `undefined`). Throws SCHEMA_VIOLATION for text that is not JSON. */
export function decodeJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AtomicQueuesError('SCHEMA_VIOLATION', 'stored text is not JSON', {
      details: { path: '$', length: text.length },
      cause,
    });
  }
}

/** Returns the text with the keys of every object sorted. Payloads that differ only in the order of keys give the same text. */
export function canonicalText(text: string): string {
  try {
    return canonical(decodeJson(text));
  } catch (error) {
    // The text is nested deeper than the stack. The order of its keys counts then.
    if (error instanceof RangeError) return text;
    throw error;
  }
}

/**
 * Returns an object of the class that owns `prototype`, with the data of `text`. Runs no constructor and no setter. A property
 * `__proto__` in the text stays plain data. If `prototype` is null, the object stays plain.
 * Throws SCHEMA_VIOLATION if the text is not a JSON object.
 */
export function revive(prototype: object | null, text: string): object {
  const data = decodeJson(text);
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    const got = data === null ? 'null' : Array.isArray(data) ? 'an array' : `a ${typeof data}`;
    throw new AtomicQueuesError('SCHEMA_VIOLATION', `payload is ${got}; allowed: an object`, { details: { path: '$' } });
  }
  // As fast as copying to a new object, and own data properties do not change.
  return prototype === null ? data : (Object.setPrototypeOf(data, prototype) as object);
}
