import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EntityType, QueueBus, QueueEntityId, Schema, StandardSchema } from '../../src/index.js';
import { errorOf, startBus } from './app.js';

@EntityType('account')
class Put {
  constructor(
    @QueueEntityId() readonly accountId: unknown,
    readonly value: unknown = null,
  ) {}
}

/** Known by its decorator, but nobody handles it. */
@EntityType('account')
class Unhandled {
  @QueueEntityId() readonly accountId = 'a';
}

@EntityType('nobody')
class OfUnknownType {
  @QueueEntityId() readonly id = 'a';
}

class NoEntityMessage {
  readonly accountId = 'a';
}

@EntityType('checked')
@Schema(z.object({ id: z.string(), items: z.array(z.object({ price: z.number() })) }))
class Checked {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly items: unknown,
  ) {}
}

const slowSchema: StandardSchema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: async (value) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const { mode } = value as { mode: string };
      if (mode === 'throw') throw new Error('schema bug');
      return mode === 'bad' ? { issues: [{ message: 'no', path: ['mode', { key: 0 }, 'a b'] }] } : {};
    },
  },
};

@EntityType('checked')
@Schema(slowSchema)
class SlowlyChecked {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly mode: string,
  ) {}
}

let runs = 0;

@CommandHandler(Put)
class PutHandler implements ICommandHandler<Put> {
  async execute(put: Put): Promise<unknown> {
    runs++;
    return put.value;
  }
}

@CommandHandler(Checked)
class CheckedHandler implements ICommandHandler<Checked> {
  async execute(): Promise<void> {
    runs++;
  }
}

@CommandHandler(SlowlyChecked)
class SlowlyCheckedHandler implements ICommandHandler<SlowlyChecked> {
  async execute(): Promise<string> {
    runs++;
    return 'ok';
  }
}

let bus: QueueBus;
beforeEach(async () => {
  runs = 0;
  const providers = [PutHandler, CheckedHandler, SlowlyCheckedHandler];
  bus = await startBus({ providers, config: { maxPayloadBytes: 1000 } });
});

/** Nothing was logged: the next message of that entity is its first. */
async function expectNothingLogged(entityId = 'a'): Promise<void> {
  expect(runs).toBe(0);
  expect((await bus.enqueue(new Put(entityId))).sequence).toBe(1);
}

describe('entity ids', () => {
  test.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['empty', ''],
    ['an object', { id: 'a' }],
    ['a boolean', true],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a symbol', Symbol('a')],
    ['1025 bytes', 'x'.repeat(1025)],
    ['1026 bytes in 513 characters', 'é'.repeat(513)],
    ['a lone surrogate', '\ud800'],
  ])('%s', async (_, id) => {
    const error = await errorOf('INVALID_ENTITY_ID', bus.enqueue(new Put(id)));
    expect(error.definite).toBe(true);
    expect(error.message).toContain('accountId');
    await errorOf('INVALID_ENTITY_ID', bus.enqueueAndWait(new Put(id)));
    await errorOf('INVALID_ENTITY_ID', bus.enqueue('account', 'Put', id as string, {}));
    await expectNothingLogged();
  });

  test('a getter that throws spoils its own message, and no other of a bulk', async () => {
    const thrown = new TypeError('not loaded yet');
    const lazy = Object.defineProperty(new Put('x'), 'accountId', {
      get: () => {
        throw thrown;
      },
    });
    const outcomes = await bus.enqueueBulk([new Put('a'), lazy, new Put('b')]);
    expect(outcomes).toMatchObject([
      { ok: true },
      { ok: false, error: { code: 'INVALID_ENTITY_ID', definite: true } },
      { ok: true },
    ]);
    const error = await errorOf('INVALID_ENTITY_ID', bus.enqueue(lazy));
    expect(error.message).toContain('Put (property "accountId") cannot be read: not loaded yet');
    expect(error.cause).toBe(thrown);
  });
});

describe('payloads', () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  test.each<[string, unknown]>([
    ['BigInt', 1n],
    ['NaN', { deep: [Number.NaN] }],
    ['Infinity', Number.NEGATIVE_INFINITY],
    ['Map', new Map()],
    ['Set', new Set()],
    ['function', () => 1],
    ['symbol', Symbol('s')],
    ['cycle', cycle],
    ['own __proto__', JSON.parse('{"__proto__":1}')],
  ])('%s', async (_, value) => {
    const error = await errorOf('SCHEMA_VIOLATION', bus.enqueue(new Put('a', value)));
    expect(error.definite).toBe(true);
    expect(error.details.path).toMatch(/^\$\.value/);
    await errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait('account', 'Put', 'a', { value }));
    await expectNothingLogged();
  });

  test('by name: only objects', async () => {
    for (const payload of [undefined, null, 5, 'text', [1]]) {
      await errorOf('SCHEMA_VIOLATION', bus.enqueue('account', 'Put', 'a', payload as object));
    }
    await expectNothingLogged();
  });

  test('too large, alone or with headers', async () => {
    await errorOf('PAYLOAD_TOO_LARGE', bus.enqueue(new Put('a', 'x'.repeat(1000))));
    await errorOf('PAYLOAD_TOO_LARGE', bus.enqueue(new Put('a', 'é'.repeat(490))));
    await errorOf('PAYLOAD_TOO_LARGE', bus.enqueue(new Put('a', 'x'.repeat(500)), { headers: { h: 'y'.repeat(500) } }));
    await expectNothingLogged();
    await bus.enqueue(new Put('a', 'x'.repeat(900)));
  });
});

describe('types and messages', () => {
  test('not known', async () => {
    const misspelt = await errorOf('UNKNOWN_MESSAGE', bus.enqueue('account', 'putt', 'a', {}));
    expect(misspelt.details.nearest).toBe('Put');
    expect(misspelt.message).toContain('did you mean "Put"');
    expect((await errorOf('UNKNOWN_ENTITY_TYPE', bus.enqueue('acount', 'Put', 'a', {}))).details.nearest).toBe('account');
    await errorOf('UNKNOWN_MESSAGE', bus.enqueue(new Unhandled()));
    await errorOf('UNKNOWN_ENTITY_TYPE', bus.enqueue(new OfUnknownType()));
    expect((await errorOf('UNKNOWN_ENTITY_TYPE', bus.enqueue(new NoEntityMessage()))).message).toContain('@EntityType');
    await errorOf('UNKNOWN_ENTITY_TYPE', bus.enqueue({ accountId: 'a' }));
    await errorOf('UNKNOWN_ENTITY_TYPE', bus.enqueue(Object.create(null)));
    await errorOf('UNKNOWN_MESSAGE', bus.enqueue('account', undefined as unknown as string, 'a', {}));
    for (const none of [undefined, null, 5, () => 1]) await errorOf('CONFIG_INVALID', bus.enqueue(none as unknown as object));
    await expectNothingLogged();
  });

  test('another class of the same name does not pass for the one that is handled', async () => {
    const { Put: Other } = {
      Put: (() => {
        @EntityType('account')
        class Put {
          @QueueEntityId() readonly accountId = 'a';
        }
        return Put;
      })(),
    };
    expect((await errorOf('UNKNOWN_MESSAGE', bus.enqueue(new Other()))).message).toContain('another class named Put');
    await expectNothingLogged();
  });
});

describe('schemas', () => {
  test('are checked before anything is logged, and name the field', async () => {
    const error = await errorOf('SCHEMA_VIOLATION', bus.enqueue(new Checked('a', [{ price: 1 }, { price: 'two' }])));
    expect(error.definite).toBe(true);
    expect(error.details.path).toBe('$.items[1].price');
    await errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait('checked', 'Checked', 'a', { items: [] }));
    expect((await bus.enqueue(new Checked('a', []))).sequence).toBe(1);
  });

  test('see what the handler will see: the JSON form', async () => {
    await bus.enqueue(new Checked('a', [{ price: { toJSON: () => 5 } }]));
  });

  test('may be asynchronous, and may throw', async () => {
    expect(await bus.enqueueAndWait(new SlowlyChecked('a', 'good'))).toBe('ok');
    const error = await errorOf('SCHEMA_VIOLATION', bus.enqueue(new SlowlyChecked('a', 'bad')));
    expect(error.details.path).toBe('$.mode[0]["a b"]');
    expect((await errorOf('SCHEMA_VIOLATION', bus.enqueue(new SlowlyChecked('a', 'throw')))).message).toContain('schema bug');
    const outcomes = await bus.enqueueBulk([new SlowlyChecked('a', 'bad'), new SlowlyChecked('a', 'good')]);
    expect(outcomes.map(({ ok }) => ok)).toEqual([false, true]);
  });
});

test('options are checked, and named', async () => {
  const wrong: [object, string][] = [
    [{ timeout: 5 }, 'timeout'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ timeoutMs: Number.NaN }, 'timeoutMs'],
    [{ timeoutMs: '5' }, 'timeoutMs'],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, 'timeoutMs'],
    [{ signal: {} }, 'signal'],
    [{ onTimeout: 'drop' }, 'onTimeout'],
    [{ headers: { a: 1 } }, '"a"'],
    [{ headers: ['a'] }, 'headers'],
    [{ headers: null }, 'headers'],
  ];
  for (const [options, named] of wrong) {
    expect((await errorOf('CONFIG_INVALID', bus.enqueueAndWait(new Put('a'), options))).message).toContain(named);
  }
  await errorOf('CONFIG_INVALID', bus.enqueue(new Put('a'), { timeoutMs: 5 } as object));
  await errorOf('CONFIG_INVALID', bus.enqueue(new Put('a'), 'id' as unknown as object));
  for (const id of ['', 5, '\udc00', 'x'.repeat(1025), null]) {
    await errorOf('INVALID_ENTITY_ID', bus.enqueue(new Put('a'), { id: id as string }));
  }
  await expectNothingLogged();
});
