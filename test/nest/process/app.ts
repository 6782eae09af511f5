/** A program of its own: what a process does on signals, and when it ends by itself. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { AtomicQueuesModule, EntityType, QueueBus, QueueEntityId } from '../../../src/index.js';

@EntityType('account')
class Work {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly forMs: number,
  ) {}
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

@CommandHandler(Work)
class WorkHandler implements ICommandHandler<Work> {
  async execute({ id, forMs }: Work): Promise<string> {
    say(`${id} began`);
    // Holds nothing: whether the process lives until the end is up to the library.
    await new Promise((resolve) => setTimeout(resolve, forMs).unref());
    say(`${id} ended`);
    return `${id} done`;
  }
}

const config = process.argv[2] === 'redis' ? { redis: { host: '127.0.0.1', port: 1 } } : { store: 'memory' as const };

@Module({ imports: [AtomicQueuesModule.forRoot(config)], providers: [WorkHandler] })
class App {}

async function main(mode: string | undefined): Promise<void> {
  const app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
  const bus = app.get(QueueBus);
  if (mode === 'wait') say(String(await bus.enqueueAndWait(new Work('w', 600))));
  if (mode === 'send') await bus.enqueue(new Work('s', 600));
  if (mode === 'signal') {
    void bus.enqueue(new Work('first', 600)).catch(() => {});
    void bus.enqueue(new Work('other', 600)).catch(() => {});
  }
  if (mode === 'one-with-hooks') {
    const hooked = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
    hooked.enableShutdownHooks();
    void bus.enqueue(new Work('slow', 1500)).catch(() => {});
    void hooked
      .get(QueueBus)
      .enqueue(new Work('fast', 300))
      .catch(() => {});
  }
  if (mode === 'close') {
    await bus.enqueue(new Work('c', 600));
    await app.close();
    say('closed');
  }
}

main(process.argv[2]).catch((error: unknown) => {
  say(`failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
