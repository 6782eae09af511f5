import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AtomicQueuesModule, EntityType, QueueBus, QueueEntityId, ReplySchema, Schema } from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { errorOf, LineLogger, startApp } from './app.js';

@EntityType('account')
@Schema(z.object({ accountId: z.string(), amount: z.number().int().positive(), note: z.string().max(5).optional() }))
@ReplySchema(z.object({ balance: z.number() }))
class Deposit {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
  ) {}
}

@CommandHandler(Deposit)
class DepositHandler implements ICommandHandler<Deposit> {
  async execute({ amount }: Deposit): Promise<{ balance: number }> {
    return { balance: amount };
  }
}

/** What another service takes for the same message. */
const other = (() => {
  @EntityType('account')
  @Schema(z.object({ accountId: z.string(), amount: z.string() }))
  class Deposit {
    constructor(@QueueEntityId() readonly accountId: string) {}
  }
  @CommandHandler(Deposit)
  class OtherHandler implements ICommandHandler<Deposit> {
    async execute(): Promise<void> {}
  }
  return OtherHandler;
})();

describeRedis('what services publish of their messages', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  async function startService(keyPrefix: string, serviceGroup: string, providers: object[], logger = new LineLogger()) {
    const config = { redis: { host: '127.0.0.1', port: redis.port }, keyPrefix, serviceGroup, serverId: serviceGroup };
    const queues = [AtomicQueuesModule.forRoot(config)];
    const app = await startApp({ queues, providers: providers as never, logger });
    return { app, logger, bus: app.get<QueueBus>(QueueBus) };
  }

  async function until(what: string, check: () => boolean): Promise<void> {
    const deadlineMs = Date.now() + 8000;
    while (!check()) {
      if (Date.now() > deadlineMs) throw new Error(`did not come: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  it('is known to a service that has none of their classes: names, schemas, and the replies', async () => {
    await startService('known', 'bank', [DepositHandler]);
    const { bus } = await startService('known', 'shop', []);
    const contracts = bus.introspect();
    expect(contracts.entityTypes()).toEqual(['account']);
    expect(contracts.schemaFor('account', 'Deposit')).toMatchObject({ required: ['accountId', 'amount'] });
    expect(contracts.replySchemaFor('account', 'Deposit')).toMatchObject({ properties: { balance: { type: 'number' } } });
    expect(contracts.schemaFor('account', 'Withdraw')).toBeUndefined();
    expect(await bus.enqueueAndWait('account', 'Deposit', 'a', { accountId: 'a', amount: 5 })).toEqual({ balance: 5 });
  });

  it('is what a call by name is held to, before anything is logged', async () => {
    await startService('held', 'bank', [DepositHandler]);
    const { bus } = await startService('held', 'shop', []);
    const send = (payload: object, type = 'account', name = 'Deposit') => bus.enqueue(type, name, 'a', payload);
    const wrong = await errorOf('SCHEMA_VIOLATION', send({ accountId: 'a', amount: 1.5, note: 'too long' }));
    expect(wrong.definite).toBe(true);
    expect(wrong.message).toBe(
      '[SCHEMA_VIOLATION] the payload of account.Deposit does not match its schema: $.amount: must be integer, is number; $.note: must have at most 5 characters',
    );
    expect(wrong.details.path).toBe('$.amount');
    await errorOf('SCHEMA_VIOLATION', send({ accountId: 'a' }));
    await errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait('account', 'Deposit', 'a', { accountId: 'a', amount: '1' }));
    const bulk = await bus.enqueueBulk([
      { type: 'account', name: 'Deposit', entityId: 'a', payload: { accountId: 'a', amount: -1 } },
      { type: 'account', name: 'Deposit', entityId: 'a', payload: { accountId: 'a', amount: 1 } },
    ]);
    expect(bulk.map(({ ok }) => ok)).toEqual([false, true]);
    expect((await errorOf('UNKNOWN_MESSAGE', send({}, 'account', 'Deposti'))).message).toMatch(/did you mean "Deposit"\?$/);
    expect((await errorOf('UNKNOWN_ENTITY_TYPE', send({}, 'acount'))).message).toMatch(/did you mean "account"\?$/);
  });

  it('also where the service came after the caller, whose call asks for it', async () => {
    const { bus } = await startService('later', 'shop', []);
    await startService('later', 'bank', [DepositHandler]);
    await errorOf('SCHEMA_VIOLATION', bus.enqueue('account', 'Deposit', 'a', { accountId: 'a', amount: 'x' }));
    expect(bus.introspect().schemaFor('account', 'Deposit')).toBeDefined();
  });

  it('that differ are a warning that names both services and the one that counts', async () => {
    await startService('differ', 'bank', [DepositHandler]);
    const audit = await startService('differ', 'audit', [other]);
    const warning = 'warn: schema-conflict message=account.Deposit services="bank" and "audit" wins="audit", which joined last';
    const warnings = (logger: LineLogger) => logger.lines.filter((line) => line.includes('schema-conflict'));
    // Nest has one logger, that of the application which was made last.
    await until('the warning at both', () => warnings(audit.logger).length > 1);
    expect(warnings(audit.logger)).toEqual([warning, warning]);
    const shop = await startService('differ', 'shop', []);
    expect(shop.bus.introspect().schemaFor('account', 'Deposit')).toMatchObject({ properties: { amount: { type: 'string' } } });
  });

  it('goes with the last of them, as soon as nobody would know it', async () => {
    const { Redis } = await import('ioredis');
    const admin = new Redis(redis.url);
    const { app } = await startService('gone', 'bank', [DepositHandler]);
    expect(await admin.hlen('gone:{0}:schema')).toBe(1);
    await app.close();
    expect(await admin.exists('gone:{0}:schema')).toBe(0);
    admin.disconnect();
  });
});

describe('the text that is published', () => {
  it('is the same whatever the order in which handlers are found', async () => {
    const { publish } = await import('../../src/core/catalog.js');
    const shapes = { A: { payload: { type: 'object', required: ['x'] } }, B: { idProperty: 'id' } };
    const one = publish('t', new Map(Object.entries(shapes)));
    const two = publish('t', new Map(Object.entries({ B: shapes.B, A: { payload: { required: ['x'], type: 'object' } } })));
    expect(two).toEqual(one);
    expect(publish('t', new Map(Object.entries({ B: shapes.B }))).version).not.toBe(one.version);
  });
});
