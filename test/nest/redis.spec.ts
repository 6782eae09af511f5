import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { AtomicQueuesModule, DeadLetters, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { errorOf, startApp } from './app.js';

@EntityType('account')
class Add {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly amount: number,
  ) {}
}

const balances = new Map<string, number>();

@CommandHandler(Add)
class AddHandler implements ICommandHandler<Add> {
  async execute({ id, amount }: Add): Promise<number> {
    const before = balances.get(id) ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 1));
    balances.set(id, before + amount);
    return before + amount;
  }
}

describeRedis(
  'the face on a real Redis',
  () => {
    let redis: RedisServer;
    beforeAll(async () => {
      redis = await startRedis({ extraArgs: ['--requirepass', 'secret'] });
    });
    afterAll(() => redis.stop());
    beforeEach(() => balances.clear());

    const queues = (password: string, keyPrefix: string) =>
      AtomicQueuesModule.forRoot({ redis: { host: '127.0.0.1', port: redis.port, password }, keyPrefix });

    test('one at a time, with every odd id', async () => {
      const bus = (await startApp({ queues: [queues('secret', 'odd')], providers: [AddHandler] })).get(QueueBus);
      for (const id of ['a:b', '{x}', 'with space', '😀\n%', 'é'.repeat(512)]) {
        await Promise.all(Array.from({ length: 10 }, () => bus.enqueueAndWait(new Add(id, 1))));
        expect(await bus.enqueueAndWait(new Add(id, 0))).toBe(10);
      }
    });

    test('what was not begun at the stop is done by the next application', async () => {
      const first = await startApp({ queues: [queues('secret', 'next')], providers: [AddHandler] });
      const outcomes = await first.get(QueueBus).enqueueBulk(Array.from({ length: 50 }, () => new Add('a', 1)));
      expect(outcomes.every(({ ok }) => ok)).toBe(true);
      await first.close();
      const second = await startApp({ queues: [queues('secret', 'next')], providers: [AddHandler] });
      expect(await second.get(QueueBus).enqueueAndWait(new Add('a', 0))).toBe(50);
    });

    test('a user that Redis does not know, or a password that is no part of a URL, fails the start in the same way', async () => {
      const start = (more: object) => {
        const forRoot = AtomicQueuesModule.forRoot({ redis: more, keyPrefix: 'x' });
        return errorOf('CONFIG_INVALID', startApp({ queues: [forRoot], providers: [AddHandler] }));
      };
      const at = { host: '127.0.0.1', port: redis.port };
      expect((await start({ ...at, username: 'nobody', password: 'secret' })).message).toContain('redis.username');
      expect((await start({ url: `redis://nobody:secret@127.0.0.1:${redis.port}` })).message).toContain('redis.username');
      expect((await start({ url: `redis://:se/cret@127.0.0.1:${redis.port}` })).message).toContain('write it as %2F');
      const ok = AtomicQueuesModule.forRoot({ redis: { ...at, username: 'default', password: 'secret' }, keyPrefix: 'x' });
      await startApp({ queues: [ok], providers: [AddHandler] });
    });

    test('a wrong password fails the start with a line that only an operator can act on', async () => {
      const error = await errorOf('CONFIG_INVALID', startApp({ queues: [queues('hunter2', 'x')], providers: [AddHandler] }));
      expect(error.message).toMatch(/password|WRONGPASS|NOAUTH/i);
      expect(error.message).not.toContain('hunter2');
    });

    test('after a loss of the store its dead letters can be read, and nothing is replayed', async () => {
      const app = await startApp({ queues: [queues('secret', 'lost')], providers: [AddHandler] });
      const [bus, dead] = [app.get<QueueBus>(QueueBus), app.get(DeadLetters)];
      const admin = new Redis({ port: redis.port, password: 'secret' });
      await admin.hset('lost:{0}:meta', 'generation', 'another');
      admin.disconnect();
      await errorOf('OUTCOME_UNKNOWN', bus.enqueueAndWait(new Add('a', 1)));
      await errorOf('STORE_LOST', dead.replay('1'));
      expect(await dead.list()).toEqual({ letters: [], next: undefined });
    });
  },
  { own: true },
);
