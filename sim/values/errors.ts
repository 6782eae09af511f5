/** Draws what a handler throws, together with the record that its caller and the dead letter must show. */
import { TerminalError } from '../../src/core/terminal-error.js';
import type { Stream } from '../sim-random.js';

type Fields = Readonly<Record<string, unknown>>;

export interface DrawnError {
  readonly thrown: unknown;
  /** The record without stacks. Left out: only its bounds are known. */
  readonly shows?: Fields;
  /** Set if the error is a reply to the caller, which leaves no dead letter. */
  readonly isAnswer: boolean;
  /** How the record is marked for the adapter. */
  readonly kind?: 'http' | 'terminal' | 'handler';
  /** For an HttpException: the classes above its own that are marked for the adapter. */
  readonly bases?: readonly string[];
  /** Left out: the stack that `dressed` sets. */
  readonly stack?: { readonly shown: string | undefined };
}

/** Replaces the frames of stacks, since real stacks name files of the machine. */
const FRAMES = '\n    at handle (account.ts:1:1)';

function dressed<E extends Error>(error: E, fields: Fields = {}): E {
  Object.defineProperty(error, 'stack', { value: `${error.name}: ${error.message}${FRAMES}`, configurable: true });
  return Object.assign(error, fields);
}

const TEXT_MAX = 4096;
const NAME_MAX = 256;
const ITEMS_MAX = 64;
const CAUSES_MAX = 5;

const cut = (text: string, max: number): string => (text.length > max ? `${text.slice(0, max)}...` : text);

class Refused extends Error {
  override readonly name = 'Refused';
}

/** A class instance, which is not plain data. */
class Socket {
  readonly port = 1;
}
/** Has its methods on the prototype, as Nest's exceptions do. */
class Exception extends Error {
  readonly #status: number;
  readonly #response: unknown;

  constructor(status: number, response: unknown) {
    super('http');
    this.#status = status;
    this.#response = response;
  }

  getStatus(): number {
    return this.#status;
  }

  getResponse(): unknown {
    return this.#response;
  }
}
class HttpException extends Exception {
  override readonly name: string = 'HttpException';
}

type Kind = (stream: Stream) => DrawnError;

const plain = (error: Error, fields: Fields = {}, given: Fields = fields): DrawnError => ({
  thrown: dressed(error, given),
  shows: { name: error.name, message: error.message, ...fields },
  isAnswer: false,
});

const around = (stream: Stream, max: number): number => stream.pick([max - 1, max, max + 1, max + 50]);

const message: Kind = (stream) => {
  const text = 'm'.repeat(around(stream, TEXT_MAX));
  return { ...plain(new Error(text)), shows: { name: 'Error', message: cut(text, TEXT_MAX) } };
};

const name: Kind = (stream) => {
  const long = 'N'.repeat(around(stream, NAME_MAX));
  const error = new TypeError('x');
  error.name = long;
  return { thrown: dressed(error), shows: { name: cut(long, NAME_MAX), message: 'x' }, isAnswer: false };
};

/** The part of `deep` that a field of the error shows. */
const DEEP_SHOWN = { d: { d: { d: { d: { d: { d: '[cut]' } } } } } };

/** Fields, and the form in which they are shown; undefined for fields that are left out. */
const FIELDS: readonly (readonly [given: () => unknown, shown: unknown])[] = [
  [() => 'text', 'text'],
  [() => 5, 5],
  [() => false, false],
  [() => null, null],
  [() => Number.NaN, 'NaN'],
  [() => Number.NEGATIVE_INFINITY, '-Infinity'],
  [() => 12n, '12'],
  [() => ({ a: [1, { b: 2 }] }), { a: [1, { b: 2 }] }],
  [() => [undefined, () => 1, 'x'], [null, null, 'x']],
  [() => Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
  [() => ({ toJSON: () => ({ made: true }) }), { made: true }],
  [() => new Error('inner'), { name: 'Error', message: 'inner' }],
  [() => new Map([['a', 1]]), undefined],
  [() => new Uint8Array(3), undefined],
  [() => () => 1, undefined],
  [() => Symbol('s'), undefined],
  [() => undefined, undefined],
  [() => new Socket(), undefined],
  [() => ({ [Symbol('s')]: 1, a: undefined, a_: 1 }), { a_: 1 }],
  [() => circular(), { a: { back: '[circular]' } }],
  [() => deep(20), DEEP_SHOWN],
  [() => Array.from({ length: ITEMS_MAX }, () => 0), Array.from({ length: ITEMS_MAX }, () => 0)],
  [() => Array.from({ length: ITEMS_MAX + 3 }, () => 0), [...Array.from({ length: ITEMS_MAX }, () => 0), '[cut]']],
  [() => wide(ITEMS_MAX + 1), wide(ITEMS_MAX)],
  [() => 'f'.repeat(TEXT_MAX + 1), `${'f'.repeat(TEXT_MAX)}...`],
  [() => new Proxy({}, { getPrototypeOf: fails, get: fails, ownKeys: fails }), '[unreadable]'],
];

function fails(): never {
  throw new Error('not readable');
}

function circular(): object {
  const outer: { a: { back?: object } } = { a: {} };
  outer.a.back = outer;
  return outer;
}

const deep = (levels: number): unknown => (levels === 0 ? 'deep' : { d: deep(levels - 1) });

function wide(count: number): object {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`w${i}`, i]));
}

const NAMES = ['code', 'status', 'details', 'expose', 'hint', 'two words', '$x', 'errors'];

const fields: Kind = (stream) => {
  const picked = stream.shuffle(NAMES).slice(0, stream.int(1, 3));
  const given: Record<string, unknown> = {};
  const shown: Record<string, unknown> = {};
  for (const field of picked) {
    const [make, shows] = stream.pick(FIELDS);
    given[field] = make();
    if (shows !== undefined) shown[field] = shows;
  }
  return plain(new Refused('with fields'), shown, given);
};

/** Draws field names that are never kept, and a name of about the maximum length. */
const names: Kind = (stream) => {
  const long = 'n'.repeat(around(stream, NAME_MAX));
  const given = JSON.parse(`{"__proto__":{"a":1},"${long}":1}`) as object;
  const error = dressed(new Error('x'));
  for (const [key, value] of Object.entries(given)) Object.defineProperty(error, key, { value, enumerable: true });
  return {
    thrown: error,
    shows: { name: 'Error', message: 'x', ...(long.length <= NAME_MAX && { [long]: 1 }) },
    isAnswer: false,
  };
};

const HEAD_MAX = 512;

const stack: Kind = (stream) => {
  const head = `Error: ${'h'.repeat(around(stream, HEAD_MAX) - 7)}`;
  const frames = '\n    at f (a.ts:1:1)'.repeat(stream.pick([0, 1, 2, 300]));
  const [given, shown] = stream.pick<[unknown, string | undefined]>([
    [`${head}${frames}`, `${cut(head, HEAD_MAX)}${cut(frames, TEXT_MAX)}`],
    [frames, frames === '' ? '' : cut(frames, TEXT_MAX)],
    [5, undefined],
    [undefined, undefined],
  ]);
  const error = new Error('x');
  Object.defineProperty(error, 'stack', { value: given });
  return { thrown: error, shows: { name: 'Error', message: 'x' }, isAnswer: false, stack: { shown } };
};

const unreadable: Kind = () => {
  const error = dressed(new Error('x'));
  Object.defineProperty(error, 'hint', { enumerable: true, get: fails });
  return { thrown: error, shows: { name: 'Error', message: 'x', hint: '[unreadable]' }, isAnswer: false };
};

const hidden: Kind = () => {
  const error = dressed(new Error('x'));
  Object.defineProperty(error, 'code', { enumerable: false, value: 'E_HIDDEN' });
  Object.defineProperty(error, 'hint', { enumerable: false, value: 'left out' });
  return { thrown: error, shows: { name: 'Error', message: 'x', code: 'E_HIDDEN' }, isAnswer: false };
};

/** Draws many large fields. All fields together have one budget. */
const large: Kind = (stream) => {
  const given = Object.fromEntries(
    Array.from({ length: stream.int(6, 90) }, (_, i) => [`f${i}`, 'é"'.repeat(stream.int(1, 1500))]),
  );
  return { thrown: dressed(new Error('large'), given), isAnswer: false };
};

const causes: Kind = (stream) => {
  const length = stream.int(2, CAUSES_MAX + 2);
  let thrown: Error | undefined;
  let shows: Fields | undefined;
  for (let i = length; i >= 1; i--) {
    thrown = dressed(new Error(`cause ${i}`, thrown === undefined ? undefined : { cause: thrown }), { level: i });
    const inner = i < CAUSES_MAX && shows !== undefined ? { cause: shows } : {};
    if (i <= CAUSES_MAX) shows = { name: 'Error', message: `cause ${i}`, level: i, ...inner };
  }
  return { thrown, shows: shows ?? {}, isAnswer: false };
};

const endOfCauses: Kind = (stream) => {
  const [cause, shown] = stream.pick<[unknown, unknown]>([
    [null, undefined],
    ['text', { name: 'NonError', message: 'text' }],
    [7, { name: 'NonError', message: '7' }],
    [{ a: 1 }, { name: 'NonError', message: '{"a":1}', a: 1 }],
  ]);
  const error = dressed(new Error('outer', { cause }));
  return {
    thrown: error,
    shows: { name: 'Error', message: 'outer', ...(shown !== undefined && { cause: shown }) },
    isAnswer: false,
  };
};

const circle: Kind = () => {
  const outer: Error & { cause?: unknown } = dressed(new Error('outer'));
  outer.cause = dressed(new Error('inner', { cause: outer }));
  return {
    thrown: outer,
    shows: { name: 'Error', message: 'outer', cause: { name: 'Error', message: 'inner' } },
    isAnswer: false,
  };
};

/** Draws an error of a handler that has a code of the library. */
const code: Kind = (stream) => {
  const own = stream.pick(['REPLY_TIMEOUT', 'WITHDRAWN', 'STORE_LOST', 'INTERRUPTED', 'HANDLER_FAILED']);
  return { ...plain(new Error('mine'), { code: own }), kind: 'handler' };
};

const terminal: Kind = (stream) => {
  const more = stream.pick<Fields>([{}, { code: 'REPLY_TIMEOUT' }, { code: 'NO_FUNDS', status: 409, details: { left: 3 } }]);
  const error = dressed(new TerminalError('no funds', more));
  return { thrown: error, shows: { name: 'TerminalError', message: 'no funds', ...more }, isAnswer: true, kind: 'terminal' };
};

class Conflict extends HttpException {
  override readonly name = 'Conflict';
}
class SeatTaken extends Conflict {}

const RESPONSES: readonly (readonly [given: unknown, shown: unknown])[] = [
  ['gone', 'gone'],
  [null, null],
  [
    { statusCode: 404, message: ['a', 'b'] },
    { statusCode: 404, message: ['a', 'b'] },
  ],
  // The response stays as it would be sent if it fits: longer texts and more items than other fields may have.
  [{ text: 'r'.repeat(TEXT_MAX + 1) }, { text: 'r'.repeat(TEXT_MAX + 1) }],
  [{ items: Array.from({ length: ITEMS_MAX + 1 }, () => 1) }, { items: Array.from({ length: ITEMS_MAX + 1 }, () => 1) }],
  [['r'.repeat(4 * TEXT_MAX)], [`${'r'.repeat(TEXT_MAX)}...`]],
];

const http: Kind = (stream) => {
  const status = stream.pick([400, 404, 499, 500, 503]);
  const [response, shown] = stream.pick(RESPONSES);
  const [Class, bases] = stream.pick<[typeof HttpException, readonly string[]]>([
    [HttpException, ['Exception']],
    [Conflict, []],
    [SeatTaken, ['Conflict']],
  ]);
  const error = dressed(new Class(status, response), { options: { cause: 'only repeats' }, hint: 'own' });
  const shows = { name: error.name, message: 'http', status, response: shown, hint: 'own' };
  return { thrown: error, shows, isAnswer: status < 500, kind: 'http', bases };
};

/** Draws an error as http-errors makes it, or one that differs in one field. */
const httpError: Kind = (stream) => {
  const status = stream.pick([400, 404, 499, 500, 502]);
  const [more, isHttp] = stream.pick<[Fields, boolean]>([
    [{ status, statusCode: status, expose: true }, true],
    [{ status, statusCode: status, expose: false }, true],
    [{ status, statusCode: status }, false],
    [{ status, statusCode: status, expose: 'yes' }, false],
    [{ status: 599, statusCode: status, expose: true }, false],
    [{ statusCode: status, expose: true }, false],
    [{ status: `${status}`, statusCode: `${status}`, expose: true }, false],
  ]);
  return { ...plain(new Error('http'), more), isAnswer: isHttp && status < 500 };
};

/** Draws an error with one of the two methods of an HttpException. */
const half: Kind = (stream) => {
  const method = stream.pick(['getStatus', 'getResponse']);
  return plain(new Error('half'), {}, { [method]: () => 404 });
};

const NOTHING = { name: 'Error', message: 'the handler rejected with nothing' };
const REVOKED = { name: 'Error', message: 'the handler threw a proxy that cannot be read' };

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const other: Kind = (stream) => {
  const [thrown, shows] = stream.pick<[unknown, Fields]>([
    ['text', { name: 'NonError', message: 'text' }],
    [0, { name: 'NonError', message: '0' }],
    [Symbol('s'), { name: 'NonError', message: 'Symbol(s)' }],
    [5n, { name: 'NonError', message: '5' }],
    [undefined, NOTHING],
    [null, NOTHING],
    [
      { a: 1, code: 'X' },
      { name: 'NonError', message: '{"a":1,"code":"X"}', code: 'X', a: 1 },
    ],
    [[1, 2], { name: 'NonError', message: '[1,2]' }],
    [revoked(), REVOKED],
    [
      { status: 404, statusCode: 404, expose: true },
      { name: 'NonError', message: '{"status":404,"statusCode":404,"expose":true}', status: 404, statusCode: 404, expose: true },
    ],
  ]);
  return { thrown, shows, isAnswer: false };
};

const KINDS: readonly Kind[] = [
  ...[
    message,
    name,
    names,
    stack,
    stack,
    fields,
    fields,
    fields,
    fields,
    unreadable,
    hidden,
    large,
    causes,
    causes,
    endOfCauses,
    circle,
  ],
  ...[code, terminal, http, http, http, httpError, httpError, half, other, other],
];

export const drawError = (stream: Stream): DrawnError => stream.pick(KINDS)(stream);

/** Maximum characters of a record: five names, messages and stacks, and the fields of all. */
export const RECORD_CHARS_MAX = 16_384 + 3 * CAUSES_MAX * (NAME_MAX + 3 * TEXT_MAX);
