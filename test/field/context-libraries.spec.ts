/**
 * The libraries that rest on async contexts, as applications have them: a request id (nestjs-cls), the active span (OpenTelemetry)
 * and the open transaction (typeorm-transactional, with its default driver, which is cls-hooked and no AsyncLocalStorage).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type INestApplicationContext, Inject } from '@nestjs/common';
import { CommandHandler } from '@nestjs/cqrs';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { ClsModule, ClsService } from 'nestjs-cls';
import { DataSource, EntitySchema } from 'typeorm';
import {
  addTransactionalDataSource,
  initializeTransactionalContext,
  runInTransaction,
  runOnTransactionComplete,
} from 'typeorm-transactional';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AtomicQueuesConfig, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { startApp } from '../nest/app.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';

const REQUESTS = 50;
const requests = Array.from({ length: REQUESTS }, (_, i) => `r${i}`);

interface Row {
  id: string;
}
const Rows = new EntitySchema<Row>({ name: 'row', columns: { id: { type: String, primary: true } } });

let database: DataSource;
const exporter = new InMemorySpanExporter();
const spans = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = spans.getTracer('test');

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  initializeTransactionalContext();
  database = addTransactionalDataSource(new DataSource({ type: 'sqljs', entities: [Rows], synchronize: true }));
  await database.initialize();
});
afterAll(async () => {
  context.disable();
  await database.destroy();
});

@EntityType('account')
class Look {
  constructor(@QueueEntityId() readonly id: string) {}
}

/** What a handler finds of its surroundings. */
interface Found {
  readonly requestId: unknown;
  readonly span: unknown;
  readonly transaction: boolean;
}

let found: Found[] = [];
beforeEach(() => {
  found = [];
  exporter.reset();
});

@CommandHandler(Look)
class LookHandler {
  constructor(@Inject(ClsService) private readonly cls: ClsService) {}

  private look(): void {
    const requestId = this.cls.isActive() ? this.cls.get('requestId') : undefined;
    const transaction = isInTransaction() || database.manager.queryRunner !== undefined;
    found.push({ requestId, span: trace.getActiveSpan(), transaction });
  }

  async execute({ id }: Look): Promise<string> {
    this.look();
    await sleep(1);
    this.look();
    // Contexts of its own work as they do everywhere.
    return this.cls.run(async () => {
      this.cls.set('requestId', `of the handler of ${id}`);
      await sleep(1);
      return String(this.cls.get('requestId'));
    });
  }
}

function isInTransaction(): boolean {
  try {
    runOnTransactionComplete(() => undefined);
    return true;
  } catch {
    return false;
  }
}

const NOTHING: Found = { requestId: undefined, span: undefined, transaction: false };

function suite(start: () => Promise<INestApplicationContext>): void {
  test(`nestjs-cls: each of ${REQUESTS} requests has its own id after the await, and no handler has one`, async () => {
    const app = await start();
    const [bus, cls] = [app.get<QueueBus>(QueueBus), app.get(ClsService)];
    const own = requests.map((request) =>
      cls.run(async () => {
        cls.set('requestId', request);
        const answer = await bus.enqueueAndWait(new Look(request));
        return [answer, cls.get('requestId')];
      }),
    );
    expect(await Promise.all(own)).toEqual(requests.map((request) => [`of the handler of ${request}`, request]));
    expect(found).toEqual(new Array(2 * REQUESTS).fill(NOTHING));
  });

  test(`OpenTelemetry: each of ${REQUESTS} requests has its own span after the await, and no handler has one`, async () => {
    const bus = (await start()).get<QueueBus>(QueueBus);
    const own = requests.map((request) =>
      tracer.startActiveSpan(request, async (span) => {
        await bus.enqueueAndWait(new Look(request));
        const isOwn = trace.getActiveSpan() === span;
        tracer.startSpan('after').end();
        span.end();
        return isOwn;
      }),
    );
    expect(await Promise.all(own)).toEqual(requests.map(() => true));
    expect(found).toEqual(new Array(2 * REQUESTS).fill(NOTHING));
    const ended = exporter.getFinishedSpans();
    const parents = ended.filter(({ name }) => name === 'after').map(({ parentSpanContext }) => parentSpanContext?.spanId);
    expect(new Set(parents).size).toBe(REQUESTS);
  });

  test('typeorm-transactional: a handler runs in no transaction of a caller, and the caller stays in its own', async () => {
    const bus = (await start()).get<QueueBus>(QueueBus);
    const rolledBack = runInTransaction(async () => {
      await database.getRepository(Rows).save({ id: 'of the caller' });
      expect(isInTransaction()).toBe(true);
      await Promise.all(requests.map((request) => bus.enqueueAndWait(new Look(request))));
      expect(database.manager.queryRunner?.isTransactionActive).toBe(true);
      throw new Error('roll it back');
    });
    await expect(rolledBack).rejects.toThrow('roll it back');
    expect(found).toEqual(new Array(2 * REQUESTS).fill(NOTHING));
    expect(await database.getRepository(Rows).count()).toBe(0);
  });

  test('typeorm-transactional: what was first used in a transaction keeps nothing of it', async () => {
    const bus = (await start()).get<QueueBus>(QueueBus);
    await runInTransaction(async () => {
      await bus.depth();
      await bus.enqueue(new Look('first'));
    });
    await expect.poll(() => found.length).toBe(2);
    await bus.enqueueAndWait(new Look('second'));
    expect(found).toEqual(new Array(4).fill(NOTHING));
  });
}

const appOf = (config: AtomicQueuesConfig): Promise<INestApplicationContext> =>
  startApp({ providers: [LookHandler], imports: [ClsModule.forRoot({ global: true })], config });

describe('libraries that rest on async contexts, on memory', () => {
  suite(() => appOf({}));
});

describeRedis('libraries that rest on async contexts, on Redis', () => {
  let redis: RedisServer;
  let prefixes = 0;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  suite(() => appOf({ store: 'redis', redis: { url: redis.url }, keyPrefix: `libraries-${++prefixes}` }));
});
