import { Inject, Injectable, Scope } from '@nestjs/common';
import {
  CommandBus,
  CommandHandler,
  EventBus,
  EventsHandler,
  ICommandHandler,
  IQueryHandler,
  QueryBus,
  QueryHandler,
  Saga,
} from '@nestjs/cqrs';
import { map, Observable } from 'rxjs';
import { beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EntityContext, EntityType, QueueBus, QueueEntityId, ReplySchema } from '../../src/index.js';
import { errorOf, startApp, startBus } from './app.js';

@EntityType('account')
@ReplySchema(z.object({ ok: z.boolean() }).optional())
class Answer {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly how: string,
  ) {}
}

@EntityType('account')
class Ask {
  @QueueEntityId() readonly id: string = 'a';
}

@EntityType('account')
class Relay {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly how: string,
  ) {}
}

class Plain {
  constructor(readonly value: number) {}
}

let runs: string[] = [];
beforeEach(() => {
  runs = [];
});

const ANSWERS: Record<string, () => unknown> = {
  good: () => ({ ok: true }),
  'sync value': () => ({ ok: true }),
  nothing: () => undefined,
  wrong: () => ({ ok: 'yes' }),
  'not JSON': () => ({ ok: true, big: 1n }),
  'too long': () => ({ ok: true, text: 'x'.repeat(2000) }),
  throws: () => {
    throw new TypeError('broken');
  },
  'throws a string': () => {
    throw 'just text';
  },
  'throws undefined': () => {
    throw undefined;
  },
};

@CommandHandler(Answer)
class AnswerHandler implements ICommandHandler<Answer> {
  execute({ how }: Answer): Promise<unknown> {
    runs.push(how);
    if (how === 'throws' || how === 'sync value') return ANSWERS[how]!() as Promise<unknown>;
    return Promise.resolve().then(ANSWERS[how]!);
  }
}

describe('results', () => {
  let bus: QueueBus;
  beforeEach(async () => {
    const config = { maxPayloadBytes: 1000, retry: { maxAttempts: 3, backoffDelay: 1 } };
    bus = await startBus({ providers: [AnswerHandler], config });
  });

  test('good ones arrive, also from a handler that is not asynchronous', async () => {
    expect(await bus.enqueueAndWait(new Answer('a', 'good'))).toEqual({ ok: true });
    expect(await bus.enqueueAndWait(new Answer('a', 'sync value'))).toEqual({ ok: true });
    expect(await bus.enqueueAndWait(new Answer('a', 'nothing'))).toBeUndefined();
  });

  test.each(['wrong', 'not JSON', 'too long'])('%s: failed, not definite, not retried', async (how) => {
    const error = await errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait(new Answer('a', how)));
    expect(error.definite).toBe(false);
    expect(runs).toEqual([how]);
    expect(await bus.enqueueAndWait(new Answer('a', 'good'))).toEqual({ ok: true });
  });

  test.each([
    ['throws', 'TypeError: broken'],
    ['throws a string', 'just text'],
    ['throws undefined', ''],
  ])('%s: HANDLER_FAILED after its attempts', async (how, text) => {
    const error = await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Answer('a', how)));
    expect(error.message).toContain(text);
    expect(runs).toEqual([how, how, how]);
    expect(await bus.enqueueAndWait(new Answer('a', 'good'))).toEqual({ ok: true });
  });
});

describe('scopes', () => {
  let made = 0;

  @Injectable({ scope: Scope.REQUEST })
  class PerRequest {
    readonly number = ++made;
  }

  @Injectable({ scope: Scope.TRANSIENT })
  class Transient {
    readonly number = ++made;
  }

  @CommandHandler(Answer, { scope: Scope.REQUEST })
  class ScopedHandler implements ICommandHandler<Answer> {
    constructor(
      @Inject(PerRequest) readonly dependency: PerRequest,
      @Inject(Transient) readonly transient: Transient,
    ) {}

    async execute(answer: Answer): Promise<undefined> {
      expect(answer).toBeInstanceOf(Answer);
      expect(EntityContext.current().entityId).toBe(answer.id);
      runs.push(`${answer.id}:${this.dependency.number}:${this.transient.number}`);
      return undefined;
    }
  }

  @QueryHandler(Ask)
  class AskHandler implements IQueryHandler<Ask> {
    constructor(@Inject(PerRequest) readonly dependency: PerRequest) {}

    async execute(): Promise<number> {
      return this.dependency.number;
    }
  }

  test('a request-scoped handler is a new one for each message, with its dependencies', async () => {
    const bus = await startBus({ providers: [PerRequest, Transient, ScopedHandler, AskHandler] });
    await Promise.all(['a', 'b', 'c'].map((id) => bus.enqueueAndWait(new Answer(id, 'x'))));
    expect(runs.map((run) => run[0]).toSorted()).toEqual(['a', 'b', 'c']);
    expect(new Set(runs.flatMap((run) => run.split(':').slice(1))).size).toBe(6);
    const first = await bus.enqueueAndWait<number>(new Ask());
    expect(await bus.enqueueAndWait<number>(new Ask())).toBeGreaterThan(first);
  });

  test('a handler whose constructor throws fails the message, and no other', async () => {
    @CommandHandler(Answer, { scope: Scope.REQUEST })
    class Broken implements ICommandHandler<Answer> {
      constructor() {
        throw new Error('no constructor today');
      }
      execute = async (): Promise<void> => {};
    }
    const bus = await startBus({ providers: [Broken, PerRequest, AskHandler] });
    const error = await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Answer('a', 'x')));
    expect(error.message).toContain('no constructor today');
    expect(await bus.enqueueAndWait(new Ask())).toBeGreaterThan(0);
  });
});

class Happened {
  constructor(readonly id: string) {}
}

@EventsHandler(Happened)
class HappenedHandler {
  handle(): void {
    runs.push('event');
  }
}

@Injectable()
class Sagas {
  @Saga()
  onHappened = (events$: Observable<unknown>): Observable<Answer> =>
    events$.pipe(map((event) => new Answer((event as Happened).id, 'good')));
}

@CommandHandler(Plain)
class PlainHandler implements ICommandHandler<Plain> {
  async execute({ value }: Plain): Promise<number> {
    expect(EntityContext.currentOrNone()).toBeUndefined();
    return value;
  }
}

@QueryHandler(Ask)
class WhereHandler implements IQueryHandler<Ask> {
  async execute(): Promise<string> {
    return EntityContext.currentOrNone()?.entityId ?? 'outside';
  }
}

@CommandHandler(Relay)
class RelayHandler implements ICommandHandler<Relay> {
  constructor(@Inject(CommandBus) private readonly commands: CommandBus) {}

  async execute({ id, how }: Relay): Promise<unknown> {
    return this.commands.execute(new Answer(how === 'same' ? id : `${id}-other`, 'good'));
  }
}

describe('direct execution', () => {
  const providers = [AnswerHandler, PlainHandler, WhereHandler, RelayHandler, Sagas, HappenedHandler];

  test("'route' takes commands, queries and sagas through the worker; other messages stay as they are", async () => {
    const app = await startApp({ providers });
    expect(await app.get(CommandBus).execute(new Answer('a', 'good'))).toEqual({ ok: true });
    expect(await app.get(QueryBus).execute(new Ask())).toBe('a');
    expect(await app.get(CommandBus).execute(new Plain(5))).toBe(5);
    await errorOf('HANDLER_FAILED', app.get(CommandBus).execute(new Answer('a', 'throws')));
    runs = [];
    app.get(EventBus).publish(new Happened('s'));
    await expect.poll(() => runs.toSorted()).toEqual(['event', 'good']);
  });

  test("'route' from inside a handler waits for another entity, and sees a cycle", async () => {
    const bus = await startBus({ providers });
    expect(await bus.enqueueAndWait(new Relay('a', 'other'))).toEqual({ ok: true });
    const error = await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Relay('a', 'same')));
    expect(error.message).toContain('CALL_CYCLE');
  });

  test("'refuse' says what to do instead", async () => {
    const app = await startApp({ providers, config: { directExecution: 'refuse' } });
    const error = await errorOf('CONFIG_INVALID', app.get(CommandBus).execute(new Answer('a', 'good')));
    expect(error.message).toContain('enqueueAndWait');
    await errorOf('CONFIG_INVALID', app.get(QueryBus).execute(new Ask()));
    expect(await app.get(CommandBus).execute(new Plain(5))).toBe(5);
    expect(await app.get(QueueBus).enqueueAndWait(new Ask())).toBe('a');
    expect(runs).toEqual([]);
  });

  test("'allow' leaves the buses alone", async () => {
    const app = await startApp({ providers, config: { directExecution: 'allow' } });
    expect(await app.get(QueryBus).execute(new Ask())).toBe('outside');
    expect(await app.get(QueueBus).enqueueAndWait(new Ask())).toBe('a');
  });
});

describe('transactional sends', () => {
  @CommandHandler(Relay)
  class SendingHandler implements ICommandHandler<Relay> {
    async execute({ id, how }: Relay): Promise<void> {
      const context = EntityContext.current();
      context.enqueue(new Answer(`${id}-child`, 'good'), { headers: { from: context.messageId } });
      if (how === 'then throws') throw new Error('after the send');
      if (how === 'bad child') context.enqueue(new Answer('', 'good'));
    }
  }

  test('leave with the completion of the handler, or not at all', async () => {
    const bus = await startBus({ providers: [AnswerHandler, SendingHandler] });
    await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Relay('a', 'then throws')));
    expect((await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Relay('a', 'bad child')))).message).toContain(
      'INVALID_ENTITY_ID',
    );
    await bus.enqueueAndWait(new Answer('a-child', 'nothing'));
    expect(runs).toEqual(['nothing']);
    await bus.enqueueAndWait(new Relay('a', 'goes well'));
    await expect.poll(() => runs).toEqual(['nothing', 'good']);
  });
});
