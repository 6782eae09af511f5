import { runInNewContext } from 'node:vm';
import { ConflictException, HttpException, NotFoundException } from '@nestjs/common';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import {
  BASES,
  isHttpError,
  KIND,
  linesOf,
  linesOfThrown,
  type RecordedError,
  recordError,
  reviveError,
  withoutStacks,
} from '../../src/core/recorded-error.js';
import { TerminalError } from '../../src/core/terminal-error.js';

/** As it comes back from the log. */
const stored = (thrown: unknown): RecordedError => JSON.parse(JSON.stringify(recordError(thrown))) as RecordedError;

class DbError extends Error {
  override readonly name = 'DbError';
  readonly code = '23505';
  readonly table = 'accounts';
  readonly at = new Date(0);
  readonly rows = 3n;
  readonly driver = new (class Socket {
    readonly secret = 'no';
  })();
  get status(): number {
    return 503;
  }
}

describe('a recorded error', () => {
  it('keeps name, message, code, status, stack, plain own fields and the causes', () => {
    const cause = Object.assign(new TypeError('no connection', { cause: 'cable' }), { errno: -111, code: 'ECONNREFUSED' });
    const error = new DbError('duplicate key', { cause });
    const record = stored(error);
    expect(withoutStacks(record)).toEqual({
      ...{ name: 'DbError', message: 'duplicate key', code: '23505', status: 503 },
      ...{ table: 'accounts', at: '1970-01-01T00:00:00.000Z', rows: '3' },
      cause: {
        ...{ name: 'TypeError', message: 'no connection', code: 'ECONNREFUSED', errno: -111 },
        cause: { name: 'NonError', message: 'cable' },
      },
    });
    expect(record.stack).toContain('recorded-error.spec.ts');
    expect(record.cause?.stack).toMatch(/^TypeError: no connection\n\s+at /);
  });

  it('keeps the errors of an AggregateError, and errors among its fields', () => {
    const error = Object.assign(new AggregateError([new Error('one'), new RangeError('two')], 'both'), {
      driverError: new DbError('x'),
    });
    expect(stored(error)).toMatchObject({
      errors: [
        { name: 'Error', message: 'one' },
        { name: 'RangeError', message: 'two' },
      ],
      driverError: { name: 'DbError', table: 'accounts' },
    });
  });

  it('is that of an error of another realm, as a sandbox of Jest gets it from fs and fetch', () => {
    const thrown: unknown = runInNewContext(
      "Object.assign(new TypeError('outer', { cause: new RangeError('inner') }), { code: 'X' })",
    );
    expect(stored(thrown)).toMatchObject({
      ...{ name: 'TypeError', message: 'outer', code: 'X', stack: expect.stringMatching(/^TypeError: outer\n\s+at /) },
      cause: { name: 'RangeError', message: 'inner', stack: expect.any(String) },
    });
    expect(stored(new DOMException('gone', 'AbortError'))).toMatchObject({ name: 'AbortError', message: 'gone' });
    const brand = Symbol.for('atomic-queues:terminal-error');
    expect(TerminalError.is(Object.assign(thrown as Error, { [brand]: true }))).toBe(true);
    expect(stored({ one: thrown }).one).toMatchObject({ name: 'TypeError', message: 'outer' });
  });

  it('keeps both errors of a SuppressedError, which hides them from a list of its fields', () => {
    const error = new Error('both failed');
    const hidden = { enumerable: false, configurable: true, writable: true };
    Object.defineProperty(error, 'error', { value: new TypeError('of the end'), ...hidden });
    Object.defineProperty(error, 'suppressed', { value: new RangeError('of the block'), ...hidden });
    expect(stored(error)).toMatchObject({
      error: { name: 'TypeError', message: 'of the end' },
      suppressed: { name: 'RangeError', message: 'of the block' },
    });
  });

  it('of the library has no stack of its own, but those of its causes, which a user threw', () => {
    const error = new AtomicQueuesError('SCHEMA_VIOLATION', 'the schema threw', { cause: new TypeError('of the user') });
    const record = recordError(error, true);
    expect(record.stack).toBeUndefined();
    expect(record.cause?.stack).toContain('recorded-error.spec.ts');
  });

  it('keeps frames below a message that would fill the stack', () => {
    expect(stored(new Error('x'.repeat(100_000))).stack).toContain('recorded-error.spec.ts');
  });

  it('records what is no error', () => {
    expect(stored('text')).toEqual({ name: 'NonError', message: 'text' });
    expect(stored({ code: 7, why: 'no' })).toEqual({ name: 'NonError', message: '{"code":7,"why":"no"}', code: 7, why: 'no' });
    expect(stored(null)).toMatchObject({ name: 'NonError', message: 'null' });
    expect(stored(Symbol('s'))).toMatchObject({ name: 'NonError', message: 'Symbol(s)' });
  });

  it('survives cycles, getters that throw, and proxies', () => {
    const circular = new Error('round') as Error & Record<string, unknown>;
    circular.self = circular;
    circular.deep = { list: [circular] };
    circular.cause = circular;
    Object.defineProperty(circular, 'stack', {
      get: () => {
        throw new Error('no stack today');
      },
    });
    Object.defineProperty(circular, 'bad', {
      enumerable: true,
      get: () => {
        throw new Error('no');
      },
    });
    circular.json = {
      toJSON: () => {
        throw new Error('no');
      },
    };
    expect(stored(circular)).toEqual({
      ...{ name: 'Error', message: 'round', self: '[circular]', deep: { list: ['[circular]'] } },
      ...{ bad: '[unreadable]', json: '[unreadable]' },
    });
    const refuses = new Proxy(new Error('x'), {
      get: () => {
        throw new Error('no');
      },
      ownKeys: () => {
        throw new Error('no');
      },
    });
    expect(stored(refuses)).toMatchObject({ name: expect.any(String), message: expect.any(String) });
    expect(stored(Object.create(null))).toMatchObject({ name: 'NonError' });
  });

  it('is bounded, whatever is thrown', () => {
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`field${i}`, 'y'.repeat(1000)]));
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    let chain = new Error('z'.repeat(1_000_000));
    for (let i = 0; i < 7; i++) chain = Object.assign(new Error('z'.repeat(100_000), { cause: chain }), wide, { deep });
    const response = { list: Array.from({ length: 10_000 }, () => '\u0000'.repeat(100)) };
    for (const thrown of [chain, new HttpException(response, 400, { cause: chain }), wide, 'x'.repeat(1_000_000)])
      expect(JSON.stringify(recordError(thrown)).length).toBeLessThan(150_000);
  });

  const CHARS_MAX = 16_384;
  /** A mark of what is cut in each array around it. */
  const MARKS_CHARS = 100;

  /** Characters of JSON of the fields of the error and of its causes. */
  function fieldsCharsOf({ name: _, message: _m, stack: _s, cause, ...fields }: RecordedError): number {
    return JSON.stringify(fields).length + (cause === undefined ? 0 : fieldsCharsOf(cause));
  }

  const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));

  function around(): unknown[] {
    const row: unknown[] = [];
    row.push(...times(64, () => row));
    return row;
  }

  it.each([
    ['numbers', 100, () => ({ rows: times(64, () => times(64, (i) => -(i + 0.1) * 1e-200)) })],
    [
      'nulls and what is left out',
      100,
      () => ({ rows: times(64, () => times(64, (i) => times(64, () => (i % 2 ? null : undefined)))) }),
    ],
    ['flags', 100, () => ({ rows: times(64, () => times(64, (i) => i % 2 === 0)) })],
    ['characters that take six', 2000, () => ({ rows: times(64, () => '\u0000'.repeat(2000)) })],
    ['names that take six', 2000, () => Object.fromEntries(times(64, (i) => [`${'\u0000'.repeat(250)}${i}`, 'x'.repeat(10)]))],
    ['errors with long messages', 100, () => ({ errors: times(64, () => new Error('m'.repeat(5000))) })],
    ['empty objects', 100, () => ({ rows: times(64, () => times(64, () => times(64, () => ({})))) })],
    ['what is circular', 100, () => ({ rows: times(64, around) })],
  ])('has fields of so many characters, and not of many less: %s', (_, partChars, make) => {
    const chars = fieldsCharsOf(stored(Object.assign(new Error('x'), make())));
    expect(chars).toBeLessThanOrEqual(CHARS_MAX + MARKS_CHARS);
    expect(chars).toBeGreaterThan(CHARS_MAX - partChars);
  });

  it('has no more for causes that would be sent to a client', () => {
    const response = 'r'.repeat(16_000);
    const cause = new HttpException(response, 400, { cause: new HttpException(response, 400) });
    const record = stored(new HttpException(response, 400, { cause }));
    expect(record.response).toBe(response);
    expect(fieldsCharsOf(record)).toBeLessThanOrEqual(CHARS_MAX + MARKS_CHARS);
  });

  it('keeps the first items of a long list, with one mark for all others', () => {
    const { ids } = stored(Object.assign(new Error('x'), { ids: Array.from({ length: 1000 }, (_, i) => i) })) as {
      ids?: unknown;
    };
    expect(ids).toEqual([...Array(64).keys(), '[cut]']);
  });

  it('of any thrown value is JSON that comes back as an error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.anything().map((fields) => Object.assign(new Error('e'), fields)),
        ),
        (thrown) => {
          const record = stored(thrown);
          expect(recordError(thrown)).toBeDefined();
          expect(reviveError(record)).toBeInstanceOf(Error);
          expect(typeof linesOf(record)).toBe('string');
        },
      ),
    );
  });
});

describe('an error that comes back', () => {
  it('tells all that was recorded, with the stack of where it was thrown', () => {
    const thrown = new DbError('duplicate key', { cause: new TypeError('inner') });
    const error = reviveError(stored(thrown)) as DbError;
    expect(error).toMatchObject({ name: 'DbError', message: 'duplicate key', code: '23505', status: 503, table: 'accounts' });
    expect(error.stack).toBe(thrown.stack);
    expect(error.cause).toMatchObject({ name: 'TypeError', message: 'inner' });
    expect(Object.keys(error)).not.toContain('stack');
  });

  it('of a TerminalError is one', () => {
    const thrown = new TerminalError('too little', {
      code: 'FUNDS',
      status: 409,
      details: { short: 5 },
      cause: new Error('why'),
    });
    const error = reviveError(stored(thrown));
    expect(TerminalError.is(error)).toBe(true);
    expect(error).toMatchObject({ name: 'TerminalError', code: 'FUNDS', status: 409, details: { short: 5 } });
    expect(error.cause).toMatchObject({ message: 'why' });
  });

  it("of an application's own HttpException keeps the classes between, and shows them to nobody", () => {
    class Missing extends NotFoundException {}
    class AccountMissing extends Missing {}
    const record = stored(new AccountMissing('no such account'));
    expect(record[BASES]).toEqual(['Missing', 'NotFoundException']);
    expect(BASES in stored(new NotFoundException())).toBe(false);
    expect(JSON.stringify([withoutStacks(record), { ...reviveError(record) }, linesOf(record)])).not.toContain(BASES);
  });

  it('of http-errors has its status, though that stands on the prototype', () => {
    class LockedError extends Error {}
    Object.assign(LockedError.prototype, { status: 423, statusCode: 423, expose: true });
    expect(isHttpError(reviveError(stored(new LockedError('busy'))))).toBe(true);
    expect(isHttpError(Object.assign(new Error('of a client'), { status: 404, statusCode: 404 }))).toBe(false);
    expect(isHttpError(Object.assign(new Error('no number'), { status: '404', statusCode: '404', expose: true }))).toBe(false);
  });

  it('says what it was, where its code is one of ours', () => {
    expect(stored(new AtomicQueuesError('REPLY_TIMEOUT', 'late'))[KIND]).toBe('handler');
    expect(stored(new ConflictException('taken'))).toMatchObject({
      ...{ [KIND]: 'http', status: 409, name: 'ConflictException' },
      response: { message: 'taken', error: 'Conflict', statusCode: 409 },
    });
  });

  it('has lines for people, whatever was thrown', () => {
    expect(linesOfThrown(Object.create(null))).toBe('NonError: {}');
    expect(linesOfThrown({ code: 7 })).toBe('NonError: {"code":7}\n    {"code":7}');
    expect(linesOfThrown(new Error('outer', { cause: new TypeError('inner') }))).toMatch(
      /^Error: outer\n\s+at [\s\S]*\ncaused by TypeError: inner\n\s+at /,
    );
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(linesOfThrown(proxy)).toMatch(/^NonError: /);
    expect(TerminalError.is(proxy)).toBe(false);
  });

  it('has lines for people: stack, fields, causes', () => {
    const lines = linesOf(stored(new DbError('duplicate', { cause: new TypeError('inner') })));
    expect(lines).toMatch(/^DbError: duplicate\n\s+at [\s\S]*"table":"accounts"[\s\S]*\ncaused by TypeError: inner\n\s+at /);
  });
});
