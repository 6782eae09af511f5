import type { INestApplicationContext } from '@nestjs/common';
import { Command, Query } from '@nestjs/cqrs';
import { describe, expectTypeOf, test } from 'vitest';
import type {
  AtomicQueuesConfig,
  AtomicQueuesConfigFactory,
  EnqueueOutcome,
  IEntityConfig,
  IGrpcConfig,
  IRedisConfig,
  IRetryPolicy,
  IWalConfig,
  Receipt,
  Reply,
  ReplyOf,
  reply,
} from '../../src/index.js';
import { AtomicQueuesModule, EntityType, QueueBus, QueueEntity, QueueEntityId } from '../../src/index.js';

interface Balance {
  readonly balance: number;
}

/** The brand by declaration merging. */
@EntityType('account')
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the merged member is optional and no object has it
class Deposit {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
  ) {}
}
interface Deposit extends Reply<Balance> {}

class Declared implements Reply<string[]> {
  declare readonly [reply]?: string[];
  @QueueEntityId() readonly id = 'a';
}

@QueueEntity('account', 'id')
class Implemented implements Reply<Balance> {
  readonly id = 'a';
}

class OfCommand extends Command<Balance> {
  readonly id = 'a';
}

class OfQuery extends Query<'a' | 'b'> {
  readonly id = 'a';
}

class Plain {
  readonly id = 'a';
}

declare const bus: QueueBus;
declare const app: INestApplicationContext;

describe('class messages', () => {
  test('the reply is inferred from Reply<R>, Command<R> and Query<R>', () => {
    expectTypeOf(bus.enqueueAndWait(new Deposit('a', 1))).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(bus.enqueueAndWait(new Declared())).resolves.toEqualTypeOf<string[]>();
    expectTypeOf(bus.enqueueAndWait(new OfCommand())).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(bus.enqueueAndWait(new OfQuery(), { timeoutMs: 5 })).resolves.toEqualTypeOf<'a' | 'b'>();
    expectTypeOf<ReplyOf<Deposit>>().toEqualTypeOf<Balance>();
    expectTypeOf<ReplyOf<OfCommand>>().toEqualTypeOf<Balance>();
    expectTypeOf<ReplyOf<OfQuery>>().toEqualTypeOf<'a' | 'b'>();
  });

  test('without a brand it is unknown, or what the caller says', () => {
    expectTypeOf(bus.enqueueAndWait(new Plain())).resolves.toEqualTypeOf<unknown>();
    expectTypeOf(bus.enqueueAndWait(new Implemented())).resolves.toEqualTypeOf<unknown>();
    expectTypeOf(bus.enqueueAndWait<Balance>(new Implemented())).resolves.toEqualTypeOf<Balance>();
    const said: Promise<Balance> = bus.enqueueAndWait(new Implemented());
    expectTypeOf(said).resolves.toEqualTypeOf<Balance>();
    expectTypeOf<ReplyOf<Plain>>().toEqualTypeOf<unknown>();
  });

  test('a caller cannot say something else than the brand', () => {
    // @ts-expect-error the reply is a Balance
    const wrong: Promise<string> = bus.enqueueAndWait(new OfCommand());
    // @ts-expect-error the reply is a Balance
    const wrongToo: Promise<string> = bus.enqueueAndWait(new Deposit('a', 1));
    return [wrong, wrongToo];
  });

  test('enqueue resolves with a receipt, enqueueBulk with outcomes', () => {
    expectTypeOf(bus.enqueue(new Deposit('a', 1), { id: 'x', headers: { a: 'b' } })).resolves.toEqualTypeOf<Receipt>();
    expectTypeOf(bus.enqueueBulk([new Deposit('a', 1), new Plain()])).resolves.toEqualTypeOf<EnqueueOutcome[]>();
    expectTypeOf(bus.enqueueBulk([{ message: new Plain(), id: 'x' }])).resolves.toEqualTypeOf<EnqueueOutcome[]>();
    // @ts-expect-error headers are strings
    bus.enqueue(new Plain(), { headers: { a: 1 } });
    // @ts-expect-error enqueue does not wait
    bus.enqueue(new Plain(), { timeoutMs: 5 });
    // @ts-expect-error a text is no message
    bus.enqueue('Deposit');
    // @ts-expect-error not one of the two
    bus.enqueueAndWait(new Plain(), { onTimeout: 'drop' });
  });
});

interface DispatchMap {
  account: {
    DepositCommand: { payload: { amount: number }; reply: Balance };
    CloseCommand: { payload: { reason?: string }; reply: undefined };
  };
  order: { PlaceCommand: { payload: { items: string[] }; reply: { orderId: string } } };
}

declare const typed: QueueBus<DispatchMap>;

describe('by name', () => {
  test('without a map: any name, and a reply that the caller may name', () => {
    expectTypeOf(bus.enqueue('account', 'Deposit', 'a', { amount: 1 })).resolves.toEqualTypeOf<Receipt>();
    expectTypeOf(bus.enqueueAndWait('account', 'Deposit', 5n, { amount: 1 })).resolves.toEqualTypeOf<unknown>();
    expectTypeOf(bus.enqueueAndWait<Balance>('account', 'Deposit', 5, { amount: 1 })).resolves.toEqualTypeOf<Balance>();
    // @ts-expect-error a payload is an object
    bus.enqueue('account', 'Deposit', 'a', 5);
    // @ts-expect-error an id is a string, number or bigint
    bus.enqueue('account', 'Deposit', { id: 'a' }, {});
  });

  test('from app.get(QueueBus)', () => {
    const got = app.get(QueueBus);
    expectTypeOf(got.enqueueAndWait('account', 'Deposit', 5, { amount: 1 })).resolves.toEqualTypeOf<unknown>();
    expectTypeOf(got.enqueueAndWait<Balance>('account', 'Deposit', 5, { amount: 1 })).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(got.enqueue('account', 'Deposit', 5, { amount: 1 })).resolves.toEqualTypeOf<Receipt>();
    expectTypeOf(got.enqueueAndWait(new Deposit('a', 1))).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(got.forEntity('account', 1).enqueueAndWait('Deposit', {})).resolves.toEqualTypeOf<unknown>();
    expectTypeOf(
      app.get<QueueBus<DispatchMap>>(QueueBus).enqueueAndWait('account', 'DepositCommand', 'a', { amount: 1 }),
    ).resolves.toEqualTypeOf<Balance>();
  });

  test('with a map: types, names, payloads and replies', () => {
    expectTypeOf(typed.enqueueAndWait('account', 'DepositCommand', 'a', { amount: 1 })).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(typed.enqueueAndWait('account', 'CloseCommand', 'a', {})).resolves.toEqualTypeOf<undefined>();
    expectTypeOf(typed.enqueueAndWait('order', 'PlaceCommand', 1, { items: [] })).resolves.toEqualTypeOf<{ orderId: string }>();
    expectTypeOf(typed.enqueueAndWait(new Deposit('a', 1))).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(typed.enqueue('order', 'PlaceCommand', 'o', { items: ['x'] }, { id: 'x' })).resolves.toEqualTypeOf<Receipt>();
    // @ts-expect-error no such type
    typed.enqueue('acount', 'DepositCommand', 'a', { amount: 1 });
    // @ts-expect-error no such message of this type
    typed.enqueue('order', 'DepositCommand', 'a', { amount: 1 });
    // @ts-expect-error another payload
    typed.enqueueAndWait('account', 'DepositCommand', 'a', { amount: '1' });
    // @ts-expect-error a payload is missing
    typed.enqueueAndWait('account', 'DepositCommand', 'a');
  });

  test('bulk takes names too', () => {
    typed.enqueueBulk([{ type: 'account', name: 'DepositCommand', entityId: 'a', payload: { amount: 1 } }]);
    bus.enqueueBulk([{ type: 'any', name: 'Thing', entityId: 'a', payload: { amount: 1 } }]);
  });
});

describe('forEntity', () => {
  test('a type', () => {
    const accounts = typed.forEntity('account');
    expectTypeOf(accounts.enqueueAndWait('DepositCommand', 'a', { amount: 1 })).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(accounts.enqueueAndWait(new OfCommand())).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(accounts.enqueue('CloseCommand', 'a', {})).resolves.toEqualTypeOf<Receipt>();
    // @ts-expect-error a message of another type
    accounts.enqueue('PlaceCommand', 'a', { items: [] });
    // @ts-expect-error no such type
    typed.forEntity('acount');
  });

  test('an entity', () => {
    const account = typed.forEntity('account', 'a');
    expectTypeOf(account.enqueueAndWait('DepositCommand', { amount: 1 })).resolves.toEqualTypeOf<Balance>();
    expectTypeOf(account.enqueueAndWait(new OfQuery())).resolves.toEqualTypeOf<'a' | 'b'>();
    expectTypeOf(account.enqueue('CloseCommand', {})).resolves.toEqualTypeOf<Receipt>();
    // @ts-expect-error another payload
    account.enqueueAndWait('DepositCommand', { amount: true });
    expectTypeOf(bus.forEntity('any', 1).enqueueAndWait<number>('Thing', {})).resolves.toEqualTypeOf<number>();
    expectTypeOf(bus.forEntity('any').enqueueAndWait('Thing', 1, {})).resolves.toEqualTypeOf<unknown>();
  });
});

test('config parts have names, and the module takes them', () => {
  const redis: IRedisConfig = { host: 'localhost', port: 6379 };
  const retry: IRetryPolicy = { maxAttempts: 3 };
  const account: IEntityConfig = { onInterrupt: 'retry', retry };
  const wal: IWalConfig = { entryTTL: 5 };
  const grpc: IGrpcConfig = { enabled: false };
  const config: AtomicQueuesConfig = { redis, retry, wal, grpc, entities: { account } };
  AtomicQueuesModule.forRoot({ ...config, isGlobal: false });
  AtomicQueuesModule.forRootAsync({ inject: ['x'], useFactory: async (url: string) => ({ redis: { url } }) });
  class Factory implements AtomicQueuesConfigFactory {
    createAtomicQueuesConfig(): AtomicQueuesConfig {
      return config;
    }
  }
  AtomicQueuesModule.forRootAsync({ useClass: Factory, isGlobal: false });
  // @ts-expect-error no such field
  AtomicQueuesModule.forRoot({ storre: 'memory' });
  // @ts-expect-error not one of the two
  AtomicQueuesModule.forRoot({ store: 'disk' });
});
