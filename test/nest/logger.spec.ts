import { CommandHandler } from '@nestjs/cqrs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DeadLetters, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { errorOf, LineLogger, startApp } from './app.js';

@EntityType('t')
class Do {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly what: 'fail' | 'go on',
  ) {}
}

@CommandHandler(Do)
class DoHandler {
  async execute({ what }: Do): Promise<string> {
    if (what === 'fail') throw new Error('wrong');
    return what;
  }
}

class BrokenLogger extends LineLogger {
  broken: string[] = [];
  private readonly breaks =
    (level: string) =>
    (message: unknown): void => {
      this.broken.push(`${level}: ${String(message)}`);
      throw new Error('the transport is gone');
    };
  override readonly log = this.breaks('log');
  override readonly warn = this.breaks('warn');
  override readonly error = this.breaks('error');
}

const uncaught: unknown[] = [];
const keep = (error: unknown): void => void uncaught.push(error);
beforeEach(() => {
  uncaught.length = 0;
  process.on('unhandledRejection', keep);
  process.on('uncaughtException', keep);
});
afterEach(() => {
  process.off('unhandledRejection', keep);
  process.off('uncaughtException', keep);
});

it('a logger that throws hinders no entity, and nobody who listens', async () => {
  const logger = new BrokenLogger();
  const app = await startApp({ providers: [DoHandler], logger: new LineLogger() });
  app.useLogger(logger);
  const heard: string[] = [];
  app.get(DeadLetters).onDeadLetter(({ reason }) => {
    heard.push(reason);
    throw new Error('a listener throws too');
  });
  const bus = app.get(QueueBus);
  await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Do('a', 'fail'), { timeoutMs: 2000 }));
  expect(await bus.enqueueAndWait(new Do('a', 'go on'), { timeoutMs: 2000 })).toBe('go on');
  expect(heard).toEqual(['failed']);
  await expect.poll(() => logger.broken.join('\n')).toMatch(/warn: dead-letter.*\n?error: a listener/s);
  await app.close();
  expect(uncaught).toEqual([]);
});
