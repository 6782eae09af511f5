/** Services that share one Redis, each a service group of its own: who handles what, and who may send it. */
import { Inject } from '@nestjs/common';
import { CommandBus, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { freePort } from '../../demo/machine.js';
import {
  AtomicQueuesModule,
  EntityContext,
  EntityType,
  IEntityConfig,
  QueueBus,
  QueueEntityId,
  Schema,
} from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { errorOf, LineLogger, startApp } from './app.js';

const WHERE = Symbol('where');

@EntityType('stock')
@Schema(z.object({ sku: z.string(), count: z.number().positive() }))
class Reserve {
  constructor(
    @QueueEntityId() readonly sku: string,
    readonly count: number,
  ) {}
}

/** Declared by the sender too, but handled by nobody. */
@EntityType('stock')
class Audit {
  @QueueEntityId() readonly sku = 's';
}

@EntityType('account')
class Buy {
  constructor(
    @QueueEntityId() readonly account: string,
    readonly sku: string,
  ) {}
}

@EntityType('slow')
class Slow {
  constructor(@QueueEntityId() readonly id: string) {}
}

@CommandHandler(Slow)
class SlowHandler implements ICommandHandler<Slow> {
  async execute(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 800));
  }
}

const reserved = new Map<string, number>();

@CommandHandler(Reserve)
class ReserveHandler implements ICommandHandler<Reserve> {
  constructor(@Inject(WHERE) private readonly where: string) {}

  async execute({ sku, count }: Reserve): Promise<{ by: string; reserved: number }> {
    const before = reserved.get(sku) ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 1));
    reserved.set(sku, before + count);
    return { by: this.where, reserved: before + count };
  }
}

@CommandHandler(Buy)
class BuyHandler implements ICommandHandler<Buy> {
  constructor(@Inject(QueueBus) private readonly bus: QueueBus) {}

  /** One more with the end of this, and one at once. */
  async execute({ sku }: Buy): Promise<unknown> {
    EntityContext.current().enqueue(new Reserve(`${sku} later`, 1));
    return this.bus.enqueueAndWait('stock', 'Reserve', sku, { sku, count: 1 });
  }
}

/** A call whose hints are lost takes as long as a sweep, which is far beyond what a loaded machine needs for one; so is the lease. */
const TIMING = { reconcileIntervalMs: 60_000, nodeTTLMs: 30_000 };
const WITHOUT_SWEEP_MS = 15_000;
const CALLS = 20;
const AND_WAIT_MS = 450;

describeRedis('services on one Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  describe.each([
    ['pub/sub', false],
    ['gRPC', true],
  ])('over %s', (way, enabled) => {
    type Handlers = NonNullable<Parameters<typeof startApp>[0]['providers']>;

    async function start(
      prefix: string,
      service: string,
      handlers: Handlers,
      entities: Record<string, IEntityConfig> = {},
      andWaitMs = WITHOUT_SWEEP_MS,
    ) {
      const address = `127.0.0.1:${enabled ? await freePort() : 1}`;
      const logger = new LineLogger();
      const queues = AtomicQueuesModule.forRoot({
        ...{ redis: { host: '127.0.0.1', port: redis.port }, keyPrefix: `${way}-${prefix}`, entities },
        ...{ serverId: `${service}-1`, serviceGroup: service },
        grpc: { enabled, listenAddress: address, advertisedAddress: address, deadlines: { andWaitMs }, ...TIMING },
      });
      const providers = [...handlers, { provide: WHERE, useValue: service }];
      const app = await startApp({ queues: [queues], providers, logger });
      const bus: QueueBus = app.get(QueueBus);
      return { app, bus, logger };
    }

    test('a bank that knows no handler for stock calls the warehouse, by class and by name, at once', async () => {
      const warehouse = await start('call', 'warehouse', [ReserveHandler]);
      const bank = await start('call', 'bank', [BuyHandler]);
      expect(await bank.bus.enqueueAndWait(new Reserve('a', 2))).toEqual({ by: 'warehouse', reserved: 2 });
      const times: number[] = [];
      for (let i = 0; i < CALLS; i++) {
        const startMs = performance.now();
        await bank.bus.enqueueAndWait('stock', 'Reserve', `s${i}`, { sku: `s${i}`, count: 1 });
        times.push(performance.now() - startMs);
      }
      const medianMs = times.sort((a, b) => a - b)[CALLS / 2] as number;
      process.stdout.write(`a call to another service over ${way}: ${medianMs} ms (median of ${CALLS}, each to a new entity)\n`);
      expect(medianMs).toBeLessThan(WITHOUT_SWEEP_MS / CALLS);
      expect(await bank.app.get(CommandBus).execute(new Reserve('a', 1))).toMatchObject({ reserved: 3 });
      expect(await warehouse.bus.enqueueAndWait(new Buy('x', 'a'))).toEqual({ by: 'warehouse', reserved: 4 });
      await expect.poll(() => reserved.get('a later')).toBe(1);
      expect(bank.bus.introspect().messagesFor('stock')).toEqual(['Reserve']);
      expect(bank.bus.introspect().accepts('stock', 'Audit')).toBe(false);
      expect(bank.bus.health()).toMatchObject({ serviceGroup: 'bank', owned: 1, running: 0 });
      reserved.clear();
    });

    test('what nobody handles is refused at the call, with the nearest name; so is a payload that its schema refuses', async () => {
      await start('wrong', 'warehouse', [ReserveHandler]);
      const { bus } = await start('wrong', 'bank', [BuyHandler]);
      const misspelt = await errorOf('UNKNOWN_MESSAGE', bus.enqueue('stock', 'Reservee', 's', {}));
      expect(misspelt.details.nearest).toBe('Reserve');
      expect(misspelt.definite).toBe(true);
      await errorOf('UNKNOWN_MESSAGE', bus.enqueue(new Audit()));
      expect((await errorOf('UNKNOWN_ENTITY_TYPE', bus.enqueueAndWait('stok', 'Reserve', 's', {}))).details.nearest).toBe(
        'stock',
      );
      await errorOf('SCHEMA_VIOLATION', bus.enqueue(new Reserve('s', -1)));
      expect(await bus.depth()).toEqual({ messages: 0, entities: 0, deadLetters: 0 });
    });

    test('a call to a type of others waits for andWaitMs, or for the replyTimeout that the caller has set for the type', async () => {
      await start('wait', 'warehouse', [SlowHandler]);
      for (const [service, entities, timeoutMs] of [
        ['x', {}, AND_WAIT_MS],
        ['y', { slow: { replyTimeout: 200 } }, 200],
      ] as const) {
        const { bus, logger } = await start('wait', service, [], entities, AND_WAIT_MS);
        const error = await errorOf('REPLY_TIMEOUT', bus.enqueueAndWait('slow', 'Slow', service, {}));
        expect(error.message).toContain(`no result within ${timeoutMs} ms`);
        expect(logger.lines.filter((line) => line.includes('nobody here handles'))).toEqual([]);
      }
    });

    test('an application without handlers sends, waits and leaves; nobody waits for it, and it needs no entities', async () => {
      const producer = await start('producer', 'a-front', []);
      await errorOf('UNKNOWN_ENTITY_TYPE', producer.bus.enqueue(new Reserve('s', 1)));
      const warehouse = await start('producer', 'warehouse', [ReserveHandler]);
      const answers = await Promise.all(Array.from({ length: 10 }, () => producer.bus.enqueueAndWait(new Reserve('s', 1))));
      expect(answers).toHaveLength(10);
      expect(reserved.get('s')).toBe(10);
      expect(producer.bus.health()).toMatchObject({ role: 'producer', owned: 0, isReady: true });
      const startMs = performance.now();
      await producer.app.close();
      expect(performance.now() - startMs).toBeLessThan(WITHOUT_SWEEP_MS);
      await expect.poll(() => warehouse.bus.health().peers).toEqual([]);
      reserved.clear();
    });
  });
});
