import { Inject, Injectable, Module } from '@nestjs/common';
import { CommandBus, CommandHandler, CqrsModule, ICommandHandler, IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Test } from '@nestjs/testing';
import { beforeEach, describe, expect, test } from 'vitest';
import { AtomicQueuesConfig, AtomicQueuesModule, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { errorOf, LineLogger, startApp, startBus } from './app.js';

@EntityType('account')
class Add {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly amount: number = 1,
  ) {}
}

let runs = 0;
beforeEach(() => {
  runs = 0;
});

@CommandHandler(Add)
class AddHandler implements ICommandHandler<Add> {
  async execute({ amount }: Add): Promise<number> {
    runs++;
    return amount + 1;
  }
}

@Injectable()
class Sender {
  constructor(
    readonly bus: QueueBus,
    readonly commands: CommandBus,
  ) {}
}

@Module({ providers: [Sender, AddHandler], exports: [Sender] })
class Feature {}

const MEMORY: AtomicQueuesConfig = { store: 'memory' };

describe('forRoot', () => {
  test('is global, and brings the buses of @nestjs/cqrs', async () => {
    const app = await startApp({ imports: [Feature] });
    const sender = app.get(Sender, { strict: false });
    expect(await sender.bus.enqueueAndWait(new Add('a', 1))).toBe(2);
    expect(await sender.commands.execute(new Add('a', 2))).toBe(3);
    expect(sender.bus).toBe(app.get(QueueBus));
  });

  test.each([
    ['before', (queues: object) => [CqrsModule.forRoot(), queues]],
    ['after', (queues: object) => [queues, CqrsModule.forRoot()]],
    ['a plain CqrsModule', (queues: object) => [CqrsModule, queues]],
  ])("works beside the user's own CqrsModule (%s)", async (_, order) => {
    const queues = order(AtomicQueuesModule.forRoot(MEMORY)) as never;
    const app = await startApp({ queues, imports: [Feature] });
    const sender = app.get(Sender, { strict: false });
    expect(await sender.bus.enqueueAndWait(new Add('a', 1))).toBe(2);
    // Whichever of the buses the user was given: it is guarded.
    const buses = new Set([sender.commands, app.get(CommandBus), ...app.get(CommandBus, { strict: false, each: true })]);
    for (const bus of buses) expect(await bus.execute(new Add('a', 2))).toBe(3);
    expect(runs).toBe(1 + buses.size);
    expect((await sender.bus.enqueue(new Add('a'))).sequence).toBe(2 + buses.size);
  });

  test('isGlobal: false keeps it to those who import it', async () => {
    const queues = AtomicQueuesModule.forRoot({ ...MEMORY, isGlobal: false });
    await expect(startApp({ queues: [queues], imports: [Feature] })).rejects.toThrow("can't resolve dependencies");
    @Module({ imports: [queues], providers: [Sender, AddHandler] })
    class Importing {}
    const app = await startApp({ queues: [queues], imports: [Importing] });
    expect(await app.get(Sender, { strict: false }).bus.enqueueAndWait(new Add('a', 1))).toBe(2);
  });

  test('takes what is no object for what it is', async () => {
    for (const config of [null, 'redis', 5]) await errorOf('CONFIG_INVALID', () => AtomicQueuesModule.forRoot(config as never));
    for (const options of [null, undefined])
      await errorOf('CONFIG_INVALID', () => AtomicQueuesModule.forRootAsync(options as never));
  });

  test('refuses a wrong config with every fault in one message', async () => {
    const config = { storre: 'memory', keyPrefix: 5, redis: undefined, entities: { account: { onInterrupt: 'retry' } } };
    const error = await errorOf('CONFIG_INVALID', startApp({ queues: [AtomicQueuesModule.forRoot(config as never)] }));
    for (const path of ['storre', 'keyPrefix', 'redis', 'entities.account.onInterrupt']) expect(error.message).toContain(path);
  });
});

describe('forRootAsync', () => {
  const PREFIX = Symbol('prefix');

  @Module({ providers: [{ provide: PREFIX, useValue: 'mine' }], exports: [PREFIX] })
  class Settings {}

  @Injectable()
  class ConfigFactory {
    constructor(@Inject(PREFIX) readonly prefix: string) {}

    async createAtomicQueuesConfig(): Promise<AtomicQueuesConfig> {
      return { ...MEMORY, keyPrefix: this.prefix };
    }
  }

  @Module({ imports: [Settings], providers: [ConfigFactory], exports: [ConfigFactory] })
  class Factories {}

  test.each([
    [
      'useFactory',
      {
        imports: [Settings],
        inject: [PREFIX],
        useFactory: async (keyPrefix: string): Promise<AtomicQueuesConfig> => ({ ...MEMORY, keyPrefix }),
      },
    ],
    ['useClass', { imports: [Settings], useClass: ConfigFactory }],
    ['useExisting', { imports: [Factories], useExisting: ConfigFactory }],
  ])('%s', async (_, options) => {
    const app = await startApp({ queues: [AtomicQueuesModule.forRootAsync(options)], imports: [Feature] });
    expect(await app.get(Sender, { strict: false }).bus.enqueueAndWait(new Add('a', 1))).toBe(2);
  });

  test('isGlobal may be turned off', async () => {
    const queues = AtomicQueuesModule.forRootAsync({ isGlobal: false, useFactory: () => MEMORY });
    await expect(startApp({ queues: [queues], imports: [Feature] })).rejects.toThrow("can't resolve dependencies");
  });

  test('needs exactly one way, and a good config', async () => {
    await errorOf('CONFIG_INVALID', () => AtomicQueuesModule.forRootAsync({}));
    const two = { useFactory: () => MEMORY, useClass: ConfigFactory };
    expect((await errorOf('CONFIG_INVALID', () => AtomicQueuesModule.forRootAsync(two))).message).toContain(
      'useFactory and useClass',
    );
    const useFactory = () => ({ storre: 1 }) as never;
    const error = await errorOf('CONFIG_INVALID', startApp({ queues: [AtomicQueuesModule.forRootAsync({ useFactory })] }));
    expect(error.message).toContain('storre');
    await errorOf(
      'CONFIG_INVALID',
      startApp({ queues: [AtomicQueuesModule.forRootAsync({ useFactory: () => undefined as never })] }),
    );
  });
});

describe('one per application', () => {
  test('two are refused, wherever they are imported', async () => {
    @Module({ imports: [AtomicQueuesModule.forRoot(MEMORY)] })
    class Second {}
    const error = await errorOf('CONFIG_INVALID', startApp({ imports: [Second] }));
    expect(error.message).toContain('2 times');
    const bare = await errorOf('CONFIG_INVALID', startApp({ imports: [AtomicQueuesModule] }));
    expect(bare.message).toContain('2 times');
  });

  test('the bare class alone says what to import', async () => {
    const error = await errorOf('CONFIG_INVALID', startApp({ queues: [AtomicQueuesModule] }));
    expect(error.message).toContain('forRoot(config)');
  });

  test('two applications of one process are two', async () => {
    const [first, second] = [await startBus({ providers: [AddHandler] }), await startBus({ providers: [AddHandler] })];
    await first.enqueueAndWait(new Add('a'));
    expect((await first.enqueue(new Add('a'))).sequence).toBe(2);
    expect((await second.enqueue(new Add('a'))).sequence).toBe(1);
  });
});

test('a testing module may put another CommandBus in its place', async () => {
  const told: unknown[] = [];
  const fake = { register: () => {}, execute: async (message: unknown) => told.push(message) };
  const module = await Test.createTestingModule({ imports: [AtomicQueuesModule.forRoot(MEMORY)], providers: [AddHandler] })
    .overrideProvider(CommandBus)
    .useValue(fake)
    .compile();
  await module.init();
  expect(await module.get(QueueBus).enqueueAndWait(new Add('a'))).toBe(1);
  expect(told).toEqual([expect.any(Add)]);
  expect(runs).toBe(0);
  await module.close();
});

describe('handlers', () => {
  test('two for one message fail the start, and both are named', async () => {
    @CommandHandler(Add)
    class OtherAddHandler implements ICommandHandler<Add> {
      async execute(): Promise<void> {}
    }
    @Module({ providers: [OtherAddHandler] })
    class OtherModule {}
    const error = await errorOf('CONFIG_INVALID', startApp({ imports: [Feature, OtherModule] }));
    expect(error.message).toContain('AddHandler (module Feature)');
    expect(error.message).toContain('OtherAddHandler (module OtherModule)');
    @QueryHandler(Add)
    class AsQuery implements IQueryHandler<Add> {
      async execute(): Promise<void> {}
    }
    await errorOf('CONFIG_INVALID', startApp({ providers: [AddHandler, AsQuery] }));
  });

  test('the same handler class in two modules is two handlers', async () => {
    const error = await errorOf('CONFIG_INVALID', startApp({ imports: [Feature], providers: [AddHandler] }));
    expect(error.message).toContain('two handlers');
  });

  const sameName = (type: string) => {
    @EntityType(type)
    class Create {
      constructor(@QueueEntityId() readonly id: string) {}
    }
    @CommandHandler(Create)
    class CreateHandler implements ICommandHandler<Create> {
      async execute(): Promise<string> {
        return type;
      }
    }
    return { Create, CreateHandler };
  };

  test('two classes of one name: an error on one type, legal on two', async () => {
    const [user, otherUser, product] = [sameName('user'), sameName('user'), sameName('product')];
    const error = await errorOf('CONFIG_INVALID', startApp({ providers: [user.CreateHandler, otherUser.CreateHandler] }));
    expect(error.message).toContain('two classes for message "Create" of entity type "user"');
    const bus = await startBus({ providers: [user.CreateHandler, product.CreateHandler] });
    expect(await bus.enqueueAndWait(new product.Create('a'))).toBe('product');
    expect(await bus.enqueueAndWait(new user.Create('a'))).toBe('user');
    expect(await bus.enqueueAndWait('product', 'Create', 'a', {})).toBe('product');
  });

  test('an entity message without an id property fails the start, unless the type has a default', async () => {
    @EntityType('order')
    class Place {
      constructor(readonly orderId: string) {}
    }
    @CommandHandler(Place)
    class PlaceHandler implements ICommandHandler<Place> {
      async execute({ orderId }: Place): Promise<string> {
        return orderId;
      }
    }
    const error = await errorOf('CONFIG_INVALID', startApp({ providers: [PlaceHandler] }));
    expect(error.message).toContain('Place');
    expect(error.message).toContain('entities.order.defaultEntityId');
    const config = { entities: { order: { defaultEntityId: 'orderId' } } };
    const bus = await startBus({ providers: [PlaceHandler], config });
    expect(await bus.enqueueAndWait(new Place('o-1'))).toBe('o-1');
    await errorOf('INVALID_ENTITY_ID', bus.enqueue(new Place('')));
  });

  test('a subclass is a message of its own', async () => {
    class AddTwice extends Add {
      twice = true;
    }
    const bus = await startBus({ providers: [AddHandler] });
    expect((await errorOf('UNKNOWN_MESSAGE', bus.enqueue(new AddTwice('a')))).message).toContain('AddTwice');
    @CommandHandler(AddTwice)
    class AddTwiceHandler implements ICommandHandler<AddTwice> {
      async execute(message: AddTwice): Promise<boolean> {
        return message instanceof AddTwice && message.twice;
      }
    }
    const both = await startBus({ providers: [AddHandler, AddTwiceHandler] });
    expect(await both.enqueueAndWait(new AddTwice('a'))).toBe(true);
    expect(await both.enqueueAndWait(new Add('a'))).toBe(2);
  });
});

describe('what is logged', () => {
  test('one line at the start, notices and mistakes as warnings', async () => {
    const logger = new LineLogger();
    const config = { entities: { acount: {}, account: {} } };
    const queues = [AtomicQueuesModule.forRoot(config)];
    const bus = (await startApp({ queues, imports: [Feature], logger })).get(QueueBus);
    await bus.enqueueAndWait(new Add('a'));
    const own = logger.lines.filter((line) => /entit|memory|started/.test(line));
    expect(own.filter((line) => line.startsWith('log: started'))).toHaveLength(1);
    expect(own.find((line) => line.startsWith('log: started'))).toContain('account: Add');
    expect(own).toContainEqual(expect.stringMatching(/^warn: entities\.acount: nobody here handles.*did you mean "account"/));
    expect(own).toContainEqual(expect.stringMatching(/^warn: .*do not survive the process/));
    expect(logger.lines.some((line) => line.startsWith('debug: began'))).toBe(false);
  });

  test('verbose: a debug line per message and transition', async () => {
    const logger = new LineLogger();
    const app = await startApp({ imports: [Feature], logger, config: { verbose: true } });
    await app.get(QueueBus).enqueueAndWait(new Add('a'), { id: 'm1' });
    const began = logger.lines.filter((line) => line.startsWith('debug: began'));
    expect(began).toEqual([expect.stringContaining('id=m1 name=Add')]);
    expect(logger.lines.some((line) => line.startsWith('debug: ended'))).toBe(true);
  });
});
