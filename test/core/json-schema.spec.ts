import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type JsonSchema, violationsOf } from '../../src/core/json-schema.js';

const told = (schema: JsonSchema, value: unknown) => violationsOf(schema, value).map(({ path, message }) => `${path} ${message}`);

describe('a value against a schema', () => {
  it.each<[string, JsonSchema, unknown, string]>([
    ['another type', { type: 'string' }, 1, '$ must be string, is number'],
    ['null', { type: ['string', 'number'] }, null, '$ must be string or number, is null'],
    ['a fraction', { type: 'integer' }, 1.5, '$ must be integer, is number'],
    ['another constant', { const: { a: 1, b: 2 } }, { b: 2, a: 2 }, '$ must be {"a":1,"b":2}'],
    ['none of the values', { enum: ['a', null] }, 'b', '$ must be one of "a", null'],
    ['too little', { minimum: 3 }, 2, '$ must be at least 3'],
    ['too much', { exclusiveMaximum: 3 }, 3, '$ must be below 3'],
    ['no multiple', { multipleOf: 0.1 }, 0.25, '$ must be a multiple of 0.1'],
    ['too long', { maxLength: 1 }, '😀😀', '$ must have at most 1 characters'],
    ['no match', { pattern: '^a+$' }, 'ab', '$ must match ^a+$'],
    ['a missing property', { required: ['a b'] }, {}, '$["a b"] is missing'],
    ['a property too many', { properties: { a: {} }, additionalProperties: false }, { a: 1, b: 1 }, '$.b is not allowed'],
    [
      'a wrong one within',
      { properties: { a: { items: { type: 'null' } } } },
      { a: [null, 1] },
      '$.a[1] must be null, is number',
    ],
    [
      'a wrong place of a tuple',
      { prefixItems: [{}, { type: 'null' }], items: false },
      [1, 1, 1],
      '$[1] must be null, is number',
    ],
    ['too many items', { maxItems: 1 }, [1, 2], '$ must have at most 1 items'],
    ['an item twice', { uniqueItems: true }, [{ a: 1 }, { a: 1 }], '$ must not repeat an item'],
    ['none of several', { anyOf: [{ type: 'string' }, { type: 'null' }] }, 1, '$ matches none of what is allowed'],
    ['two of one', { oneOf: [{ minimum: 1 }, { minimum: 2 }] }, 3, '$ matches more than one of what is allowed'],
    ['what it must not be', { not: { type: 'string' } }, 'x', '$ is what it must not be'],
    ['a wrong name', { propertyNames: { pattern: '^a' } }, { b: 1 }, '$.b must match ^a'],
    ['by reference', { $ref: '#/$defs/x', $defs: { x: { type: 'null' } } }, 1, '$ must be null, is number'],
  ])('tells %s', (_, schema, value, message) => {
    expect(told(schema, value)).toContain(message);
  });

  it('follows a schema that refers to itself, to the end of the value', () => {
    const tree = { type: 'object', properties: { next: { $ref: '#' } }, required: ['id'] };
    expect(told(tree, { id: 1, next: { id: 2, next: {} } })).toEqual(['$.next.next.id is missing']);
    expect(told({ $ref: '#' }, 1)).toEqual([]);
  });

  it('follows one that refers to itself through a choice, too', () => {
    const tree = {
      $ref: '#/$defs/Tree',
      $defs: {
        Tree: {
          type: 'object',
          properties: { n: { type: 'number' }, child: { anyOf: [{ $ref: '#/$defs/Tree' }, { type: 'null' }] } },
          required: ['n', 'child'],
        },
      },
    };
    const nested = (n: unknown) => ({ n: 1, child: { n: 2, child: { n, child: null } } });
    expect(told(tree, nested(3))).toEqual([]);
    expect(told(tree, nested('bad'))).toEqual(['$.child matches none of what is allowed']);
    const Num = z.object({ op: z.literal('num'), value: z.number() }).meta({ id: 'Num' });
    const Neg = z
      .object({
        op: z.literal('neg'),
        get of(): z.ZodType {
          return Expr;
        },
      })
      .meta({ id: 'Neg' });
    const Expr: z.ZodType = z.union([Num, Neg]);
    const written = z.toJSONSchema(z.object({ e: Expr })) as JsonSchema;
    expect(told(written, { e: { op: 'neg', of: { op: 'neg', of: { op: 'num', value: 1 } } } })).toEqual([]);
    expect(told(written, { e: { op: 'neg', of: { op: 'neg', of: { op: 'num' } } } })).not.toEqual([]);
  });

  it('ends at a choice that refers to itself for the same value, and checks the rest', () => {
    for (const choice of [{ anyOf: [{ $ref: '#/$defs/Loop' }] }, { not: { not: { $ref: '#/$defs/Loop' } } }]) {
      const schema = {
        properties: { loop: { $ref: '#/$defs/Loop' }, name: { type: 'string' } },
        $defs: { Loop: choice },
      };
      expect(told(schema, { loop: 1, name: 2 })).toEqual(['$.name must be string, is number']);
    }
  });

  it('leaves to the handler what it cannot follow to the end', () => {
    expect(told({ $ref: '#/$defs/50% off', $defs: { '50% off': { type: 'string' } } }, 1)).toEqual([
      '$ must be string, is number',
    ]);
    let deep: unknown = {};
    for (let i = 0; i < 20_000; i++) deep = { child: deep };
    expect(told({ type: 'object', properties: { child: { $ref: '#' } } }, deep)).toEqual([]);
  });

  it('allows what it does not know', () => {
    for (const schema of [{}, { pattern: '(?P<x>' }, { $ref: 'http://elsewhere' }, { format: 'email' }, { unheard: 1 }])
      expect(told(schema, 'x')).toEqual([]);
  });

  it('judges as zod does what zod writes', () => {
    const schema = z.object({
      ...{
        a: z.number().int().min(0).max(9),
        b: z.string().max(3).optional(),
        c: z.union([z.null(), z.array(z.boolean()).max(2)]),
      },
      ...{ d: z.enum(['x', 'y']), e: z.record(z.string(), z.number()).optional(), f: z.tuple([z.string(), z.number()]) },
    });
    const written = z.toJSONSchema(schema, { io: 'input' });
    const some = <T>(...values: T[]) => fc.constantFrom<unknown>(...values, undefined, null, 'x', 1);
    const value = fc.record({
      ...{ a: some(0, 5, 10, -1, 1.5), b: some('', 'abc', 'abcd'), c: some([true], [1], [true, false, true]) },
      ...{ d: some('y', 'z'), e: some({ k: 1 }, { k: 'v' }), f: some(['s', 1], ['s'], ['s', 1, 1], [1, 's']) },
    });
    let valid = 0;
    fc.assert(
      fc.property(value, (given) => {
        const sent: unknown = JSON.parse(JSON.stringify(given));
        const isValid = schema.safeParse(sent).success;
        if (isValid) valid++;
        expect(told(written, sent).length === 0).toBe(isValid);
      }),
      { numRuns: 3000, seed: 7 },
    );
    expect(valid).toBeGreaterThan(0);
  });
});
