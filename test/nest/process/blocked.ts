/** A node as a program of its own, whose handlers can block it. Says what happens in lines; is told what to send by messages. */
import 'reflect-metadata';
import { writeSync } from 'node:fs';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import {
  type AtomicQueuesConfig,
  AtomicQueuesModule,
  EntityContext,
  EntityType,
  QueueBus,
  QueueEntityId,
} from '../../../src/index.js';

/** `how`: computes for `forMs`, without turning the loop, or waits for it. */
@EntityType('account')
class Work {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly label: string,
    readonly how: 'blocks' | 'waits',
    readonly forMs: number,
  ) {}
}

// Synchronous: a blocked loop would keep a line to itself.
const say = (text: string): void => void writeSync(1, `${text}\n`);

@CommandHandler(Work)
class WorkHandler implements ICommandHandler<Work> {
  async execute({ label, how, forMs }: Work): Promise<string> {
    const { signal } = EntityContext.current();
    say(`began ${label}`);
    if (how === 'waits') await new Promise((resolve) => setTimeout(resolve, forMs));
    else for (const endMs = performance.now() + forMs; performance.now() < endMs; );
    // What is due since the loop was blocked, a lapse for instance, comes first.
    await new Promise((resolve) => setTimeout(resolve, 50));
    say(`ended ${label}${signal.aborted ? ' aborted' : ''}`);
    return label;
  }
}

const logger = { log: say, warn: say, error: say, debug: say };

async function main(config: AtomicQueuesConfig): Promise<void> {
  @Module({ imports: [AtomicQueuesModule.forRoot(config)], providers: [WorkHandler] })
  class App {}
  const app = await NestFactory.createApplicationContext(App, { logger, abortOnError: false });
  const bus = app.get(QueueBus);
  process.on('message', (order: 'close' | [id: string, label: string, how: 'blocks' | 'waits', forMs: number][]) => {
    if (order === 'close') {
      void app.close().then(() => process.disconnect());
      return;
    }
    bus.enqueueBulk(order.map((args) => new Work(...args))).then(
      (outcomes) => say(`logged ${outcomes.filter(({ ok }) => ok).length}`),
      (error: unknown) => say(`not logged: ${String(error)}`),
    );
  });
  say('up');
}

main(JSON.parse(process.argv[2] as string) as AtomicQueuesConfig).catch((error: unknown) => {
  say(`failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
