/** What is left of handlers that were lost with their node: a dead letter of a command, nothing of a query. */
import { CommandHandler, QueryHandler } from '@nestjs/cqrs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AtomicQueuesModule, DeadLetters, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { LineLogger, startApp } from './app.js';

@EntityType('account')
class Pay {
  constructor(@QueueEntityId() readonly id: string) {}
}

@EntityType('account')
class Balance {
  constructor(@QueueEntityId() readonly id: string) {}
}

const begun: string[] = [];
const hangs = ({ id }: { id: string }): Promise<never> => {
  begun.push(id);
  return new Promise(() => undefined);
};

@CommandHandler(Pay)
class PayHandler {
  execute = hangs;
}

@QueryHandler(Balance)
class BalanceHandler {
  execute = hangs;
}

const TIMING = { heartbeatMs: 100, nodeTTLMs: 800, leaseMarginMs: 50, takeoverHoldMs: 200, reconcileIntervalMs: 200 };

describeRedis('a node that is lost in the middle of its handlers', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  it('leaves a dead letter of its command, and none of its query', async () => {
    const start = (serverId: string, logger = new LineLogger()) =>
      startApp({
        queues: [
          AtomicQueuesModule.forRoot({
            redis: { host: '127.0.0.1', port: redis.port },
            serverId,
            grpc: TIMING,
            shutdownGraceMs: 100,
          }),
        ],
        providers: [PayHandler, BalanceHandler],
        logger,
      });
    const lost = await start('lost');
    const calls = [new Pay('command'), new Balance('query')].map((message) => lost.get(QueueBus).enqueueAndWait(message));
    const ended = Promise.allSettled(calls);
    await expect.poll(() => begun.sort().join(), { timeout: 20_000 }).toBe('command,query');
    const logger = new LineLogger();
    const next = await start('next', logger);
    await lost.close();
    await ended;

    await expect.poll(() => next.get(QueueBus).depth(), { timeout: 20_000 }).toMatchObject({ messages: 0, deadLetters: 1 });
    const { letters } = await next.get(DeadLetters).list();
    expect(letters.map(({ entityId, reason }) => [entityId, reason])).toEqual([['command', 'interrupted']]);
    expect(logger.lines.filter((line) => line.includes('dead letter') && line.includes('query'))).toEqual([]);
  });
});
