import { CommandHandler } from '@nestjs/cqrs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { escapeId } from '../../src/core/ids.js';
import { DeadLetters, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { MemoryStore } from '../../src/memory/store.js';
import { LoggerTrace } from '../../src/nest/logger-trace.js';
import { StoreCallError } from '../../src/ports/store.js';
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
  vi.restoreAllMocks();
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

it('a line has the causes and fields of an error, and a thrown value that is no error', () => {
  const logger = new LineLogger();
  const trace = new LoggerTrace(logger, false, () => {});
  const error = Object.assign(new Error('outer', { cause: new TypeError('inner') }), { code: 'E1' });
  trace.emit('loop-failed', { loop: 'sweep', error });
  expect(logger.lines[0]).toMatch(
    /^error: loop-failed loop=sweep error=Error: outer\n\s+at [\s\S]*"code":"E1"[\s\S]*caused by TypeError: inner/,
  );
  trace.emit('loop-failed', { loop: 'sweep', error: { code: 'E1' } });
  expect(logger.lines[1]).toContain('{"code":"E1"}');
  trace.emit('loop-failed', { loop: 'sweep', error: Object.create(null) });
  expect(logger.lines[2]).toMatch(/^error: loop-failed loop=sweep error=NonError/);
});

it('a line has the id that the caller gave, in every event', () => {
  const logger = new LineLogger();
  const trace = new LoggerTrace(logger, true, () => {});
  const id = escapeId('order:42 of %41');
  trace.emit('dead-letter', { entity: 'account:a', id, name: 'Do', reason: 'failed', error: '' });
  trace.emit('interrupted', { entity: 'account:a', id, requeued: true });
  trace.emit('began', { entity: 'account:a', id, name: 'Do', seq: 1, attempt: 1 });
  expect(logger.lines.filter((line) => line.includes(' id=order:42 of %41 '))).toHaveLength(3);
});

it('a node that closes by an unexpected error logs its causes, and gives them to who calls later', async () => {
  const logger = new LineLogger();
  const app = await startApp({ providers: [DoHandler], logger });
  const cause = Object.assign(new Error('of the server'), { code: 'NOPERM' });
  vi.spyOn(MemoryStore.prototype, 'control').mockImplementation(((op: { op: string }) =>
    op.op === 'heartbeat'
      ? Promise.resolve({ ok: false, code: 'FENCED', at: 0 })
      : Promise.reject(new StoreCallError('the user may not join', true, true, { cause }))) as never);
  const closed = (): string | undefined => logger.lines.find((line) => line.includes('the node has closed'));
  await expect
    .poll(closed, { timeout: 10_000 })
    .toMatch(/the user may not join[\s\S]*caused by Error: of the server[\s\S]*NOPERM/);
  const error = await errorOf('SHUTTING_DOWN', app.get(QueueBus).enqueue(new Do('a', 'go on')));
  expect(error).toMatchObject({ cause: { code: 'CONFIG_INVALID', cause: { message: 'the user may not join', cause } } });
});
