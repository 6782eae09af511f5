/** A payload is checked again where it runs: the version that runs it may be another than the one that accepted it. */
import { CommandHandler } from '@nestjs/cqrs';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DeadLetters, EntityType, QueueBus, QueueEntityId, Schema } from '../../src/index.js';
import { errorOf, startApp } from './app.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Answer = { issues?: { message: string; path?: string[] }[] };

/** What the schema answers: each payload fits at its call, and where it runs as `atRun` says. */
let atRun: (value: unknown) => Answer | Promise<Answer> = () => ({});
let accepted = new Set<string>();
let runs: string[] = [];
beforeEach(() => {
  [atRun, accepted, runs] = [() => ({}), new Set(), []];
});

function validate(value: unknown): Answer | Promise<Answer> {
  const text = JSON.stringify(value);
  if (accepted.has(text)) return atRun(value);
  accepted.add(text);
  return {};
}

@EntityType('t')
@Schema({ '~standard': { version: 1, vendor: 'test', validate } })
class Checked {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly what: string,
  ) {}
}

const Transformed = z.object({ id: z.string(), text: z.string().trim().toUpperCase(), note: z.string().default('none') });

@EntityType('t')
@Schema(Transformed)
class Transforming {
  readonly note?: string;
  constructor(
    @QueueEntityId() readonly id: string,
    readonly text: string,
  ) {}
}

@CommandHandler(Checked)
class CheckedHandler {
  async execute({ what }: Checked): Promise<string> {
    runs.push(what);
    if (what === 'fails') throw new Error('as told');
    return what;
  }
}

@CommandHandler(Transforming)
class TransformingHandler {
  execute = async (message: Transforming): Promise<object> => ({ ...message });
}

const start = async (config: object = {}): Promise<{ bus: QueueBus; letters: DeadLetters }> => {
  const app = await startApp({
    providers: [CheckedHandler, TransformingHandler],
    config: { storeCallTimeoutMs: 100, ...config },
  });
  return { bus: app.get(QueueBus), letters: app.get(DeadLetters) };
};

const wrong: Answer = { issues: [{ message: 'no such field any more', path: ['what'] }] };

describe('a payload that no longer fits where it runs', () => {
  it.each([
    ['at once', () => wrong],
    ['later', () => sleep(5).then(() => wrong)],
  ])('is a dead letter, its handler is not called, and its caller knows it for certain (%s)', async (_, answer) => {
    atRun = answer;
    const { bus, letters } = await start();
    const error = await errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait(new Checked('a', 'x')));
    expect(error.definite).toBe(true);
    expect(error.message).toMatch(/payload of t\.Checked does not match its schema: \$\.what: no such field any more/);
    expect(runs).toEqual([]);
    const [letter] = (await letters.list()).letters;
    expect(letter).toMatchObject({ name: 'Checked', reason: 'failed', error: { code: 'SCHEMA_VIOLATION' } });
  });

  it('is not retried, and not certain to be without effect once an attempt has run', async () => {
    const { bus } = await start({ retry: { maxAttempts: 5, backoff: 'fixed', backoffDelay: 10 } });
    atRun = () => (runs.length === 0 ? {} : wrong);
    const error = await errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait(new Checked('a', 'fails')));
    expect(error.definite).toBe(false);
    expect(runs).toEqual(['fails']);
  });

  it('does not keep what comes after it from running', async () => {
    const { bus } = await start();
    let asked = 0;
    atRun = (value) => {
      asked++;
      return (value as Checked).what === 'first' ? sleep(20).then(() => wrong) : {};
    };
    const first = errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait(new Checked('a', 'first')));
    await expect.poll(() => asked).toBe(1);
    await Promise.all([first, bus.enqueueAndWait(new Checked('a', 'second')), bus.enqueueAndWait(new Checked('b', 'other'))]);
    expect(runs.sort()).toEqual(['other', 'second']);
  });
});

describe('a schema that cannot tell where the message runs', () => {
  it.each([
    ['throws', () => Promise.reject(new Error('its database is down'))],
    ['does not answer', () => new Promise<Answer>(() => {})],
  ])('%s: the attempt has failed, and is retried as any other', async (_, first) => {
    const { bus } = await start({ enqueueTimeoutMs: 120, retry: { maxAttempts: 2, backoff: 'fixed', backoffDelay: 10 } });
    let asked = 0;
    atRun = () => (++asked === 1 ? first() : {});
    expect(await bus.enqueueAndWait(new Checked('a', 'x'))).toBe('x');
    expect(asked).toBe(2);
  });
});

describe('a schema that transforms', () => {
  it('changes nothing: the log holds what was given, and the handler gets that', async () => {
    const { bus } = await start();
    expect(await bus.enqueueAndWait(new Transforming('a', ' text '))).toEqual({ id: 'a', text: ' text ' });
  });
});
