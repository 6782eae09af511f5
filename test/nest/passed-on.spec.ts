/** What a handler gets of its caller, passes on to what it sends, and leaves behind when it is aborted. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Scope } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { AsyncContext, CommandBus, CommandHandler, EventBus, EventsHandler, QueryBus, QueryHandler, Saga } from '@nestjs/cqrs';
import { delay, filter, map, type Observable } from 'rxjs';
import { beforeEach, describe, expect, test } from 'vitest';
import { EntityContext, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { errorOf, LineLogger, startApp } from './app.js';

@EntityType('account')
class Open {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly how = 'plain',
  ) {}
}

@EntityType('account')
class Read {
  constructor(@QueueEntityId() readonly id: string) {}
}

let seen: unknown[] = [];
beforeEach(() => {
  seen = [];
});

describe('the AsyncContext of Nest', () => {
  @Injectable({ scope: Scope.REQUEST })
  class Unit {
    readonly steps: string[] = [];
  }

  @CommandHandler(Open, { scope: Scope.REQUEST })
  class OpenHandler {
    constructor(
      @Inject(REQUEST) private readonly request: unknown,
      @Inject(Unit) private readonly unit: Unit,
    ) {}

    async execute(message: Open): Promise<number> {
      seen.push(this.request);
      this.unit.steps.push(message.id);
      await sleep(1);
      if (message.how === 'fail once' && EntityContext.current().attempt === 1) throw new Error('not yet');
      if (message.how === 'slow') await sleep(60);
      return this.unit.steps.length;
    }
  }

  @QueryHandler(Read, { scope: Scope.REQUEST })
  class ReadHandler {
    constructor(@Inject(REQUEST) private readonly request: unknown) {}
    async execute(): Promise<void> {
      seen.push(this.request);
    }
  }

  const start = () =>
    startApp({
      providers: [OpenHandler, ReadHandler, Unit],
      config: { entities: { account: { retry: { maxAttempts: 2, backoffDelay: 5 } } } },
    });

  test('is that of the call, in commands and queries that are routed, with what is scoped to it', async () => {
    const app = await start();
    const [commands, queries] = [app.get(CommandBus), app.get(QueryBus)];
    const [one, other] = [new AsyncContext(), new AsyncContext()];
    expect(await commands.execute(new Open('a'), one)).toBe(1);
    expect(await commands.execute(new Open('b'), one)).toBe(2);
    expect(await commands.execute(new Open('a'), other)).toBe(1);
    await queries.execute(new Read('a'), other);
    expect(seen.map((context) => [one, other].indexOf(context as AsyncContext))).toEqual([0, 0, 1, 1]);
  });

  test('is the one that is attached to the message, and stays for the next attempt', async () => {
    const app = await start();
    const context = new AsyncContext();
    const message = new Open('a', 'fail once');
    context.attachTo(message);
    expect(await app.get(QueueBus).enqueueAndWait(message)).toBe(2);
    expect(seen.map((found) => found === context)).toEqual([true, true]);
  });

  test('is a new one where none was given, and where nobody waits any more', async () => {
    const app = await start();
    const context = new AsyncContext();
    await app.get(CommandBus).execute(new Open('a'));
    const busy = app.get(QueueBus).enqueue(new Open('a', 'slow'));
    const waiting = new Open('a');
    context.attachTo(waiting);
    await errorOf('REPLY_TIMEOUT', app.get(QueueBus).enqueueAndWait(waiting, { timeoutMs: 20 }));
    await busy;
    await expect.poll(() => seen.length).toBe(3);
    expect(seen.map((found) => found instanceof AsyncContext && found !== context)).toEqual([true, true, true]);
  });
});

describe('the headers of a message', () => {
  class Opened {
    constructor(readonly how: string) {}
  }

  class Sent {
    constructor(readonly how: string) {}
  }

  @CommandHandler(Open)
  class OpenHandler {
    constructor(
      @Inject(CommandBus) private readonly commands: CommandBus,
      @Inject(EventBus) private readonly events: EventBus,
      @Inject(QueueBus) private readonly bus: QueueBus,
    ) {}

    async execute({ id, how }: Open): Promise<void> {
      const context = EntityContext.current();
      seen.push([id, context.headers]);
      if (how === 'send') context.enqueue(new Open('sent'));
      if (how === 'send with others') context.enqueue(new Open('sent'), { headers: { own: '1' } });
      if (how === 'send with none') context.enqueue(new Open('sent'), { headers: {} });
      if (how === 'saga' || how === 'late saga') this.events.publish(new Opened(how));
      if (how === 'event handler') this.events.publish(new Sent(how));
      if (how === 'execute') await this.commands.execute(new Open('sent'));
      if (how === 'bus') await this.bus.enqueue(new Open('sent'));
    }
  }

  @EventsHandler(Sent)
  class SentHandler {
    constructor(@Inject(CommandBus) private readonly commands: CommandBus) {}
    handle = (): Promise<unknown> => this.commands.execute(new Open('sent'));
  }

  @Injectable()
  class Sagas {
    @Saga()
    opened = (events$: Observable<unknown>): Observable<never> =>
      events$.pipe(
        filter((event) => event instanceof Opened && event.how === 'saga'),
        map(() => new Open('sent')),
      ) as Observable<never>;

    @Saga()
    later = (events$: Observable<unknown>): Observable<never> =>
      events$.pipe(
        filter((event) => event instanceof Opened && event.how === 'late saga'),
        delay(30),
        map(() => new Open('sent')),
      ) as Observable<never>;
  }

  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const own = { traceparent, tenant: 't' };

  test.each<[string, object]>([
    ['send', own],
    ['saga', own],
    ['late saga', own],
    ['execute', own],
    ['event handler', own],
    ['send with others', { own: '1' }],
    ['send with none', {}],
    ['bus', {}],
  ])('pass on by default what no headers were given for: %s', async (how, expected) => {
    const bus = (await startApp({ providers: [OpenHandler, SentHandler, Sagas] })).get<QueueBus>(QueueBus);
    await bus.enqueueAndWait(new Open('a', how), { headers: own });
    await expect.poll(() => seen.length).toBe(2);
    expect(seen).toEqual([
      ['a', own],
      ['sent', expected],
    ]);
  });

  test('count towards the limit of what is sent with them', async () => {
    const app = await startApp({ providers: [OpenHandler, SentHandler, Sagas], config: { maxPayloadBytes: 2048 } });
    // 2047 bytes with what is sent first, 2051 with what its handler sends.
    const headers = { h: 'y'.repeat(2016) };
    const call = app.get(QueueBus).enqueueAndWait(new Open('a', 'send'), { headers });
    expect((await errorOf('HANDLER_FAILED', call)).message).toContain('[PAYLOAD_TOO_LARGE] payload and headers are larger');
  });
});

describe('the signal of a handler', () => {
  const storage = new AsyncLocalStorage<string>();

  function started(listen: (signal: AbortSignal) => void) {
    @CommandHandler(Open)
    class OpenHandler {
      async execute(): Promise<string> {
        const { signal } = EntityContext.current();
        storage.run('of the handler', () => listen(signal));
        await sleep(80);
        return 'ended by itself';
      }
    }
    const logger = new LineLogger();
    const config = { entities: { account: { handlerTimeout: 20 } } };
    return startApp({ providers: [OpenHandler], config, logger }).then((app) => ({ bus: app.get<QueueBus>(QueueBus), logger }));
  }

  const note = (what: string) => (): void => {
    seen.push([what, EntityContext.currentOrNone()?.entityId, storage.getStore()]);
  };

  test('calls its listeners in the contexts in which they were added', async () => {
    const removed = note('removed');
    const { bus } = await started((signal) => {
      signal.addEventListener('abort', note('listener'));
      signal.addEventListener('abort', { handleEvent: note('object') }, { once: true });
      signal.addEventListener('abort', removed);
      signal.removeEventListener('abort', removed);
      signal.onabort = note('onabort');
      AbortSignal.any([signal]).addEventListener('abort', () => seen.push(['derived', EntityContext.current().entityId]));
      void once(signal, 'abort').then(note('once'));
    });
    expect(await storage.run('of the caller', () => bus.enqueueAndWait(new Open('a')))).toBe('ended by itself');
    const expected = ['listener', 'object', 'onabort', 'once'].map((what) => [what, 'a', 'of the handler']);
    expect(seen).toHaveLength(5);
    expect(seen).toEqual(expect.arrayContaining([...expected, ['derived', 'a']]));
  });

  test('survives listeners that throw, and says so; the handler and the others go on', async () => {
    const uncaught: unknown[] = [];
    const onUncaught = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtException', onUncaught);
    const { bus, logger } = await started((signal) => {
      signal.addEventListener('abort', () => {
        throw new Error('thrown by a listener');
      });
      signal.addEventListener('abort', async () => {
        throw new Error('rejected by a listener');
      });
      signal.addEventListener('abort', {
        handleEvent: () => {
          throw new Error('thrown by an object');
        },
      });
      signal.onabort = () => {
        throw new Error('thrown by onabort');
      };
      signal.addEventListener('abort', note('last'));
    });
    expect(await bus.enqueueAndWait(new Open('a'))).toBe('ended by itself');
    await sleep(5);
    process.off('uncaughtException', onUncaught);
    expect(uncaught).toEqual([]);
    expect(seen).toEqual([['last', 'a', 'of the handler']]);
    const faults = logger.lines.filter((line) => line.startsWith('error: abort-listener-failed entity=account:a '));
    const texts = ['thrown by a listener', 'rejected by a listener', 'thrown by an object', 'thrown by onabort'];
    expect(texts.filter((text) => !faults.some((line) => line.includes(text)))).toEqual([]);
    expect(faults).toHaveLength(4);
  });

  test('is an AbortSignal to everybody who takes one', async () => {
    const { bus } = await started((signal) => {
      seen.push(signal instanceof AbortSignal, signal.aborted);
      sleep(1000, undefined, { signal }).catch((error: Error) => seen.push(error.name));
      signal.onabort = note('replaced');
      signal.onabort = null;
      seen.push(signal.onabort);
    });
    await bus.enqueueAndWait(new Open('a'));
    expect(seen).toEqual([true, false, null, 'AbortError']);
  });
});
