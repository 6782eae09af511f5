/**
 * A node with an HTTP server, as a program of its own. Started by process.ts; what it sends to its parent is its port. How it
 * closes is up to `how`: in order, as docs/guide.md has it, or by Nest's shutdown hooks alone.
 */
import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, type INestApplication, Inject, Module, Param, Post, Query, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandBus, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { type AtomicQueuesConfig, AtomicQueuesModule, EntityContext, EntityType, QueueEntityId } from '../../src/index.js';

export interface AppOptions {
  readonly how: 'in order' | 'hooks';
  readonly balancerMs: number;
  readonly requestsMs: number;
  readonly config: AtomicQueuesConfig;
}

/** The code of the page. */
interface Recipe {
  readonly ReadyController: Type;
  closeInOrder(app: INestApplication, limits: { balancerMs: number; requestsMs: number }): void;
}

export interface Visited {
  readonly serverId: string;
  readonly sequences: readonly number[];
}

@EntityType('item')
class Visit {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly forMs: number,
  ) {}
}

@CommandHandler(Visit)
class VisitHandler implements ICommandHandler<Visit> {
  async execute({ forMs }: Visit): Promise<number> {
    if (forMs > 0) await sleep(forMs);
    return EntityContext.current().sequence;
  }
}

const { how, balancerMs, requestsMs, config } = JSON.parse(process.argv[2] ?? '{}') as AppOptions;

@Controller('items')
class Items {
  constructor(@Inject(CommandBus) private readonly commandBus: CommandBus) {}

  /** Visits an item that many times, one after another: a request in flight makes calls until its end. */
  @Post(':id')
  async visit(@Param('id') id: string, @Query('times') times: string, @Query('ms') ms: string): Promise<Visited> {
    const sequences: number[] = [];
    while (sequences.length < Number(times)) sequences.push(await this.commandBus.execute(new Visit(id, Number(ms))));
    return { serverId: config.serverId ?? '', sequences };
  }
}

async function main(): Promise<void> {
  const page = './close-in-order.js';
  const { ReadyController, closeInOrder } = (await import(page)) as Recipe;
  @Module({
    imports: [AtomicQueuesModule.forRoot(config)],
    controllers: [Items, ReadyController],
    providers: [VisitHandler],
  })
  class App {}
  const app = await NestFactory.create(App, { logger: ['warn', 'error'], abortOnError: false });
  if (how === 'in order') closeInOrder(app, { balancerMs, requestsMs });
  else app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  // The end of the test process ends its nodes too.
  process.on('disconnect', () => process.exit(1));
  process.send?.((app.getHttpServer().address() as AddressInfo).port);
}

await main();
