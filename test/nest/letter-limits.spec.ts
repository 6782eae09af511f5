import { CommandHandler } from '@nestjs/cqrs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AtomicQueuesConfig,
  AtomicQueuesModule,
  DeadLetters,
  EntityType,
  QueueBus,
  QueueEntityId,
} from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { errorOf, LineLogger, startApp } from './app.js';

@EntityType('account')
class Fail {
  constructor(@QueueEntityId() readonly id: string) {}
}

@CommandHandler(Fail)
class FailHandler {
  async execute(): Promise<void> {
    throw new Error('no');
  }
}

async function start(config: AtomicQueuesConfig) {
  const logger = new LineLogger();
  const app = await startApp({
    queues: [AtomicQueuesModule.forRoot(config)],
    providers: [FailHandler],
    logger: new LineLogger(),
  });
  app.useLogger(logger);
  const [bus, dead] = [app.get(QueueBus), app.get(DeadLetters)];
  const fail = (id: string) => errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Fail(id)));
  const dropped = () => logger.lines.filter((line) => line.includes('dropping-dead-letter'));
  return { fail, dead, dropped };
}

async function keepsTheLimits(store: AtomicQueuesConfig): Promise<void> {
  const { fail, dead, dropped } = await start({ ...store, wal: { cleanupInterval: 50 }, deadLetters: { max: 2, ttl: 3 } });
  for (const id of ['a', 'b', 'c', 'd']) await fail(id);
  await expect.poll(() => dead.count(), { timeout: 10_000 }).toBe(2);
  expect((await dead.list()).letters.map(({ id }) => id)).toEqual(['3', '4']);
  const why = 'why=there are more than deadLetters.max (2)';
  expect(dropped()).toEqual([
    expect.stringMatching(/^warn: dropping-dead-letter letter=1 entity=account:a id=\S+ name=Fail /),
    expect.stringMatching(/^warn: dropping-dead-letter letter=2 entity=account:b id=\S+ name=Fail /),
  ]);
  for (const line of dropped()) expect(line).toContain(why);
  await expect.poll(() => dead.count(), { timeout: 10_000 }).toBe(0);
  expect(dropped().slice(2)).toEqual([
    expect.stringContaining('why=it is older than deadLetters.ttl (3 s)'),
    expect.stringContaining('why=it is older than deadLetters.ttl (3 s)'),
  ]);
}

describe('dead letters, on the memory store', () => {
  it('keep to their limits, each named in a warning before it goes', () => keepsTheLimits({ store: 'memory' }));

  it('stay for good without limits', async () => {
    const { fail, dead, dropped } = await start({ store: 'memory', wal: { cleanupInterval: 20 } });
    for (let i = 0; i < 5; i++) await fail(`a${i}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await dead.count()).toBe(5);
    expect(dropped()).toEqual([]);
  });
});

describeRedis('dead letters, on Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  it('keep to their limits, each named in a warning before it goes', () =>
    keepsTheLimits({ redis: { host: '127.0.0.1', port: redis.port } }));
});
