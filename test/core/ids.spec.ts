import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  digestOf,
  entityIdOf,
  entityKeyOf,
  escapeId,
  exceedsUtf8Bytes,
  ID_BYTES_MAX,
  idOfKey,
  isEntityTypeName,
  messageIdOf,
  typeOfKey,
  unescapeId,
  utf8Bytes,
} from '../../src/core/ids.js';

const anyText = fc.string({ unit: fc.constantFrom('a', '%', '2', '5', ':', '{', '\n', '\0', '\x7f', 'é', '中', '😀', ' ') });
const utf16 = fc.array(fc.constantFrom('a', 'é', '中', '😀', '\ud83d', '\ude00')).map((parts) => parts.join(''));
const refused = (value: unknown, text: RegExp) =>
  expect(() => entityIdOf(value, 'account')).toThrow(
    expect.objectContaining({ code: 'INVALID_ENTITY_ID', message: expect.stringMatching(text) }),
  );

describe('escapeId', () => {
  it('is undone by unescapeId and leaves no control character', () => {
    fc.assert(
      fc.property(anyText, (id) => {
        const escaped = escapeId(id);
        expect(unescapeId(escaped)).toBe(id);
        expect([...escaped].every((c) => c >= ' ' && c !== '\x7f')).toBe(true);
      }),
    );
  });

  it('keeps ordinary ids as they are', () => {
    for (const id of ['a-123', 'urn:x:{1}', 'a b', '😀']) expect(escapeId(id)).toBe(id);
    expect(escapeId('50%\n')).toBe('50%25%0a');
  });
});

describe('entity keys', () => {
  it('name type and id, and give both back', () => {
    fc.assert(
      fc.property(anyText, (id) => {
        const key = entityKeyOf('order.v2', id);
        expect([typeOfKey(key), idOfKey(key)]).toEqual(['order.v2', id]);
      }),
    );
  });

  it('take type names without a separator only', () => {
    for (const type of ['account', 'Order.Line-2_x', 'a'.repeat(128)]) expect(isEntityTypeName(type)).toBe(true);
    for (const type of ['', 'a:b', 'a b', 'ä', 'a'.repeat(129), 'a\n', 7, undefined]) expect(isEntityTypeName(type)).toBe(false);
  });
});

describe('utf8Bytes', () => {
  it('agrees with the encoder, lone surrogates included', () => {
    fc.assert(
      fc.property(utf16, fc.nat(40), (text, bytesMax) => {
        expect(utf8Bytes(text)).toBe(Buffer.byteLength(text));
        expect(exceedsUtf8Bytes(text, bytesMax)).toBe(Buffer.byteLength(text) > bytesMax);
      }),
    );
  });
});

describe('entityIdOf', () => {
  it('keeps every well-formed string up to 1024 bytes', () => {
    const legal = [
      'a',
      ':',
      '{}',
      ' ',
      '😀',
      'urn:isbn:0-486',
      'x'.repeat(ID_BYTES_MAX),
      '中'.repeat(341),
      '\0',
      '%',
      '__proto__',
    ];
    for (const id of legal) expect(entityIdOf(id, 'account')).toBe(id);
  });

  it.each([
    [7, '7'],
    [-0, '0'],
    [0.1, '0.1'],
    [1e21, '1000000000000000000000'],
    [1.5e-7, '0.00000015'],
    [-2e-30, '-0.000000000000000000000000000002'],
    [2n ** 70n, '1180591620717411303424'],
  ])('writes %s as the decimal %s', (value, text) => {
    expect(entityIdOf(value, 'account')).toBe(text);
  });

  it('gives different numbers different ids', () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(finite, (value) => {
        const id = entityIdOf(value, 'account');
        expect(id).toMatch(/^-?\d+(\.\d+)?$/);
        expect(Number(id)).toBe(value === 0 ? 0 : value);
      }),
    );
  });

  it('refuses what is no id, saying what it got', () => {
    refused('', /is empty/);
    refused('x'.repeat(ID_BYTES_MAX + 1), /is too long/);
    refused('中'.repeat(342), /is too long/);
    refused('a\ud800', /lone surrogate/);
    refused(undefined, /is missing/);
    refused(null, /is null/);
    refused({}, /is a object/);
    refused(true, /is a boolean/);
    refused(Number.NaN, /is NaN/);
    refused(Number.NEGATIVE_INFINITY, /is -Infinity/);
    refused(10n ** 1024n, /is too long/);
  });
});

describe('messageIdOf', () => {
  it('takes a well-formed string and nothing else', () => {
    expect(messageIdOf('order-7/deposit')).toBe('order-7/deposit');
    for (const id of ['', 'x'.repeat(ID_BYTES_MAX + 1), '\udc00', 7, undefined, null, {}]) {
      expect(() => messageIdOf(id)).toThrow(expect.objectContaining({ code: 'INVALID_ENTITY_ID' }));
    }
  });
});

describe('digestOf', () => {
  it('is 16 hex digits and the same for the same input', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, payload) => {
        expect(digestOf(name, payload)).toMatch(/^[0-9a-f]{16}$/);
        expect(digestOf(name, payload)).toBe(digestOf(name, payload));
      }),
    );
  });

  it('tells near texts and moved boundaries apart', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 20_000; i++) seen.add(digestOf('Deposit', `{"accountId":"a-${i % 200}","amount":${i}}`));
    for (let i = 0; i < 9; i++) seen.add(digestOf('abcdefghi'.slice(0, i), 'abcdefghi'.slice(i)));
    expect(seen.size).toBe(20_009);
  });
});
