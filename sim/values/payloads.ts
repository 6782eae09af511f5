/**
 * Draws payloads and results: values that JSON carries, with what must arrive, and values that JSON would spoil, with the path of
 * the fault.
 */
import { runInNewContext } from 'node:vm';
import type { Stream } from '../sim-random.js';

export interface DrawnPayload {
  readonly value: unknown;
  /** The value that must arrive, as plain data. Left out for a value that is refused. */
  readonly arrives?: { readonly value: unknown };
  /** Why the value is refused, and at which path. `path` is undefined for faults whose path cannot be predicted. */
  readonly refused?: { readonly why: string; readonly path: string | undefined };
}

interface Placed {
  readonly value: unknown;
  readonly arrives: unknown;
  readonly path: string;
}

type Pair = readonly [value: unknown, arrives: unknown];

class Account {
  readonly owner = 'x';
  get balance(): number {
    return 1;
  }
}
class Savings extends Account {
  readonly rate = 2;
}
class Rate {
  toJSON(): number {
    return Number.NaN;
  }
}
class Ledger extends Map<string, number> {}
class Tagged extends Map<string, number> {
  override readonly [Symbol.toStringTag] = 'Tagged';
}

class Bag extends Set<number> {
  override readonly [Symbol.toStringTag] = 'Bag';
}
class Fault extends Error {
  readonly [Symbol.toStringTag] = 'Fault';
}
class Bytes extends Uint8Array {
  override get [Symbol.toStringTag](): 'Uint8Array' {
    return 'Bytes' as 'Uint8Array';
  }
}

const DateOf = Date.prototype.constructor as DateConstructor;
/** Constructors of another realm, as in a sandbox. */
const FOREIGN = runInNewContext('({ Map, Set, Date, Error, Array, Object })') as {
  readonly Map: MapConstructor;
  readonly Date: DateConstructor;
  readonly Error: ErrorConstructor;
  readonly Object: ObjectConstructor;
};

const AT_MS = 1_700_000_000_000;
const ISO = '2023-11-14T22:13:20.000Z';

/** Values that JSON carries, some of them in another form. */
const CARRIED: readonly ((stream: Stream) => Pair)[] = [
  (stream) => same(stream.int(-5, 5)),
  (stream) => same(stream.between(-1e9, 1e9)),
  () => [-0, 0],
  () => same(Number.MAX_VALUE),
  (stream) => same(stream.chance(0.5)),
  () => same(null),
  (stream) => same(stream.pick(['', 'text', 'é€😀', '\u0000\u001f"\\', '\ud800', '\udc00x', '__proto__'])),
  () => [new DateOf(AT_MS), ISO],
  () => [new FOREIGN.Date(AT_MS), ISO],
  () => [Object.assign(new DateOf(AT_MS), { toJSON: () => 'later' }), 'later'],
  () => [new Account(), { owner: 'x' }],
  () => [new Savings(), { owner: 'x', rate: 2 }],
  () => [Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
  () => [new FOREIGN.Object(), {}],
  () => [Object(5), 5],
  () => [Object('boxed'), 'boxed'],
  () => [Object(false), false],
  () => [{ a: undefined, [Symbol('s')]: 1, b: 2 }, { b: 2 }],
  () => [
    [undefined, 1],
    [null, 1],
  ],
  () => [Object.assign(new Array(2), { 1: 'x' }), [null, 'x']],
  () => [{ toJSON: () => ({ made: [1] }) }, { made: [1] }],
  (stream) => nested(stream.int(190, 260)),
];

const same = (value: unknown): Pair => [value, value];

/** Returns a value that is nested deeper than the first pass looks. */
function nested(depth: number): Pair {
  let value: unknown = 'deep';
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return [value, value];
}

interface Spoiled {
  readonly why: string;
  readonly make: () => unknown;
  /** The path after the place of the value; undefined: the path is not known. */
  readonly at?: string | undefined;
}

const spoiled = (why: string, make: () => unknown, ...at: [] | [string | undefined]): Spoiled => ({
  why,
  make,
  at: at.length === 0 ? '' : at[0],
});

const CALLEE = 'an object whose getter or toJSON threw';

function refuse(): never {
  throw new Error('not readable');
}

/** Values that JSON would change without an error. */
const SPOILED: readonly Spoiled[] = [
  spoiled('a Map', () => new Map([['a', 1]])),
  spoiled('a Map', () => new FOREIGN.Map()),
  spoiled('a Map', () => new Ledger()),
  spoiled('a Tagged', () => new Tagged()),
  spoiled('a Bag', () => new Bag()),
  spoiled('a Fault', () => new Fault()),
  spoiled('a Bytes', () => new Bytes(1)),
  spoiled('a Set', () => new Set([1])),
  spoiled('a WeakMap', () => new WeakMap()),
  spoiled('a RegExp', () => /x/),
  spoiled('a Error', () => new TypeError('x')),
  spoiled('a Error', () => new FOREIGN.Error('x')),
  spoiled('a Promise', () => Promise.resolve(1)),
  spoiled('a ArrayBuffer', () => new ArrayBuffer(2)),
  spoiled('a Uint8Array', () => new Uint8Array(2)),
  spoiled('a BigInt64Array', () => new BigInt64Array(1)),
  spoiled('a DataView', () => new DataView(new ArrayBuffer(1))),
  spoiled('NaN', () => Number.NaN),
  spoiled('Infinity', () => Number.POSITIVE_INFINITY),
  spoiled('-Infinity', () => Number.NEGATIVE_INFINITY),
  spoiled('NaN', () => Object(Number.NaN)),
  spoiled('NaN', () => new Rate()),
  spoiled('Infinity', () => Object.assign(new DateOf(AT_MS), { toJSON: () => Number.POSITIVE_INFINITY })),
  spoiled('a function', () => () => 1),
  spoiled('a symbol', () => Symbol('s')),
  spoiled('a BigInt', () => 1n),
  spoiled('a BigInt', () => Object(1n)),
  spoiled('a Symbol', () => Object(Symbol('s'))),
  spoiled('an invalid Date', () => new DateOf(Number.NaN)),
  spoiled('an invalid Date', () => new FOREIGN.Date(Number.NaN)),
  spoiled('an own "__proto__" key', () => JSON.parse('{"__proto__":1}') as unknown, '.__proto__'),
  spoiled('a cycle', () => cycle(1), '.next'),
  spoiled('a cycle', () => cycle(3), '.next.next.next'),
  spoiled('nested too deep', () => nested(20_000)[0], undefined),
  spoiled(CALLEE, () => Object.defineProperty({}, 'a', { enumerable: true, get: refuse })),
  spoiled(CALLEE, () => ({ toJSON: refuse }), undefined),
  spoiled(CALLEE, () => new Proxy({}, { get: refuse, ownKeys: refuse, getPrototypeOf: refuse }), undefined),
];

function cycle(length: number): object {
  const first: { next?: object } = {};
  let last = first;
  for (let i = 1; i < length; i++) last = last.next = {};
  last.next = first;
  return first;
}

const KEYS = ['a', 'id', '$x', '_', 'two words', '1st', 'é', '"', 'toString'];

const pathOf = (key: string): string => (/^[A-Za-z_$][A-Za-z0-9_$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);

/** Puts a value at a random place in a tree of plain data. */
function placed(stream: Stream, [value, arrives]: Pair, levels: number): Placed {
  let at: Placed = { value, arrives, path: '' };
  for (let i = 0; i < levels; i++) at = stream.chance(0.5) ? inArray(stream, at) : inObject(stream, at);
  return at;
}

function inArray(stream: Stream, { value, arrives, path }: Placed): Placed {
  const before = Array.from({ length: stream.int(0, 2) }, () => stream.pick(PLAIN));
  const after = stream.chance(0.5) ? [stream.pick(PLAIN)] : [];
  return { value: [...before, value, ...after], arrives: [...before, arrives, ...after], path: `[${before.length}]${path}` };
}

function inObject(stream: Stream, { value, arrives, path }: Placed): Placed {
  const [key = '', before = '', after = ''] = stream.shuffle(KEYS);
  const of = (inner: unknown) => ({ [before]: stream.pick(PLAIN), [key]: inner, [after]: 1 });
  const plain = of(value);
  return { value: plain, arrives: { ...plain, [key]: arrives }, path: `${pathOf(key)}${path}` };
}

const PLAIN: readonly unknown[] = [0, 'x', null, true, [], {}, { n: [1] }, ['y', { z: 2 }]];

export function drawPayload(stream: Stream): DrawnPayload {
  const levels = stream.int(0, 4);
  if (stream.chance(0.5)) {
    const { value, arrives } = placed(stream, stream.pick(CARRIED)(stream), levels);
    return { value, arrives: { value: arrives } };
  }
  const { why, make, at } = stream.pick(SPOILED);
  const odd = make();
  const { value, path } = placed(stream, [odd, odd], levels);
  return { value, refused: { why, path: at === undefined ? undefined : `${path}${at}` } };
}

// ---- sizes -------------------------------------------------------------------------------------------------------------

const CHARACTERS = ['x', 'é', '€', '😀', '\u0001', '"', '\ud800'];

const bytesOf = (value: unknown): number => new TextEncoder().encode(JSON.stringify(value)).length;

/** Draws a value for which the JSON text of `wrap(value)` has exactly `bytes` UTF-8 bytes. */
export function drawOfSize(stream: Stream, bytes: number, wrap: (value: unknown) => unknown): unknown {
  const form = stream.pick<(inner: unknown) => unknown>([(x) => x, (x) => [[], x, {}], (x) => ({ toJSON: () => x })]);
  const character = stream.pick(CHARACTERS);
  const fill = (count: number, rest: number): unknown => form(character.repeat(count) + 'x'.repeat(rest));
  const each = bytesOf(character) - 2;
  const left = bytes - bytesOf(wrap(fill(0, 0)));
  return fill(Math.floor(left / each), left % each);
}

/**
 * Draws an array of `count` empty arrays and objects. Its text consists of brackets and commas only, and has `3 * count + 1`
 * bytes.
 */
export const drawBrackets = (stream: Stream, count: number): unknown[] =>
  Array.from({ length: count }, () => (stream.chance(0.5) ? [] : {}));
