/** One node of a cluster, with the callers of its parent: started by process.ts, orders and answers go over IPC. */
import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Module, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import {
  AtomicQueuesError,
  AtomicQueuesModule,
  EntityContext,
  EntityType,
  type IGrpcConfig,
  QueueBus,
  QueueEntityId,
} from '../../src/index.js';

export interface AppOptions {
  readonly redisUrl: string;
  readonly keyPrefix: string;
  readonly serverId: string;
  readonly grpc: IGrpcConfig;
  /** New code also handles `Inspect`. */
  readonly code: 'old' | 'new';
}

export interface Order {
  readonly call: number;
  readonly name: 'Visit' | 'Inspect';
  readonly id: string;
  /** How long the handler waits. */
  readonly forMs: number;
  readonly timeoutMs?: number | undefined;
}

export interface Handled {
  readonly serverId: string;
  readonly code: AppOptions['code'];
  readonly sequence: number;
}

export type Answer =
  | { readonly ok: true; readonly handled: Handled }
  | { readonly ok: false; readonly code: string; readonly definite: boolean; readonly text: string };

export type News =
  | { readonly kind: 'ready' }
  /** A handler has begun here. */
  | { readonly kind: 'began'; readonly id: string }
  | { readonly kind: 'answer'; readonly call: number; readonly answer: Answer };

const tell = (news: News): void => void process.send?.(news);

@EntityType('item')
class Visit {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly forMs: number,
  ) {}
}

@EntityType('item')
class Inspect {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly forMs: number,
  ) {}
}

class Place {
  constructor(readonly options: AppOptions) {}

  async handle(id: string, forMs: number): Promise<Handled> {
    tell({ kind: 'began', id });
    if (forMs > 0) await sleep(forMs);
    const { serverId, code } = this.options;
    return { serverId, code, sequence: EntityContext.current().sequence };
  }
}

@CommandHandler(Visit)
class VisitHandler implements ICommandHandler<Visit> {
  constructor(@Inject(Place) private readonly place: Place) {}

  execute({ id, forMs }: Visit): Promise<Handled> {
    return this.place.handle(id, forMs);
  }
}

@CommandHandler(Inspect)
class InspectHandler implements ICommandHandler<Inspect> {
  constructor(@Inject(Place) private readonly place: Place) {}

  execute({ id, forMs }: Inspect): Promise<Handled> {
    return this.place.handle(id, forMs);
  }
}

@Module({})
class App {}

async function answerTo(bus: QueueBus, { name, id, forMs, timeoutMs }: Order): Promise<Answer> {
  const wait = timeoutMs === undefined ? {} : { timeoutMs };
  try {
    return { ok: true, handled: await bus.enqueueAndWait<Handled>('item', name, id, { forMs }, wait) };
  } catch (error) {
    if (!(error instanceof AtomicQueuesError)) throw error;
    const { code, definite, message: text } = error;
    return { ok: false, code, definite, text };
  }
}

async function main(options: AppOptions): Promise<void> {
  const { redisUrl, keyPrefix, serverId, grpc, code } = options;
  const queues = AtomicQueuesModule.forRoot({ redis: { url: redisUrl }, keyPrefix, serverId, grpc });
  const providers: Provider[] = [{ provide: Place, useValue: new Place(options) }, VisitHandler];
  if (code === 'new') providers.push(InspectHandler);
  const app = await NestFactory.createApplicationContext(
    { module: App, imports: [queues], providers },
    { logger: false, abortOnError: false },
  );
  const bus: QueueBus = app.get(QueueBus);
  let isClosing = false;
  process.on('disconnect', () => {
    // Whoever ends the test ends its nodes with it.
    if (!isClosing) process.exit(1);
  });
  process.on('message', (order: Order) => {
    const { call } = order;
    void answerTo(bus, order).then((answer) => tell({ kind: 'answer', call, answer }));
  });
  process.on('SIGTERM', () => {
    isClosing = true;
    // The process then ends by itself: whatever would hold it is a fault that the test sees.
    void app.close().then(() => process.disconnect());
  });
  tell({ kind: 'ready' });
}

await main(JSON.parse(process.argv[2] ?? '{}') as AppOptions);
