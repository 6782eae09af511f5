import type { Provider } from '@nestjs/common';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AtomicQueuesConfig, AtomicQueuesModule, EntityType, QueueBus, QueueEntityId, QueueHealth } from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { errorOf, startApp } from './app.js';

@EntityType('account')
class Hold {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly forMs: number,
    readonly fails = false,
  ) {}
}

@CommandHandler(Hold)
class HoldHandler implements ICommandHandler<Hold> {
  async execute({ forMs, fails }: Hold): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, forMs));
    if (fails) throw new Error('told to fail');
  }
}

const EARLY = Symbol('early');

const start = (config: AtomicQueuesConfig, more: Provider[] = []) =>
  startApp({ queues: [AtomicQueuesModule.forRoot(config)], providers: [HoldHandler, ...more] });

describe('the health of a node', () => {
  test('says what it does, who it is, and what is blocked', async () => {
    const config = { serverId: 'n1', serviceGroup: 'bank', entities: { account: { handlerTimeout: 30 } } } as const;
    const bus: QueueBus = (await start({ store: 'memory', ...config })).get(QueueBus);
    await expect.poll(() => bus.health().role, { timeout: 3000 }).toBe('master');
    const waiting = bus.enqueueAndWait(new Hold('a', 400));
    void bus.enqueue(new Hold('a', 0));
    await expect.poll(() => bus.health().blocked).toHaveLength(1);
    const { blocked, leaseLeftMs, incarnation, epoch, ...rest } = bus.health();
    expect(rest).toEqual({
      ...{ isReady: true, state: 'running', serverId: 'n1', serviceGroup: 'bank', role: 'master' },
      ...{ suspended: false, degraded: undefined, network: undefined, owned: 1, running: 1, waiting: 1 },
      ...{ awaitingRoom: 0, peers: [] },
    });
    expect(blocked[0]).toMatchObject({ entity: 'account:a', id: expect.any(String) as string });
    expect(blocked[0]?.forMs).toBeGreaterThanOrEqual(30);
    expect(leaseLeftMs).toBeGreaterThan(0);
    expect([incarnation, epoch]).toEqual([1, 1]);
    expect(await bus.depth()).toEqual({ messages: 2, entities: 1, deadLetters: 0 });
    await waiting;
    await expect.poll(() => bus.health()).toMatchObject({ running: 0, waiting: 0, blocked: [] });
    await bus.enqueueAndWait(new Hold('a', 0, true)).catch(() => undefined);
    expect(await bus.depth()).toEqual({ messages: 0, entities: 0, deadLetters: 1 });
  });

  test('is told before the start and after the stop too, while the log is not', async () => {
    const early = { provide: EARLY, useFactory: (bus: QueueBus) => bus.health(), inject: [QueueBus] };
    const app = await start({ store: 'memory', serverId: 'n1' }, [early]);
    const nothing = {
      ...{ isReady: false, serverId: 'n1', serviceGroup: 'default', incarnation: 0, role: 'replica', epoch: 0, suspended: false },
      ...{ leaseLeftMs: 0, degraded: undefined, network: undefined, owned: 0, running: 0, waiting: 0, blocked: [] },
      ...{ awaitingRoom: 0, peers: [] },
    };
    expect(app.get(EARLY)).toEqual({ ...nothing, state: 'new' });
    const bus: QueueBus = app.get(QueueBus);
    await app.close();
    expect(bus.health()).toEqual({ ...nothing, state: 'stopped' });
    await errorOf('SHUTTING_DOWN', bus.depth());
  });
});

describeRedis(
  'the health of nodes on one Redis',
  () => {
    let redis: RedisServer;
    beforeAll(async () => {
      redis = await startRedis();
    });
    afterAll(() => redis.stop());

    const grpc = { heartbeatMs: 100, nodeTTLMs: 800, redisHealthCheckMs: 100, leaseMarginMs: 50 };
    const node = async (serverId: string): Promise<QueueBus> =>
      (await start({ redis: { host: '127.0.0.1', port: redis.port }, keyPrefix: 'health', serverId, grpc })).get(QueueBus);

    test('names the others, and says why the store is degraded; it comes back by itself', async () => {
      const [a, b] = [await node('a'), await node('b')];
      const of = (bus: QueueBus): QueueHealth => bus.health();
      const peer = { serverId: 'b', serviceGroup: 'default', link: 'none', breaker: 'closed' };
      await expect.poll(() => of(a).peers).toEqual([{ ...peer, incarnation: of(b).incarnation }]);
      await redis.kill9();
      await expect.poll(() => of(a).degraded, { timeout: 5000 }).toMatch(/\S/);
      await expect.poll(() => of(a), { timeout: 5000 }).toMatchObject({ isReady: false, suspended: true, leaseLeftMs: 0 });
      await errorOf('STORE_UNAVAILABLE', a.depth());
      await redis.restart();
      await expect.poll(() => of(a), { timeout: 8000 }).toMatchObject({ isReady: true, suspended: false, degraded: undefined });
    });
  },
  { own: true },
);
