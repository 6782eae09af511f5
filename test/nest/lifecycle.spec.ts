import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Module, OnApplicationBootstrap, OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import { CommandBus, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AtomicQueuesModule, EntityContext, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { errorOf, LineLogger, startApp } from './app.js';

@EntityType('account')
class Work {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly forMs = 0,
  ) {}
}

let events: string[] = [];
beforeEach(() => {
  events = [];
});

/** A database pool, closed as users close theirs. */
@Injectable()
class Pool implements OnModuleDestroy {
  private isOpen = true;

  async query(): Promise<string> {
    if (!this.isOpen) throw new Error('the pool is closed');
    return 'row';
  }

  onModuleDestroy(): void {
    this.isOpen = false;
    events.push('pool closed');
  }
}

@CommandHandler(Work)
class WorkHandler implements ICommandHandler<Work> {
  constructor(@Inject(Pool) private readonly pool: Pool) {}

  async execute({ id, forMs }: Work): Promise<string> {
    events.push(`${id} began`);
    await new Promise((resolve) => setTimeout(resolve, forMs));
    const row = await this.pool.query();
    if (forMs > 50) EntityContext.current().enqueue(new Work(`${id}-follow-up`));
    events.push(`${id} ended`);
    return row;
  }
}

@Module({ providers: [Pool], exports: [Pool] })
class PoolModule {}

@Module({ imports: [PoolModule], providers: [WorkHandler] })
class WorkModule {}

const queues = () => AtomicQueuesModule.forRoot({ store: 'memory' });

describe('stop', () => {
  test.each([
    ['first in the imports', () => ({ queues: [queues()], imports: [WorkModule] })],
    ['last in the imports', () => ({ queues: [], imports: [WorkModule, queues()] })],
    ["the pool is the root's own", () => ({ queues: [queues()], providers: [Pool, WorkHandler] })],
    ['the pool is in an imported module, imported first', () => ({ queues: [PoolModule, queues()], imports: [WorkModule] })],
  ])('drains before the pool is closed: %s', async (_, parts) => {
    const app = await startApp(parts() as never);
    const bus = app.get(QueueBus);
    const results = [bus.enqueueAndWait(new Work('a', 60)), bus.enqueueAndWait(new Work('b', 60))];
    await expect.poll(() => events).toContain('a began');
    await app.close();
    expect(await Promise.all(results)).toEqual(['row', 'row']);
    expect(events.indexOf('a ended')).toBeGreaterThan(-1);
    expect(events.indexOf('b ended')).toBeGreaterThan(-1);
    expect(events.at(-1)).toBe('pool closed');
  });

  test('ends within the grace though a handler never settles; its entity is reported, others go on', async () => {
    @CommandHandler(Work)
    class Stuck implements ICommandHandler<Work> {
      execute({ id }: Work): Promise<string> {
        return id === 'stuck' ? new Promise(() => {}) : Promise.resolve(id);
      }
    }
    const logger = new LineLogger();
    const config = { shutdownGraceMs: 300, entities: { account: { handlerTimeout: 40 } } };
    const app = await startApp({ providers: [Stuck], config, logger });
    const bus = app.get(QueueBus);
    const stuck = bus.enqueueAndWait(new Work('stuck'));
    expect(await bus.enqueueAndWait(new Work('other'))).toBe('other');
    await expect
      .poll(() => logger.lines)
      .toContainEqual(expect.stringMatching(/^warn: blocked entity=account:stuck .*name=Work/));
    expect(await bus.enqueueAndWait(new Work('other'))).toBe('other');
    const startMs = performance.now();
    const outcome = stuck.catch((error: unknown) => error);
    await app.close();
    expect(performance.now() - startMs).toBeLessThan(2500);
    expect(await outcome).toMatchObject({ name: 'AtomicQueuesError', definite: false });
  });

  test('afterwards every call is refused, and handlers do not run', async () => {
    const app = await startApp({ queues: [queues()], imports: [WorkModule] });
    const bus = app.get(QueueBus);
    const commands = app.get(CommandBus);
    await app.close();
    await errorOf('SHUTTING_DOWN', bus.enqueue(new Work('a')));
    await errorOf('SHUTTING_DOWN', bus.enqueueAndWait('account', 'Work', 'a', {}));
    await errorOf('SHUTTING_DOWN', bus.enqueueBulk([new Work('a')]));
    await errorOf('SHUTTING_DOWN', commands.execute(new Work('a')));
    expect(events).toEqual(['pool closed']);
  });
});

describe('start', () => {
  test('comes after every bootstrap hook, also those of the root; calls before it are refused, and say when they may be made', async () => {
    const early = async (what: string, call: Promise<unknown>): Promise<void> => {
      events.push(`${what}: ${(await errorOf('SHUTTING_DOWN', call)).message}`);
    };
    @Injectable()
    class Early implements OnModuleInit {
      constructor(
        @Inject(QueueBus) private readonly bus: QueueBus,
        @Inject(CommandBus) private readonly commands: CommandBus,
      ) {}

      onModuleInit = (): Promise<void> => early('init', this.bus.enqueue(new Work('a')));
      onApplicationBootstrap = (): Promise<void> => early('bootstrap', this.commands.execute(new Work('a')));
    }
    @Module({ providers: [Early] })
    class EarlyModule {}
    @Injectable()
    class OfRoot implements OnApplicationBootstrap {
      constructor(@Inject(QueueBus) private readonly bus: QueueBus) {}

      async onApplicationBootstrap(): Promise<void> {
        await early('root', this.bus.enqueueAndWait(new Work('a')));
        await sleep(30);
        events.push('root is ready');
      }
    }
    const app = await startApp({ queues: [queues()], imports: [EarlyModule, WorkModule], providers: [OfRoot] });
    await app.get(QueueBus).enqueueAndWait(new Work('root'));
    const refused = (what: string): unknown =>
      expect.stringMatching(`^${what}: .*not started yet.*nothing was logged.*onApplicationBootstrap.*app.init`);
    expect(events).toEqual([
      ...[refused('init'), refused('bootstrap'), refused('root'), 'root is ready'],
      ...['root began', 'root ended'],
    ]);
  });

  test('is none where a bootstrap hook fails, also one of the root', async () => {
    let bus: QueueBus | undefined;
    @Injectable()
    class Failing implements OnApplicationBootstrap {
      constructor(@Inject(QueueBus) found: QueueBus) {
        bus = found;
      }

      onApplicationBootstrap(): Promise<void> {
        return Promise.reject(new Error('no cache'));
      }
    }
    await expect(startApp({ queues: [queues()], imports: [WorkModule], providers: [Failing] })).rejects.toThrow('no cache');
    expect(bus?.health().state).toBe('new');
    await errorOf('SHUTTING_DOWN', bus?.enqueue(new Work('a')) ?? Promise.resolve());
  });

  test('a testing module and a second init are fine', async () => {
    const module = await Test.createTestingModule({ imports: [queues(), WorkModule] }).compile();
    await errorOf('SHUTTING_DOWN', module.get(QueueBus).enqueue(new Work('a')));
    await module.init();
    await module.init();
    expect(await module.get(QueueBus).enqueueAndWait(new Work('a'))).toBe('row');
    await module.close();
    await module.close();
  });

  test('a module that was never started closes', async () => {
    const module = await Test.createTestingModule({ imports: [queues(), WorkModule] }).compile();
    await module.close();
    expect(events).toEqual(['pool closed']);
  });
});

describe('signals', () => {
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  afterEach(() => kill.mockClear());

  test('without enableShutdownHooks: drains, then ends the process by the same signal', async () => {
    const app = await startApp({ queues: [queues()], imports: [WorkModule] });
    const result = app.get(QueueBus).enqueueAndWait(new Work('a', 60));
    await expect.poll(() => events).toContain('a began');
    process.emit('SIGTERM');
    await errorOf('SHUTTING_DOWN', app.get(QueueBus).enqueue(new Work('b')));
    expect(kill).not.toHaveBeenCalled();
    expect(await result).toBe('row');
    await expect.poll(() => kill.mock.calls).toEqual([[process.pid, 'SIGTERM']]);
    expect(process.listenerCount('SIGTERM')).toBe(0);
  });

  const withGrace = (shutdownGraceMs: number) => AtomicQueuesModule.forRoot({ store: 'memory', shutdownGraceMs });

  test('with a listener that closes the application: not ready at once, at work until then, and the process is left to it', async () => {
    const app = await startApp({ queues: [withGrace(10_000)], imports: [WorkModule] });
    const bus: QueueBus = app.get(QueueBus);
    let close = (): void => undefined;
    const told = new Promise<void>((resolve) => {
      close = resolve;
    });
    // Gone after its first call; only the library listens then.
    process.once('SIGTERM', () => void told.then(() => app.close()));
    process.emit('SIGTERM');
    expect(bus.health()).toMatchObject({ isReady: false, state: 'running' });
    expect(await bus.enqueueAndWait(new Work('a', 60))).toBe('row');
    const last = bus.enqueueAndWait(new Work('b', 300));
    await expect.poll(() => events).toContain('b began');
    close();
    await expect.poll(() => bus.health().state).toBe('draining');
    await errorOf('SHUTTING_DOWN', bus.enqueue(new Work('c')));
    expect(await last).toBe('row');
    await expect.poll(() => events).toContain('pool closed');
    expect(process.listenerCount('SIGTERM')).toBe(0);
    await sleep(50);
    expect(kill).not.toHaveBeenCalled();
  });

  test.each([
    ['stays: drains after two graces, says so, and leaves the process to it', 'on', []],
    ['listens once: drains after two graces, says so, and ends the process', 'once', [[process.pid, 'SIGTERM']]],
  ] as const)('with a listener that closes nothing and %s', async (_, method, kills) => {
    const listener = vi.fn();
    process[method]('SIGTERM', listener);
    const logger = new LineLogger();
    const app = await startApp({ queues: [withGrace(500)], imports: [WorkModule], logger });
    const bus: QueueBus = app.get(QueueBus);
    const startMs = performance.now();
    process.emit('SIGTERM');
    expect(await bus.enqueueAndWait(new Work('a'))).toBe('row');
    await expect.poll(() => bus.health().state, { timeout: 5000 }).toBe('stopped');
    expect(performance.now() - startMs).toBeGreaterThan(950);
    expect(logger.lines).toContainEqual(expect.stringMatching(/^warn: .*1000 ms ago.*app\.close\(\)/));
    await errorOf('SHUTTING_DOWN', bus.enqueue(new Work('b')));
    await expect.poll(() => process.listenerCount('SIGTERM')).toBe(method === 'on' ? 1 : 0);
    expect(listener).toHaveBeenCalledTimes(1);
    expect(kill.mock.calls).toEqual(kills);
    process.off('SIGTERM', listener);
  });

  test('with enableShutdownHooks: Nest ends the process, once everything is closed', async () => {
    const app = await startApp({ queues: [queues()], imports: [WorkModule] });
    app.enableShutdownHooks();
    void app.get(QueueBus).enqueue(new Work('a', 60));
    await expect.poll(() => events).toContain('a began');
    process.emit('SIGTERM');
    await expect.poll(() => kill.mock.calls.length).toBe(1);
    expect(events).toEqual(['a began', 'a ended', 'pool closed']);
    expect(process.listenerCount('SIGTERM')).toBe(0);
  });

  test('repeats within a second are one signal; a second one after it does not wait', async () => {
    const app = await startApp({ queues: [queues()], imports: [WorkModule] });
    const result = app.get(QueueBus).enqueueAndWait(new Work('a', 1500));
    await expect.poll(() => events).toContain('a began');
    const startMs = performance.now();
    for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) process.emit(signal);
    await sleep(300);
    process.emit('SIGINT');
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(kill).not.toHaveBeenCalled();
    await sleep(1000);
    process.emit('SIGINT');
    expect(kill.mock.calls).toEqual([[process.pid, 'SIGINT']]);
    expect(events).toEqual(['a began']);
    expect(await result).toBe('row');
  });

  test('a closed application listens no more; an open one keeps listening', async () => {
    const first = await startApp({ queues: [queues()], imports: [WorkModule] });
    const second = await startApp({ queues: [queues()], imports: [WorkModule] });
    expect(process.listenerCount('SIGTERM')).toBe(1);
    await first.close();
    expect(process.listenerCount('SIGTERM')).toBe(1);
    await second.close();
    expect(process.listenerCount('SIGTERM')).toBe(0);
  });
});
