/** Draws a JSON schema with values that satisfy it by construction, and values that break it in exactly one place. */
import type { JsonSchema } from '../../src/core/json-schema.js';
import type { Stream } from '../sim-random.js';

export interface DrawnSchema {
  readonly schema: JsonSchema | boolean;
  /** Values that satisfy the schema. Never empty. */
  readonly good: readonly unknown[];
  readonly bad: readonly BadValue[];
}

export interface BadValue {
  readonly value: unknown;
  /** Path of the one fault, after the place of the value. */
  readonly path: string;
  /** The text of the fault, or its beginning. */
  readonly says: string;
}

const bad = (value: unknown, says: string, path = ''): BadValue => ({ value, path, says });

type Kind = (stream: Stream, levels: number) => DrawnSchema;

// ---- numbers and texts -------------------------------------------------------------------------------------------------

function number(stream: Stream): DrawnSchema {
  const [low, high] = [stream.int(-20, 20), stream.int(30, 50)];
  const type = stream.pick(['integer', 'number']);
  const middle = stream.int(low + 1, high - 1);
  const faults = [bad('7', `must be ${type}, is string`), bad(null, `must be ${type}, is null`)];
  if (type === 'integer') faults.push(bad(middle + 0.5, 'must be integer, is number'));
  if (stream.chance(0.5)) {
    const beyond = [bad(low - 1, `must be at least ${low}`), bad(high + 1, `must be at most ${high}`)];
    return { schema: { type, minimum: low, maximum: high }, good: [low, high, middle], bad: [...faults, ...beyond] };
  }
  const beyond = [bad(low, `must be above ${low}`), bad(high, `must be below ${high}`)];
  const schema = { type, exclusiveMinimum: low, exclusiveMaximum: high };
  return { schema, good: [low + 1, high - 1, middle], bad: [...faults, ...beyond] };
}

function multiple(stream: Stream): DrawnSchema {
  const [of, not] = stream.pick<[number, number]>([
    [0.01, 0.125],
    [3, 7],
    [0.1, 0.25],
    [1e-3, 1e-4],
    [7, 6],
  ]);
  const times = stream.int(1, 900);
  return {
    schema: { multipleOf: of },
    good: [0, of * times, -of * times, 'text'],
    bad: [bad(not, `must be a multiple of ${of}`), bad(of * times + not, `must be`)],
  };
}

const CHARACTERS = ['x', 'é', '😀', '\ud800', '€'];

function text(stream: Stream): DrawnSchema {
  const [min, max] = [stream.int(1, 3), stream.int(4, 9)];
  const ofLength = (length: number): string => stream.pick(CHARACTERS).repeat(length);
  return {
    schema: { type: 'string', minLength: min, maxLength: max },
    good: [ofLength(min), ofLength(max), ofLength(stream.int(min, max))],
    bad: [
      bad(ofLength(min - 1), `must have at least ${min} characters`),
      bad(ofLength(max + 1), `must have at most ${max} characters`),
      bad(5, 'must be string, is number'),
    ],
  };
}

function oneBound(stream: Stream): DrawnSchema {
  const max = stream.int(0, 5);
  const isText = stream.chance(0.5);
  const of = (length: number): unknown => (isText ? '😀'.repeat(length) : Array.from({ length }, () => null));
  const what = isText ? 'characters' : 'items';
  if (stream.chance(0.5)) {
    const schema = isText ? { maxLength: max } : { maxItems: max };
    return { schema, good: [of(0), of(max), 9, {}], bad: [bad(of(max + 1), `must have at most ${max} ${what}`)] };
  }
  const schema = isText ? { minLength: max + 1 } : { minItems: max + 1 };
  return { schema, good: [of(max + 1), of(20), 9, {}], bad: [bad(of(max), `must have at least ${max + 1} ${what}`)] };
}

const pattern: Kind = () => ({
  schema: { pattern: '^[a-c]+\\p{Lu}?$' },
  good: ['abc', 'aÉ', 5],
  bad: [bad('abcd', 'must match'), bad('', 'must match'), bad('aé', 'must match')],
});

/** Schemas with parts that the validator does not know. Such a part allows everything. */
const unknown: Kind = (stream) =>
  stream.pick<DrawnSchema>([
    { schema: { pattern: '(?<' }, good: ['x', ''], bad: [] },
    { schema: { format: 'email' }, good: ['no address'], bad: [] },
    { schema: { $ref: 'https://example.com/other' }, good: [1, 'x'], bad: [] },
    { schema: { $ref: '#/$defs/absent' }, good: [1, 'x'], bad: [] },
    { schema: { patternProperties: { '(?<': false } }, good: [{ a: 1 }], bad: [] },
    { schema: true, good: [1, null, 'x'], bad: [] },
    { schema: {}, good: [1, null, 'x'], bad: [] },
  ]);

const constant: Kind = (stream) => {
  const only = stream.pick<unknown>([5, 'x', null, false, { a: [1], b: 2 }]);
  const turned = isPair(only) ? { b: 2, a: [1] } : only;
  return { schema: { const: only }, good: [turned], bad: [bad('y', `must be ${JSON.stringify(only)}`), bad([only], 'must be')] };
};

const isPair = (value: unknown): boolean => typeof value === 'object' && value !== null;

const choice: Kind = () => ({
  schema: { enum: ['a', 2, null, [1, { x: 1, y: 2 }]] },
  good: ['a', 2, null, [1, { y: 2, x: 1 }]],
  bad: [
    bad('b', 'must be one of "a", 2, null'),
    bad('2', 'must be one of'),
    bad([1], 'must be one of'),
    bad({}, 'must be one of'),
  ],
});

const types: Kind = () => ({
  schema: { type: ['null', 'array', 'boolean'] },
  good: [null, [], false],
  bad: [bad({}, 'must be null or array or boolean, is object'), bad(0, 'must be null or array or boolean, is number')],
});

const never: Kind = () => ({
  schema: { type: 'object', properties: { a: false } },
  good: [{}, { b: 1 }],
  bad: [bad({ a: 1 }, 'is not allowed', '.a')],
});

// ---- combinations ------------------------------------------------------------------------------------------------------

const not: Kind = () => ({
  schema: { not: { type: 'string', minLength: 2 } },
  good: ['x', 5, null],
  bad: [bad('xy', 'is what it must not be')],
});

const any: Kind = () => ({
  schema: { anyOf: [{ type: 'integer' }, { type: 'string', maxLength: 2 }, { minimum: 3, type: 'number' }] },
  good: [1, 'xy', 3.5, 5],
  bad: [bad('xyz', 'matches none of what is allowed'), bad(1.5, 'matches none'), bad(null, 'matches none')],
});

const one: Kind = () => ({
  schema: { oneOf: [{ type: 'integer' }, { type: 'number', minimum: 3 }, { type: 'boolean' }] },
  good: [1, 3.5, true],
  bad: [bad(4, 'matches more than one of what is allowed'), bad(1.5, 'matches none'), bad('x', 'matches none')],
});

function all(stream: Stream, levels: number): DrawnSchema {
  const { schema, good, bad: faults } = draw(stream, levels);
  return { schema: { allOf: [{}, schema, true] }, good, bad: faults };
}

// ---- arrays and objects ------------------------------------------------------------------------------------------------

const at = (prefix: string, { value, path, says }: BadValue, wrap: (value: unknown) => unknown): BadValue => ({
  value: wrap(value),
  path: `${prefix}${path}`,
  says,
});

function list(stream: Stream, levels: number): DrawnSchema {
  const { schema, good, bad: faults } = draw(stream, levels);
  const item = (): unknown => stream.pick(good);
  const [min, max] = [stream.int(1, 2), stream.int(3, 5)];
  const items = (length: number): unknown[] => Array.from({ length }, item);
  const before = items(stream.int(0, max - 1));
  return {
    schema: { type: 'array', items: schema, minItems: min, maxItems: max },
    good: [items(min), items(max)],
    bad: [
      bad(items(min - 1), `must have at least ${min} items`),
      bad(items(max + 1), `must have at most ${max} items`),
      ...faults.map((fault) =>
        at(`[${Math.max(before.length, min - 1)}]`, fault, (value) => [
          ...before,
          ...items(Math.max(0, min - 1 - before.length)),
          value,
        ]),
      ),
    ],
  };
}

const tuple: Kind = () => ({
  schema: { prefixItems: [{ type: 'string' }, { type: 'integer' }], items: { type: 'boolean' }, uniqueItems: true },
  good: [[], ['x'], ['x', 1], ['x', 1, true, false], {}],
  bad: [
    bad([1], 'must be string, is number', '[0]'),
    bad(['x', 'y'], 'must be integer, is string', '[1]'),
    bad(['x', 1, 2], 'must be boolean, is number', '[2]'),
    bad(['x', 1, true, true], 'must not repeat an item'),
  ],
});

const unique: Kind = () => ({
  schema: { uniqueItems: true },
  good: [
    [1, '1', [1], { a: 1 }, { a: 2 }],
    [null, false, 0, ''],
  ],
  bad: [
    bad(
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      'must not repeat an item',
    ),
    bad([1, 2, 1], 'must not repeat'),
  ],
});

const KEYS = ['sku', '$id', 'two words', '1st', 'é'];

const pathOf = (key: string): string => (/^[A-Za-z_$][A-Za-z0-9_$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);

function object(stream: Stream, levels: number): DrawnSchema {
  const [key = '', other = '', surplus = ''] = stream.shuffle(KEYS);
  const { schema, good, bad: faults } = draw(stream, levels);
  const whole = (): Record<string, unknown> => ({ [key]: stream.pick(good), [other]: 'x' });
  const { [other]: _, ...partial } = whole();
  return {
    schema: {
      type: 'object',
      properties: { [key]: schema, [other]: { type: 'string' } },
      required: [other],
      additionalProperties: false,
    },
    good: [whole(), { [other]: '' }],
    bad: [
      bad(partial, 'is missing', pathOf(other)),
      bad({ ...whole(), [surplus]: 1 }, 'is not allowed', pathOf(surplus)),
      bad([], 'must be object, is array'),
      ...faults.map((fault) => at(pathOf(key), fault, (value) => ({ ...whole(), [key]: value }))),
    ],
  };
}

function dictionary(stream: Stream): DrawnSchema {
  const [min, max] = [stream.int(1, 2), stream.int(3, 4)];
  const of = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`n${i}`, i]));
  return {
    schema: {
      propertyNames: { maxLength: 3 },
      patternProperties: { '^n': { type: 'integer' }, '^na': { minimum: 1 } },
      additionalProperties: { type: 'string' },
      ...{ minProperties: min, maxProperties: max },
    },
    good: [of(min), of(max), { a: 'x', n: 1 }, { na: 1, b: '' }, 5],
    bad: [
      bad(of(min - 1), `must have at least ${min} properties`),
      bad(of(max + 1), `must have at most ${max} properties`),
      bad({ n: 'x', a: 'x' }, 'must be integer, is string', '.n'),
      bad({ na: 0, a: 'x' }, 'must be at least 1', '.na'),
      bad({ a: 1, b: 'x' }, 'must be string, is number', '.a'),
      bad({ long: 'x', b: 'x' }, 'must have at most 3 characters', '.long'),
    ],
  };
}

/** Refers to a schema that `DEFINITIONS` adds to the root. */
const reference: Kind = () => ({
  schema: { $ref: '#/$defs/a~1b%20~0c' },
  good: [{ v: 1 }, { v: 1, next: { v: 2, next: { v: 3 } } }],
  bad: [
    bad({ v: 'x' }, 'must be integer, is string', '.v'),
    bad({ v: 1, next: { v: 2, next: {} } }, 'is missing', '.next.next.v'),
    bad({ v: 1, next: 5 }, 'must be object, is number', '.next'),
  ],
});

/** Definitions for the root schema: a list that refers to itself, and a schema that refers directly to itself. */
export const DEFINITIONS: Readonly<Record<string, JsonSchema>> = {
  'a/b ~c': { type: 'object', properties: { v: { type: 'integer' }, next: { $ref: '#/$defs/a~1b%20~0c' } }, required: ['v'] },
  circle: { anyOf: [{ $ref: '#/$defs/circle' }, { type: 'string' }] },
};

const circle: Kind = () => ({ schema: { allOf: [{ $ref: '#/$defs/circle' }] }, good: ['x', 5], bad: [] });

const KINDS: readonly Kind[] = [
  ...[number, number, multiple, text, text, oneBound, oneBound, pattern, unknown, unknown, constant, choice, types, never],
  ...[not, any, one, all, list, list, tuple, unique, object, object, dictionary, dictionary, reference, circle],
];
const NESTING: readonly Kind[] = [object, list, all, object];

function draw(stream: Stream, levels: number): DrawnSchema {
  return stream.pick(levels > 0 ? NESTING : KINDS)(stream, levels - 1);
}

export const drawSchema = (stream: Stream): DrawnSchema => draw(stream, stream.pick([0, 0, 1, 1, 2]));

/** Draws a list of integers with `count` faults in it. */
export const withFaults = (stream: Stream, count: number): unknown[] =>
  stream.shuffle([...Array.from({ length: count }, () => 'x'), ...Array.from({ length: stream.int(0, 5) }, (_, i) => i)]);
