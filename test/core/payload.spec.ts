import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeJson, encodeJson, encodeResult, revive } from '../../src/core/payload.js';

const MAX = 1_048_576;
const encode = (value: unknown) => encodeJson(value, 'payload of Deposit', MAX);

interface Shape {
  code: string;
  definite: boolean;
  message: string;
  details: Record<string, unknown>;
  cause?: unknown;
}

function failureOf(call: () => unknown): Shape {
  try {
    call();
  } catch (error) {
    return error as Shape;
  }
  throw new Error('it did not throw');
}

const cycle: Record<string, unknown> = { a: [{}] };
(cycle.a as Record<string, unknown>[])[0]!.back = cycle;
const ownProto = JSON.parse('{"a":{"__proto__":{"admin":true}}}');
class Tagged extends Map {
  override get [Symbol.toStringTag]() {
    return 'Plain';
  }
}

describe('encodeJson refuses', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['NaN', { items: [1, 2, { price: Number.NaN }] }, '$.items[2].price', /NaN/],
    ['Infinity', { a: Number.POSITIVE_INFINITY }, '$.a', /Infinity/],
    ['-Infinity', [[Number.NEGATIVE_INFINITY]], '$[0][0]', /-Infinity/],
    ['a boxed NaN', { a: Object(Number.NaN) }, '$.a', /NaN/],
    ['a Map', { 'a b': new Map([[1, 2]]) }, '$["a b"]', /a Map/],
    ['a Set', new Set([1]), '$', /a Set/],
    ['a Map under another tag', { a: new Tagged() }, '$.a', /a Tagged/],
    ['a WeakMap', { a: new WeakMap() }, '$.a', /a WeakMap/],
    ['a Promise', { a: Promise.resolve(1) }, '$.a', /a Promise/],
    ['a RegExp', { a: /x/ }, '$.a', /a RegExp/],
    ['an Error', { a: new TypeError('lost') }, '$.a', /a Error/],
    ['a typed array', { a: new Uint8Array(2) }, '$.a', /a Uint8Array/],
    ['an ArrayBuffer', { a: new ArrayBuffer(2) }, '$.a', /a ArrayBuffer/],
    ['a function', { a: { run: () => 1 } }, '$.a.run', /a function/],
    ['a class', [class A {}], '$[0]', /a function/],
    ['a symbol', { a: Symbol('x') }, '$.a', /a symbol/],
    ['a BigInt', { a: 1n }, '$.a', /a BigInt/],
    ['a boxed BigInt', { a: Object(1n) }, '$.a', /a BigInt/],
    ['a cycle', cycle, '$.a[0].back', /a cycle/],
    ['an own __proto__', ownProto, '$.a.__proto__', /own "__proto__" key/],
    ['an invalid Date', { at: new Date(Number.NaN) }, '$.at', /an invalid Date/],
    ['undefined itself', undefined, '$', /undefined/],
    ['a function itself', () => 1, '$', /a function/],
    ['what toJSON returns', { a: { toJSON: () => ({ b: Number.NaN }) } }, '$.a.b', /NaN/],
    ['what the own toJSON of a Date returns', { at: Object.assign(new Date(0), { toJSON: () => 1n }) }, '$.at', /a BigInt/],
    ['a later sibling of nested objects', { a: { b: { c: 1 } }, d: [{ e: 1 }, { f: 2n }] }, '$.d[1].f', /a BigInt/],
  ])('%s', (_, value, path, why) => {
    const error = failureOf(() => encode(value));
    expect(error).toMatchObject({ code: 'SCHEMA_VIOLATION', definite: true, details: { path } });
    expect(error.message).toMatch(why);
    expect(error.message).toContain('payload of Deposit');
    expect(error.message).toContain(path);
  });

  it('an object that throws while it is read, with the cause', () => {
    const cause = new Error('boom');
    const throwing = {
      get amount() {
        throw cause;
      },
    };
    const unwilling = {
      toJSON() {
        throw cause;
      },
    };
    expect(failureOf(() => encode({ order: throwing }))).toMatchObject({
      code: 'SCHEMA_VIOLATION',
      cause,
      details: { path: '$.order' },
    });
    expect(failureOf(() => encode({ a: 1, order: [unwilling] }))).toMatchObject({ code: 'SCHEMA_VIOLATION', cause });
  });

  it('cycles and faults below the depth of the first pass', () => {
    const nest = (depth: number, leaf: unknown): unknown => (depth === 0 ? leaf : { n: nest(depth - 1, leaf) });
    expect(encode(nest(1000, 1))).toBe(JSON.stringify(nest(1000, 1)));
    expect(failureOf(() => encode(nest(1000, Number.NaN))).message).toMatch(/\$\.n\.n.*\.\.\. is NaN/);
    expect(failureOf(() => encode(deepArray(200_000)))).toMatchObject({ code: 'SCHEMA_VIOLATION' });
  });

  it('values whose text passes the limit, before building it where that can be known', () => {
    const limited = (value: unknown, bytesMax: number) => () => encodeJson(value, 'payload', bytesMax);
    expect(limited('12345678', 10)()).toBe('"12345678"');
    expect(failureOf(limited('123456789', 10))).toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      definite: true,
      details: { bytesMax: 10 },
    });
    expect(failureOf(limited('éééé中', 10)).code).toBe('PAYLOAD_TOO_LARGE');
    expect(failureOf(limited(new Array(4_000_000_000), MAX)).code).toBe('PAYLOAD_TOO_LARGE');
    let doubled: unknown[] = [];
    for (let i = 0; i < 40; i++) doubled = [doubled, doubled];
    expect(failureOf(limited(doubled, MAX)).code).toBe('PAYLOAD_TOO_LARGE');
    expect(limited([[], []], 7)()).toBe('[[],[]]');
    expect(limited([Object(1), 2], 5)()).toBe('[1,2]');
  });
});

function deepArray(depth: number): unknown[] {
  let value: unknown[] = [];
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

describe('encodeJson keeps', () => {
  it('exactly the text of JSON.stringify for anything JSON can carry', () => {
    const value = fc.jsonValue({ maxDepth: 4 }).filter((json) => !JSON.stringify(json).includes('"__proto__"'));
    fc.assert(fc.property(value, (json) => encode(json) === JSON.stringify(json)));
  });

  it.each<[string, unknown]>([
    ['undefined properties', { a: 1, b: undefined }],
    ['undefined and holes in arrays', Object.assign([1, undefined], { 3: 2 })],
    ['a Date', { at: new Date(0) }],
    ['a Date that is not the first thing', [{ toJSON: () => 'x' }, new Date(0), null]],
    ['boxed primitives', [Object(1), Object('s'), Object(false)]],
    ['symbol keys', { [Symbol('k')]: 1n, a: 1 }],
    ['-0', [-0]],
    ['a toJSON that returns nothing', { a: { toJSON: () => undefined }, b: 1 }],
    ['a Buffer', { bytes: Buffer.from('abc') }],
    ['a shared part', ((part) => ({ a: part, b: [part, part] }))({ x: 1 })],
    ['a null prototype', Object.assign(Object.create(null), { a: { b: 1 } })],
    ['lone surrogates', { a: '\ud800' }],
    ['keys like numbers', { 2: 'b', 1: 'a' }],
    [
      'private and inherited members',
      new (class extends class {
        base() {}
      } {
        #hidden = 1;
        shown = this.#hidden;
        get total() {
          return 1n;
        }
      })(),
    ],
  ])('%s, as JSON has it', (_, value) => {
    expect(encode(value)).toBe(JSON.stringify(value));
  });

  it('a class with an enumerable method on its prototype', () => {
    function Legacy(this: { amount: number }) {
      this.amount = 3;
    }
    Legacy.prototype.run = () => 1;
    expect(encode(Reflect.construct(Legacy, []))).toBe('{"amount":3}');
  });

  it('one verdict in both passes: anything either keeps whole or refuses', () => {
    const odd = fc.constantFrom(Number.NaN, 1n, new Map(), new Date(Number.NaN), () => 1, Symbol('s'), /x/, new Uint8Array(1));
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.integer(),
        odd,
        fc.array(tie('tree')),
        fc.dictionary(fc.string(), tie('tree')),
      ),
    }));
    const viaToJson = (value: unknown) => failureOrText({ toJSON: () => value });
    const failureOrText = (value: unknown) => {
      try {
        return encode(value);
      } catch (error) {
        return (error as Shape).code;
      }
    };
    fc.assert(fc.property(tree, (value) => typeof value === 'function' || failureOrText([value]) === viaToJson([value])));
  });
});

describe('encodeResult', () => {
  it('writes undefined as the empty text and anything else as JSON', () => {
    expect(encodeResult(undefined, 'result', MAX)).toBe('');
    expect(decodeJson('')).toBe(undefined);
    expect(encodeResult({ balance: 3 }, 'result', MAX)).toBe('{"balance":3}');
    expect(encodeResult(null, 'result', MAX)).toBe('null');
  });

  it('fails as not definite, since the handler ran; too large is a SCHEMA_VIOLATION too', () => {
    const wrong = failureOf(() => encodeResult({ a: 1n }, 'result of Deposit', MAX));
    expect(wrong).toMatchObject({ code: 'SCHEMA_VIOLATION', definite: false, details: { path: '$.a' } });
    expect(wrong.message).toMatch(/^\[SCHEMA_VIOLATION\] result of Deposit: \$\.a is a BigInt/);
    expect(failureOf(() => encodeResult('xxxx', 'result', 3))).toMatchObject({ code: 'SCHEMA_VIOLATION', definite: false });
  });
});

describe('decodeJson', () => {
  it('names text that is not JSON', () => {
    expect(failureOf(() => decodeJson('{"a":'))).toMatchObject({ code: 'SCHEMA_VIOLATION', cause: expect.any(SyntaxError) });
  });
});

describe('revive', () => {
  class Deposit {
    static built = 0;
    readonly amount: number;
    constructor(amount: number) {
      Deposit.built++;
      this.amount = amount;
    }
    get double() {
      return this.amount * 2;
    }
    set label(_: string) {
      throw new Error('a setter ran');
    }
  }

  it('makes an object of the class without running its constructor', () => {
    const deposit = revive(Deposit.prototype, '{"amount":4}') as Deposit;
    expect(deposit).toBeInstanceOf(Deposit);
    expect([deposit.double, Deposit.built]).toEqual([8, 0]);
    expect(Object.keys(deposit)).toEqual(['amount']);
  });

  it('lets the text neither run a setter nor change the prototype', () => {
    const deposit = revive(Deposit.prototype, '{"amount":1,"label":"x","double":9,"__proto__":{"admin":true}}');
    expect(Object.getPrototypeOf(deposit)).toBe(Deposit.prototype);
    expect(deposit).toMatchObject({ label: 'x', double: 9 });
    expect('admin' in deposit).toBe(false);
  });

  it('gives a plain object without a class, and refuses what is no object', () => {
    expect(revive(null, '{"a":1}')).toEqual({ a: 1 });
    for (const text of ['[1]', 'null', '7', '', '{']) {
      expect(failureOf(() => revive(Deposit.prototype, text)).code).toBe('SCHEMA_VIOLATION');
    }
  });
});
