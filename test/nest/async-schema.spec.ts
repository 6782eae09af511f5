/** Schemas that answer later must not change the order of one caller's calls for one entity (I3). */
import { CommandHandler } from '@nestjs/cqrs';
import { beforeEach, describe, expect, it } from 'vitest';
import { EntityType, QueueBus, QueueEntityId, Schema } from '../../src/index.js';
import { errorOf, startBus } from './app.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A negative answer is refused; one that is 0 never comes. */
async function validate(value: unknown): Promise<{ issues?: { message: string }[] }> {
  const { answersAfterMs } = value as Checked;
  if (answersAfterMs === 0) return new Promise(() => {});
  await sleep(Math.abs(answersAfterMs));
  return answersAfterMs < 0 ? { issues: [{ message: 'no' }] } : {};
}

@EntityType('t')
@Schema({ '~standard': { version: 1, vendor: 'test', validate } })
class Checked {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly what: string,
    readonly answersAfterMs: number,
  ) {}
}

@EntityType('t')
class Plain {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly what: string,
  ) {}
}

let runs: string[] = [];
beforeEach(() => {
  runs = [];
});

const run = ({ what }: Plain): string => {
  runs.push(what);
  return what;
};

@CommandHandler(Checked)
class CheckedHandler {
  execute = async (message: Checked): Promise<string> => run(message);
}

@CommandHandler(Plain)
class PlainHandler {
  execute = async (message: Plain): Promise<string> => run(message);
}

const start = (enqueueTimeoutMs = 5000): Promise<QueueBus> =>
  startBus({ providers: [CheckedHandler, PlainHandler], config: { enqueueTimeoutMs, storeCallTimeoutMs: 100 } });

describe('calls for one entity while a schema has not answered', () => {
  it('keep their order, whichever way they are made', async () => {
    const bus = await start();
    await Promise.all([
      bus.enqueue(new Checked('a', '1', 30)),
      bus.enqueue(new Plain('a', '2')),
      bus.enqueueAndWait(new Checked('a', '3', 5)),
      bus.enqueueBulk([new Plain('a', '4'), new Checked('a', '5', 10), new Plain('a', '6')]),
      bus.enqueueAndWait('t', 'Plain', 'a', { what: '7' }),
      bus.forEntity('t', 'a').enqueue(new Plain('a', '8')),
    ]);
    await bus.enqueueAndWait(new Plain('a', '9'));
    expect(runs.join('')).toBe('123456789');
  });

  it('wait in a bulk only for their own entity', async () => {
    const bus = await start();
    const bulk = bus.enqueueBulk([new Plain('a', 'first'), new Checked('a', 'late', 300), new Plain('b', 'other')]);
    await bus.enqueueAndWait(new Plain('b', 'after'));
    expect(runs.filter((what) => what !== 'first')).toEqual(['other', 'after']);
    expect((await bulk).map(({ ok }) => ok)).toEqual([true, true, true]);
    await expect.poll(() => runs.at(-1)).toBe('late');
  });

  it('go on when it refuses', async () => {
    const bus = await start();
    const wrong = errorOf('SCHEMA_VIOLATION', bus.enqueue(new Checked('a', 'wrong', -10)));
    const bulk = bus.enqueueBulk([new Checked('a', 'wrong', -20), new Plain('a', 'next')]);
    expect(await bus.enqueueAndWait(new Plain('a', 'last'))).toBe('last');
    await wrong;
    expect((await bulk).map((outcome) => (outcome.ok ? 'ok' : outcome.error.code))).toEqual(['SCHEMA_VIOLATION', 'ok']);
    expect(runs).toEqual(['next', 'last']);
  });

  it('go on when it never answers: its own call is refused after enqueueTimeoutMs', async () => {
    const bus = await start(120);
    const silent = errorOf('SCHEMA_VIOLATION', bus.enqueue(new Checked('a', 'silent', 0)));
    expect(await bus.enqueueAndWait(new Plain('a', 'next'))).toBe('next');
    expect((await silent).message).toContain('enqueueTimeoutMs');
  });

  it('are given up in their own time: kept, they still run; withdrawn, they do not', async () => {
    const bus = await start();
    const first = bus.enqueueAndWait(new Checked('a', 'first', 300));
    const signal = AbortSignal.timeout(10);
    const kept = errorOf('REPLY_TIMEOUT', bus.enqueueAndWait(new Plain('a', 'kept'), { timeoutMs: 20 }));
    const taken = errorOf('REPLY_TIMEOUT', bus.enqueueAndWait(new Plain('a', 'taken'), { signal, onTimeout: 'withdraw' }));
    const left = errorOf('REPLY_TIMEOUT', bus.enqueueAndWait(new Plain('a', 'left'), { signal }));
    expect((await kept).definite).toBe(false);
    expect((await left).definite).toBe(false);
    expect((await taken).definite).toBe(true);
    await errorOf('REPLY_TIMEOUT', bus.enqueueAndWait(new Checked('a', 'gone', -1), { signal }));
    expect(runs).toEqual([]);
    await first;
    expect(await bus.enqueueAndWait(new Plain('a', 'last'))).toBe('last');
    expect(runs).toEqual(['first', 'kept', 'left', 'last']);
  });
});
