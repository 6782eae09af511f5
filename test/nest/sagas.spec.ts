/** What a saga answers to an event of a handler: a command that the handler does not wait for. */
import { Inject, Injectable } from '@nestjs/common';
import { CommandBus, CommandHandler, EventBus, EventsHandler, Saga, UnhandledExceptionBus } from '@nestjs/cqrs';
import { filter, map, type Observable } from 'rxjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { EntityContext, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { errorOf, LineLogger, startApp } from './app.js';

class Placed {
  constructor(
    readonly orderId: string,
    readonly answer: object,
  ) {}
}

@EntityType('order')
class Place {
  constructor(
    @QueueEntityId() readonly orderId: string,
    readonly then: 'same' | 'other' | 'plain' | 'fail',
    readonly forMs = 0,
  ) {}
}

@EntityType('order')
class Confirm {
  constructor(
    @QueueEntityId() readonly orderId: string,
    readonly mood: 'good' | 'bad' = 'good',
  ) {}
}

@EntityType('stock')
class Ship {
  constructor(
    @QueueEntityId() readonly sku: string,
    readonly label: string,
    readonly forMs = 0,
  ) {}
}

class Plain {}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let runs: string[] = [];
beforeEach(() => {
  runs = [];
});

@CommandHandler(Place)
class PlaceHandler {
  constructor(@Inject(EventBus) private readonly events: EventBus) {}

  async execute({ orderId, then, forMs }: Place): Promise<void> {
    const answers = {
      same: new Confirm(orderId),
      other: new Ship('tea', 'by saga'),
      plain: new Plain(),
      fail: new Confirm(orderId, 'bad'),
    };
    await sleep(forMs);
    this.events.publish(new Placed(orderId, answers[then]));
    runs.push('placed');
  }
}

@CommandHandler(Confirm)
class ConfirmHandler {
  async execute({ mood }: Confirm): Promise<void> {
    runs.push(`confirmed, chain ${EntityContext.current().chain.length}`);
    if (mood === 'bad') throw new Error('not today');
  }
}

@CommandHandler(Ship)
class ShipHandler {
  async execute({ label, forMs }: Ship): Promise<void> {
    await sleep(forMs);
    runs.push(`shipped ${label}`);
  }
}

@CommandHandler(Plain)
class PlainHandler {
  async execute(): Promise<void> {
    runs.push('plain');
  }
}

@Injectable()
class Sagas {
  @Saga()
  placed = (events$: Observable<unknown>): Observable<object> =>
    events$.pipe(
      filter((event) => event instanceof Placed),
      map(({ answer }) => answer),
    ) as Observable<never>;
}

const providers = [PlaceHandler, ConfirmHandler, ShipHandler, PlainHandler, Sagas];

describe('the command of a saga, for an event of a handler', () => {
  it('for the same entity runs when the handler has ended', async () => {
    const bus = (await startApp({ providers })).get(QueueBus);
    await bus.enqueueAndWait(new Place('o', 'same'));
    await expect.poll(() => runs).toEqual(['placed', 'confirmed, chain 0']);
  });

  it('for an entity that is busy runs, however long it has to wait', async () => {
    const app = await startApp({ providers, config: { entities: { stock: { replyTimeout: 50 } } }, logger: new LineLogger() });
    const told: unknown[] = [];
    app.get(UnhandledExceptionBus, { strict: false }).subscribe(({ exception }) => told.push(exception));
    const bus = app.get(QueueBus);
    await bus.enqueue(new Ship('tea', 'before', 200));
    await bus.enqueueAndWait(new Place('o', 'other'));
    await expect.poll(() => runs).toEqual(['placed', 'shipped before', 'shipped by saga']);
    expect(told).toMatchObject([{ code: 'REPLY_TIMEOUT' }]);
  });

  it('is told to the UnhandledExceptionBus when it fails; one that is no entity message runs as ever', async () => {
    const app = await startApp({ providers, logger: new LineLogger() });
    const told: unknown[] = [];
    app.get(UnhandledExceptionBus, { strict: false }).subscribe(({ exception }) => told.push(exception));
    await app.get(QueueBus).enqueueAndWait(new Place('o', 'fail'));
    await expect.poll(() => told).toMatchObject([{ code: 'HANDLER_FAILED' }]);
    await app.get(QueueBus).enqueueAndWait(new Place('o', 'plain'));
    expect(runs).toEqual(['placed', 'confirmed, chain 0', 'plain', 'placed']);
  });

  it('is accepted also while the application drains', async () => {
    const app = await startApp({ providers, logger: new LineLogger() });
    const told: unknown[] = [];
    app.get(UnhandledExceptionBus, { strict: false }).subscribe(({ exception }) => told.push(exception));
    void app.get(QueueBus).enqueue(new Place('o', 'same', 100));
    await sleep(30);
    await app.close();
    expect(runs).toEqual(['placed']);
    // The wait has ended, and not the message: a refusal would be SHUTTING_DOWN.
    expect(told).toMatchObject([{ code: 'OUTCOME_UNKNOWN' }]);
  });

  it('is none of what a handler executes itself: there a cycle is a cycle', async () => {
    @CommandHandler(Place)
    class AskingHandler {
      constructor(@Inject(CommandBus) private readonly commands: CommandBus) {}
      execute = ({ orderId }: Place): Promise<unknown> => this.commands.execute(new Confirm(orderId));
    }
    const bus = (await startApp({ providers: [AskingHandler, ConfirmHandler] })).get(QueueBus);
    expect((await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Place('o', 'same')))).message).toContain('CALL_CYCLE');
  });

  it('is none of what an event handler executes: that is a call of the handler that published', async () => {
    @EventsHandler(Placed)
    class PlacedHandler {
      constructor(@Inject(CommandBus) private readonly commands: CommandBus) {}
      handle = ({ orderId }: Placed): Promise<unknown> => this.commands.execute(new Confirm(orderId));
    }
    const app = await startApp({ providers: [PlaceHandler, PlacedHandler, ConfirmHandler], logger: new LineLogger() });
    const told: unknown[] = [];
    app.get(UnhandledExceptionBus, { strict: false }).subscribe(({ exception }) => told.push(exception));
    await app.get(QueueBus).enqueueAndWait(new Place('o', 'plain'));
    await expect.poll(() => told).toMatchObject([{ code: 'CALL_CYCLE' }]);
    expect(runs).toEqual(['placed']);
  });
});
