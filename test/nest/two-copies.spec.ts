import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Module } from '@nestjs/common';
import { CommandHandler } from '@nestjs/cqrs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as Package from '../../src/index.js';
import { type Transpiled, transpile } from '../support/transpiled.js';
import { LineLogger, startApp } from './app.js';

describe('two copies of the package in one process', () => {
  const folders: Transpiled[] = [];
  let first: typeof Package;
  let second: typeof Package;

  beforeAll(async () => {
    for (const name of ['copy-one', 'copy-two']) folders.push(transpile(name, 'src'));
    const load = ({ dir }: Transpiled): Promise<unknown> =>
      import(/* @vite-ignore */ pathToFileURL(join(dir, 'src/index.js')).href);
    [first, second] = (await Promise.all(folders.map(load))) as [typeof Package, typeof Package];
    expect(second.QueueBus).not.toBe(first.QueueBus);
  });
  afterAll(() => {
    for (const folder of folders) folder.remove();
  });

  /** Messages and handlers of a library that uses the second copy, in an application that uses the first. */
  function parts() {
    class Ask {
      constructor(
        readonly id: string,
        readonly fails: boolean,
      ) {}
    }
    second.QueueEntity('account', 'id')(Ask);
    class AskHandler {
      async execute({ fails }: Ask): Promise<string> {
        if (fails) throw new second.AtomicQueuesError('SHUTTING_DOWN', 'of the other copy');
        return [first, second].map(({ EntityContext }) => EntityContext.current().entityId).join(' ');
      }
    }
    CommandHandler(Ask)(AskHandler);
    class Library {
      constructor(
        readonly bus: Package.QueueBus,
        readonly letters: Package.DeadLetters,
      ) {}
    }
    Reflect.defineMetadata('design:paramtypes', [second.QueueBus, second.DeadLetters], Library);
    class LibraryModule {}
    Module({ providers: [Library], exports: [Library] })(LibraryModule);
    return { Ask, AskHandler, Library, LibraryModule };
  }

  test('inject one bus, share the context, know their errors, and are warned about once with both paths', async () => {
    const { Ask, AskHandler, Library, LibraryModule } = parts();
    const logger = new LineLogger();
    const queues = [first.AtomicQueuesModule.forRoot({ store: 'memory' })];
    const app = await startApp({ queues, imports: [LibraryModule], providers: [AskHandler], logger });
    const { bus, letters } = app.get(Library);
    expect(bus).toBe(app.get(first.QueueBus));
    expect(bus).toBeInstanceOf(second.QueueBus);
    expect(letters).toBe(app.get(first.DeadLetters));
    expect(await bus.enqueueAndWait(new Ask('a', false))).toBe('a a');
    const error: unknown = await bus.enqueueAndWait(new Ask('a', true)).catch((thrown: unknown) => thrown);
    for (const { AtomicQueuesError } of [first, second]) expect(error).toBeInstanceOf(AtomicQueuesError);
    const warnings = (lines: readonly string[]): readonly string[] =>
      lines.filter((line) => line.includes('copies of atomic-queues'));
    expect(warnings(logger.lines)).toHaveLength(1);
    for (const { dir } of folders) expect(warnings(logger.lines)[0]).toContain(join(dir, 'src'));
    const again = new LineLogger();
    await startApp({ queues: [first.AtomicQueuesModule.forRoot({ store: 'memory' })], logger: again });
    expect(warnings(again.lines)).toEqual([]);
  });

  test('an error of a subclass is one of that subclass only', () => {
    class Refused extends first.AtomicQueuesError {}
    const refused = new Refused('WITHDRAWN', 'x');
    expect(refused).toBeInstanceOf(second.AtomicQueuesError);
    expect(refused).toBeInstanceOf(Refused);
    expect(new first.AtomicQueuesError('WITHDRAWN', 'x')).not.toBeInstanceOf(Refused);
    for (const other of [new Error('x'), null, undefined, 'x', {}, { code: 'WITHDRAWN' }])
      expect(other instanceof first.AtomicQueuesError).toBe(false);
  });
});
