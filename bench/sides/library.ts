/** The library as its users run it: a Nest application context, a decorated command and its handler, the QueueBus. */
import 'reflect-metadata';
import { INestApplicationContext, Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { AtomicQueuesConfig, AtomicQueuesModule, EntityType, QueueBus, QueueEntityId, Reply } from '../../src/index.js';
import { Witness } from '../witness.js';
import { BenchMessage, PADDING, Side, StartSide } from './side.js';

@EntityType('account')
class Post implements Reply<number> {
  @QueueEntityId() readonly accountId: string;
  readonly padding = PADDING;

  constructor(
    accountId: string,
    readonly number: number,
  ) {
    this.accountId = accountId;
  }
}

@CommandHandler(Post)
class PostHandler implements ICommandHandler<Post> {
  constructor(@Inject(Witness) private readonly witness: Witness) {}

  execute({ accountId, number }: Post): Promise<number> {
    return this.witness.handle(accountId, number);
  }
}

@Module({})
class BenchApp {}

const post = ({ entity, number }: BenchMessage): Post => new Post(entity, number);

interface AppOptions {
  readonly redisPort: number | undefined;
  readonly idleTimeoutMs: number;
  /** Witness of the handlers. Undefined: this application only sends. */
  readonly witness: Witness | undefined;
}

export function startApp(options: AppOptions, more: AtomicQueuesConfig = {}): Promise<INestApplicationContext> {
  const { redisPort, idleTimeoutMs, witness } = options;
  const store = redisPort === undefined ? { store: 'memory' as const } : { redis: { host: '127.0.0.1', port: redisPort } };
  const queues = AtomicQueuesModule.forRoot({
    ...store,
    maxTotalQueueDepth: 0,
    maxTotalWorkers: 0,
    entities: { account: { workerIdleTimeout: idleTimeoutMs, replyTimeout: 60_000 } },
    ...more,
  });
  return NestFactory.createApplicationContext(
    {
      module: BenchApp,
      imports: [queues],
      providers: witness === undefined ? [] : [{ provide: Witness, useValue: witness }, PostHandler],
    },
    { logger: false, abortOnError: false },
  );
}

/** Returns the side that sends messages through an application. */
export function sideOf(app: INestApplicationContext): Side {
  const bus = app.get(QueueBus);
  return {
    window: 4,
    bulk: async (messages) => {
      const outcomes = await bus.enqueueBulk(messages.map(post));
      for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
    },
    call: (message) => bus.enqueueAndWait<number>(post(message)),
    close: () => app.close(),
  };
}

export const startLibrary: StartSide = async (options) => sideOf(await startApp(options));
