import { CommandHandler, ICommandHandler, IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EntityContext, EntityType, QueueBus, QueueEntityId, Reply, Schema } from '../../src/index.js';
import { errorOf, startBus } from './app.js';

const balances = new Map<string, number>();
const seen: unknown[] = [];
const gate: { wait: Promise<void> | undefined } = { wait: undefined };

@EntityType('account')
@Schema(z.object({ accountId: z.string().optional(), amount: z.number().positive(), at: z.iso.datetime().optional() }))
class Deposit implements Reply<number> {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
    readonly at?: Date,
  ) {}

  doubled(): number {
    return this.amount * 2;
  }
}

@EntityType('account')
class GetBalance implements Reply<number> {
  constructor(@QueueEntityId() readonly accountId: string | number | bigint) {}
}

@EntityType('audit')
class Note {
  @QueueEntityId() readonly book: string;
  constructor(
    book: string,
    readonly text: string,
  ) {
    this.book = book;
  }
}

@CommandHandler(Deposit)
class DepositHandler implements ICommandHandler<Deposit> {
  async execute(deposit: Deposit): Promise<number> {
    await gate.wait;
    const before = balances.get(deposit.accountId) ?? 0;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 2));
    balances.set(deposit.accountId, before + deposit.amount);
    const { headers, messageId, entityId, sequence } = EntityContext.current();
    seen.push({ deposit, doubled: deposit.doubled(), headers, messageId, entityId, sequence });
    return before + deposit.amount;
  }
}

@QueryHandler(GetBalance)
class GetBalanceHandler implements IQueryHandler<GetBalance> {
  async execute({ accountId }: GetBalance): Promise<number | undefined> {
    seen.push({ query: accountId });
    return balances.get(String(accountId));
  }
}

@CommandHandler(Note)
class NoteHandler implements ICommandHandler<Note> {
  async execute(note: Note): Promise<void> {
    seen.push({ note: note.text });
  }
}

const providers = [DepositHandler, GetBalanceHandler, NoteHandler];

let bus: QueueBus;
beforeEach(async () => {
  balances.clear();
  seen.length = 0;
  gate.wait = undefined;
  bus = await startBus({ providers });
});

describe('class messages', () => {
  test('the handler gets what JSON gives, on an object of the class, never the live object', async () => {
    const live = new Deposit('a', 5, new Date(0));
    expect(await bus.enqueueAndWait(live)).toBe(5);
    const [{ deposit, doubled }] = seen as [{ deposit: Deposit; doubled: number }];
    expect(deposit).toBeInstanceOf(Deposit);
    expect(deposit).not.toBe(live);
    expect(doubled).toBe(10);
    expect({ ...deposit }).toEqual({ accountId: 'a', amount: 5, at: '1970-01-01T00:00:00.000Z' });
  });

  test('a query is sequenced behind the commands before it', async () => {
    const receipts = [bus.enqueue(new Deposit('a', 1)), bus.enqueue(new Deposit('a', 2)), bus.enqueue(new Deposit('a', 3))];
    expect(await bus.enqueueAndWait(new GetBalance('a'))).toBe(6);
    expect((await Promise.all(receipts)).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  test('one at a time and in order from many callers (200 messages, mixed with bulk)', async () => {
    const singles = Array.from({ length: 100 }, () => bus.enqueueAndWait(new Deposit('hot', 1)));
    const bulk = bus.enqueueBulk(Array.from({ length: 100 }, () => new Deposit('hot', 1)));
    const results = await Promise.all(singles);
    expect((await bulk).every(({ ok }) => ok)).toBe(true);
    expect(await bus.enqueueAndWait(new GetBalance('hot'))).toBe(200);
    expect(results).toEqual(results.toSorted((a, b) => (a as number) - (b as number)));
    const sequences = (seen as { sequence?: number }[]).flatMap(({ sequence }) => sequence ?? []);
    expect(sequences).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });

  test('a result of undefined arrives as undefined', async () => {
    expect(await bus.enqueueAndWait(new Note('b', 'x'))).toBeUndefined();
    expect(await bus.enqueueAndWait(new GetBalance('nobody'))).toBeUndefined();
  });

  test('numbers and bigints are ids by their decimal string', async () => {
    await bus.enqueue(new Deposit('12345678901234567890', 7));
    expect(await bus.enqueueAndWait(new GetBalance(12345678901234567890n))).toBe(7);
    await bus.enqueue(new Deposit('42', 8));
    expect(await bus.enqueueAndWait(new GetBalance(42))).toBe(8);
    expect(seen).toContainEqual({ query: '12345678901234567890' });
    expect(seen).toContainEqual({ query: 42 });
  });

  test.each(['a:b:c', '{tag}', 'with space', '😀', 'urn:x:y%00', 'line\nbreak', '%', 'é'.repeat(512)])(
    '%j is a legal id',
    async (id) => {
      expect(await bus.enqueueAndWait(new Deposit(id, 3))).toBe(3);
      expect((seen as { entityId: string }[])[0]?.entityId).toBe(id);
      expect(await bus.enqueueAndWait(new GetBalance(id))).toBe(3);
    },
  );
});

describe('options', () => {
  test('id is the idempotency key: the same receipt, one run, another payload is an error', async () => {
    const first = await bus.enqueue(new Deposit('a', 5), { id: 'd1' });
    expect(await bus.enqueue(new Deposit('a', 5), { id: 'd1' })).toMatchObject({
      id: first.id,
      sequence: first.sequence,
      duplicate: true,
    });
    expect(await bus.enqueueAndWait(new Deposit('a', 5), { id: 'd1' })).toBe(5);
    await expect(bus.enqueue(new Deposit('a', 6), { id: 'd1' })).rejects.toThrow('d1');
    expect(await bus.enqueueAndWait(new GetBalance('a'))).toBe(5);
  });

  test('headers travel to the context', async () => {
    await bus.enqueueAndWait(new Deposit('a', 5), { id: 'm', headers: { traceparent: '00-ab' } });
    expect(seen).toMatchObject([{ headers: { traceparent: '00-ab' }, messageId: 'm', entityId: 'a' }]);
  });

  test('timeoutMs ends the wait, not the message; withdraw takes it back', async () => {
    let release = (): void => {};
    gate.wait = new Promise((resolve) => {
      release = resolve;
    });
    const kept = await errorOf('REPLY_TIMEOUT', bus.enqueueAndWait(new Deposit('a', 1), { timeoutMs: 30 }));
    expect(kept.definite).toBe(false);
    const withdrawn = await errorOf(
      'REPLY_TIMEOUT',
      bus.enqueueAndWait(new Deposit('a', 2), { timeoutMs: 30, onTimeout: 'withdraw' }),
    );
    expect(withdrawn.definite).toBe(true);
    release();
    expect(await bus.enqueueAndWait(new GetBalance('a'))).toBe(1);
  });

  test('signal ends the wait', async () => {
    gate.wait = new Promise((resolve) => setTimeout(resolve, 100));
    const controller = new AbortController();
    const waiting = bus.enqueueAndWait(new Deposit('a', 1), { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(waiting).rejects.toMatchObject({ name: 'AtomicQueuesError', definite: false });
  });

  test("the type's replyTimeout is the default", async () => {
    gate.wait = new Promise((resolve) => setTimeout(resolve, 400));
    const hasty = await startBus({ providers, config: { entities: { account: { replyTimeout: 50 } } } });
    const startMs = performance.now();
    await errorOf('REPLY_TIMEOUT', hasty.enqueueAndWait(new Deposit('a', 1)));
    expect(performance.now() - startMs).toBeLessThan(350);
  });
});

describe('by name', () => {
  test('enqueue and enqueueAndWait; a left out id property is filled in for the handler', async () => {
    await bus.enqueue('account', 'Deposit', 'a', { amount: 2 });
    expect(await bus.enqueueAndWait('account', 'Deposit', 'a', { amount: 3 })).toBe(5);
    const [{ deposit }] = seen as [{ deposit: Deposit }];
    expect(deposit).toBeInstanceOf(Deposit);
    expect(deposit.accountId).toBe('a');
  });

  test('a payload that names another entity is refused', async () => {
    const error = await errorOf('INVALID_ENTITY_ID', bus.enqueue('account', 'Deposit', 'a', { accountId: 'b', amount: 2 }));
    expect(error.message).toContain('"b"');
    expect(seen).toEqual([]);
  });
});

describe('forEntity', () => {
  test('a type', async () => {
    const accounts = bus.forEntity('account');
    await accounts.enqueue(new Deposit('a', 1));
    await accounts.enqueue('Deposit', 'a', { amount: 2 });
    expect(await accounts.enqueueAndWait('Deposit', 'a', { amount: 3 })).toBe(6);
    expect(await accounts.enqueueAndWait(new GetBalance('a'))).toBe(6);
    const outcomes = await accounts.enqueueBulk([
      new Deposit('a', 4),
      { name: 'Deposit', entityId: 'a', payload: { amount: 5 } },
      new Note('a', 'x'),
      { type: 'audit', name: 'Note', entityId: 'a', payload: { text: 'x' } },
    ]);
    expect(outcomes.map((o) => (o.ok ? 'ok' : o.error.code))).toEqual(['ok', 'ok', 'CONFIG_INVALID', 'CONFIG_INVALID']);
    await errorOf('CONFIG_INVALID', accounts.enqueue(new Note('a', 'x')));
    expect(await accounts.enqueueAndWait(new GetBalance('a'))).toBe(15);
    expect(seen.some((entry) => 'note' in (entry as object))).toBe(false);
  });

  test('an entity', async () => {
    const account = bus.forEntity('account', 7);
    await account.enqueue(new Deposit('7', 1));
    await account.enqueue('Deposit', { amount: 2 });
    expect(await account.enqueueAndWait('Deposit', { amount: 3 })).toBe(6);
    expect(await account.enqueueAndWait(new GetBalance('7'))).toBe(6);
    const outcomes = await account.enqueueBulk([{ name: 'Deposit', payload: { amount: 4 } }, new Deposit('8', 1)]);
    expect(outcomes.map((o) => (o.ok ? 'ok' : o.error.code))).toEqual(['ok', 'INVALID_ENTITY_ID']);
    await errorOf('INVALID_ENTITY_ID', account.enqueueAndWait(new Deposit('8', 1)));
    await errorOf('CONFIG_INVALID', account.enqueue(new Note('7', 'x')));
    expect(balances.has('8')).toBe(false);
  });

  test('what is no type or no id is refused at once', async () => {
    await errorOf('CONFIG_INVALID', () => bus.forEntity('a b'));
    await errorOf('INVALID_ENTITY_ID', () => bus.forEntity('account', undefined as unknown as string));
    await errorOf('INVALID_ENTITY_ID', () => bus.forEntity('account', ''));
  });
});

describe('enqueueBulk', () => {
  test('has an outcome for each item, in order, and sends the good ones', async () => {
    const outcomes = await bus.enqueueBulk([
      new Deposit('a', 1),
      new Deposit('', 1),
      { message: new Deposit('a', 2), id: 'x', headers: { h: '1' } },
      { type: 'account', name: 'Deposit', entityId: 'a', payload: { amount: 3 } },
      { type: 'account', name: 'Deposit', entityId: 'a', payload: { amount: -3 } },
      { typo: 1 } as object,
      new Note('n', 'hello'),
    ]);
    expect(outcomes.map((o) => (o.ok ? o.receipt.sequence : o.error.code))).toEqual([
      1,
      'INVALID_ENTITY_ID',
      2,
      3,
      'SCHEMA_VIOLATION',
      'CONFIG_INVALID',
      1,
    ]);
    expect(await bus.enqueueAndWait(new GetBalance('a'))).toBe(6);
    expect(await bus.enqueueBulk([])).toEqual([]);
    await errorOf('CONFIG_INVALID', bus.enqueueBulk(new Deposit('a', 1) as never));
  });
});

test('introspect tells what can be sent', () => {
  const contracts = bus.introspect();
  expect(contracts.entityTypes()).toEqual(['account', 'audit']);
  expect(contracts.hasEntity('account')).toBe(true);
  expect(contracts.hasEntity('order')).toBe(false);
  expect(contracts.messagesFor('account')).toEqual(['Deposit', 'GetBalance']);
  expect(contracts.messagesFor('order')).toEqual([]);
  expect(contracts.accepts('account', 'Deposit')).toBe(true);
  expect(contracts.accepts('audit', 'Deposit')).toBe(false);
  expect(contracts.schemaFor('account', 'Deposit')).toMatchObject({ type: 'object', required: ['amount'] });
  expect(contracts.schemaFor('account', 'GetBalance')).toBeUndefined();
  expect(contracts.replySchemaFor('account', 'Deposit')).toBeUndefined();
  expect(String(contracts)).toBe('account: Deposit, GetBalance\naudit: Note');
});
