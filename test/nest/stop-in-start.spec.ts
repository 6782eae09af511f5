/** An application that is closed before or while it starts. Nest waits for `init` in some kinds of application only. */
import { type AddressInfo, createServer } from 'node:net';
import { Inject, Injectable, Module, OnApplicationBootstrap } from '@nestjs/common';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { Test } from '@nestjs/testing';
import { describe, expect, test, vi } from 'vitest';
import { type AtomicQueuesConfig, AtomicQueuesModule, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { AtomicQueuesHost } from '../../src/nest/host.js';
import { errorOf } from './app.js';

const HOST = Symbol.for('atomic-queues:host');

@EntityType('account')
class Work {
  constructor(@QueueEntityId() readonly id: string) {}
}

@CommandHandler(Work)
class WorkHandler implements ICommandHandler<Work> {
  execute({ id }: Work): Promise<string> {
    return Promise.resolve(id);
  }
}

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** An application whose own bootstrap hook ends as `hook` does. */
async function application(hook = (): Promise<void> => Promise.resolve(), config: AtomicQueuesConfig = { store: 'memory' }) {
  @Injectable()
  class Slow implements OnApplicationBootstrap {
    constructor(@Inject(QueueBus) readonly bus: QueueBus) {}

    onApplicationBootstrap(): Promise<void> {
      return hook();
    }
  }
  @Module({ imports: [AtomicQueuesModule.forRoot(config)], providers: [WorkHandler, Slow] })
  class App {}
  const module = await Test.createTestingModule({ imports: [App] }).compile();
  const host: AtomicQueuesHost = module.get(HOST, { strict: false });
  return { module, host, bus: module.get<QueueBus>(QueueBus, { strict: false }) };
}

async function expectStopped({ bus }: { readonly bus: QueueBus }): Promise<void> {
  const error = await errorOf('SHUTTING_DOWN', bus.enqueue(new Work('a')));
  expect(error).toMatchObject({ definite: true, message: expect.stringContaining('shut down') });
  await errorOf('SHUTTING_DOWN', bus.enqueueAndWait(new Work('a')));
  expect(bus.health()).toMatchObject({ state: 'stopped', isReady: false, incarnation: 0 });
  expect(process.listenerCount('SIGTERM')).toBe(0);
}

async function expectNextWorks(): Promise<void> {
  const next = await application();
  await next.module.init();
  expect(await next.bus.enqueueAndWait(new Work('next'))).toBe('next');
  await next.module.close();
}

describe('an application that is closed', () => {
  test('before its start: no node starts, and init says so', async () => {
    const app = await application();
    await app.module.close();
    expect(await errorOf('SHUTTING_DOWN', app.module.init())).toMatchObject({ definite: true });
    await expectStopped(app);
    // Nest 11 rejects with the error of `init`.
    await app.module.close().catch(() => undefined);
    await expectStopped(app);
    await expectNextWorks();
  });

  test('after its start: no second start', async () => {
    const app = await application();
    await app.module.init();
    await app.module.close();
    await errorOf('SHUTTING_DOWN', app.host.start());
    await expectStopped(app);
  });

  test('while a bootstrap hook of the user is under way, where Nest does not wait for that', async () => {
    const [begun, hook] = [gate(), gate()];
    const { module, host, bus } = await application(() => {
      begun.open();
      return hook.opened;
    });
    const app = module.createNestApplication({ logger: false });
    const starting = app.init();
    await begun.opened;
    await app.close();
    hook.open();
    await errorOf('SHUTTING_DOWN', starting);
    await expectStopped({ bus });
    await errorOf('SHUTTING_DOWN', host.start());
    await expectNextWorks();
  });

  test('by SIGTERM with shutdown hooks, while a bootstrap hook of the user is under way', async () => {
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    const [begun, hook] = [gate(), gate()];
    const { module, bus } = await application(() => {
      begun.open();
      return hook.opened;
    });
    const app = module.createNestApplication({ logger: false });
    app.enableShutdownHooks();
    const starting = app.init();
    await begun.opened;
    process.emit('SIGTERM', 'SIGTERM');
    await expect.poll(() => kill.mock.calls).toEqual([[process.pid, 'SIGTERM']]);
    hook.open();
    await errorOf('SHUTTING_DOWN', starting);
    await expectStopped({ bus });
    kill.mockRestore();
  });

  test('while a bootstrap hook of the user is under way that fails then', async () => {
    const [begun, hook] = [gate(), gate()];
    const { module, bus } = await application(() => {
      begun.open();
      return hook.opened.then(() => Promise.reject(new Error('no cache')));
    });
    const app = module.createNestApplication({ logger: false });
    const starting = app.init();
    await begun.opened;
    await app.close();
    hook.open();
    await expect(starting).rejects.toThrow('no cache');
    await expectStopped({ bus });
  });

  test.each([0, 1, 2, 3, 4, 6, 8, 12])(
    'after %s turns of its start: init says so, or the node has started and is stopped',
    async (turns) => {
      const app = await application();
      app.host.explore();
      const starting = app.host.start().then(
        () => 'started',
        (error: unknown) => (error as { code?: string }).code,
      );
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      await app.host.stop();
      expect(['SHUTTING_DOWN', 'started']).toContain(await starting);
      await expectStopped(app);
      await expectNextWorks();
    },
  );

  test('while it waits for its gRPC port: at once, and the port stays free', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const address = `127.0.0.1:${port}`;
    // The node listens before it connects to anything.
    const grpc = { enabled: true, listenAddress: address, advertisedAddress: address };
    const app = await application(undefined, { redis: { host: '127.0.0.1', port: 1 }, grpc });
    app.host.explore();
    const starting = errorOf('SHUTTING_DOWN', app.host.start());
    await new Promise((resolve) => setTimeout(resolve, 150));
    const startMs = performance.now();
    await app.host.stop();
    expect(performance.now() - startMs).toBeLessThan(500);
    await starting;
    await expectStopped(app);
    await new Promise((resolve) => taken.close(resolve));
    await new Promise((resolve) => setTimeout(resolve, 250));
    await new Promise<void>((resolve, reject) => taken.once('error', reject).listen(port, '127.0.0.1', resolve));
    taken.close();
  });
});
