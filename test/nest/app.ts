import type { DynamicModule, INestApplicationContext, Provider, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach } from 'vitest';
import { type AtomicQueuesConfig, AtomicQueuesError, AtomicQueuesModule, type ErrorCode, QueueBus } from '../../src/index.js';

interface AppParts {
  readonly config?: AtomicQueuesConfig;
  readonly providers?: Provider[];
  readonly imports?: (Type | DynamicModule)[];
  /** Replaces forRoot(config). */
  readonly queues?: (Type | DynamicModule)[];
  readonly logger?: LineLogger;
}

class App {}

const open = new Set<INestApplicationContext>();

afterEach(async () => {
  for (const app of open) await app.close();
  open.clear();
});

/** Takes what Nest logs, as `level: message`. */
export class LineLogger {
  readonly lines: string[] = [];
  private readonly take =
    (level: string) =>
    (message: unknown): void => {
      this.lines.push(`${level}: ${String(message)}`);
    };
  readonly log = this.take('log');
  readonly warn = this.take('warn');
  readonly error = this.take('error');
  readonly debug = this.take('debug');
}

/** A real Nest application on the memory store; it is closed after the test. */
export async function startApp(parts: AppParts): Promise<INestApplicationContext> {
  const queues = parts.queues ?? [AtomicQueuesModule.forRoot({ store: 'memory', ...parts.config })];
  const app = await NestFactory.createApplicationContext(
    { module: class extends App {}, imports: [...queues, ...(parts.imports ?? [])], providers: parts.providers ?? [] },
    { logger: parts.logger ?? false, abortOnError: false },
  );
  open.add(app);
  return app;
}

export async function startBus(parts: AppParts): Promise<QueueBus> {
  return (await startApp(parts)).get(QueueBus);
}

/** The error that something ends with; it must be one of ours, with this code. */
export async function errorOf(code: ErrorCode, doing: Promise<unknown> | (() => unknown)): Promise<AtomicQueuesError> {
  let error: unknown;
  try {
    await (typeof doing === 'function' ? doing() : doing);
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) throw new Error(`expected ${code}, but it went well`);
  if (!(error instanceof AtomicQueuesError) || error.code !== code)
    throw new Error(`expected ${code}, got ${String(error)}`, { cause: error });
  return error;
}
