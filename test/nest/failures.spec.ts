import { BadGatewayException, NotFoundException } from '@nestjs/common';
import { CommandHandler, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type AtomicQueuesConfig,
  DeadLetters,
  EntityContext,
  EntityType,
  QueueBus,
  QueueEntityId,
  TerminalError,
} from '../../src/index.js';
import { errorOf, LineLogger, startApp } from './app.js';

@EntityType('account')
class Do {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly how: string,
  ) {}
}

@EntityType('account')
class Look {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly how: string,
  ) {}
}

class InsufficientFunds extends Error {
  override readonly name = 'InsufficientFunds';
  readonly code = 'FUNDS';
  readonly status = 402;

  constructor(readonly short: number) {
    super(`${short} too little`, { cause: Object.assign(new RangeError('below 0'), { limit: 0 }) });
  }
}

const THROWS: Readonly<Record<string, () => unknown>> = {
  fault: () => new InsufficientFunds(5),
  terminal: () => new TerminalError('closed', { code: 'CLOSED', status: 410, details: { since: 7 }, cause: new Error('why') }),
  missing: () => new NotFoundException('no such account'),
  gateway: () => new BadGatewayException('upstream'),
  'a nested call': () => undefined,
  'revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable(new Error('gone'), {});
    revoke();
    return proxy;
  },
  'no prototype': () => Object.create(null),
};

const runs: string[] = [];
beforeEach(() => {
  runs.length = 0;
});

async function act({ how }: { how: string }): Promise<string> {
  runs.push(`${how} ${EntityContext.current().attempt}`);
  const thrown = THROWS[how]?.();
  if (thrown !== undefined) throw thrown;
  return how;
}

@CommandHandler(Do)
class DoHandler {
  execute = act;
}

@QueryHandler(Look)
class LookHandler {
  execute = act;
}

async function start(config: AtomicQueuesConfig = {}) {
  const logger = new LineLogger();
  const app = await startApp({ config, providers: [DoHandler, LookHandler], logger: new LineLogger() });
  app.useLogger(logger);
  return { app, bus: app.get<QueueBus>(QueueBus), dead: app.get(DeadLetters), lines: logger.lines };
}

const THRICE: AtomicQueuesConfig = { retry: { maxAttempts: 3, backoffDelay: 1 } };
const failed = (bus: QueueBus, message: object, id?: string) =>
  errorOf('HANDLER_FAILED', bus.enqueueAndWait(message, id === undefined ? {} : { id }));

const RECORDED = {
  ...{ name: 'InsufficientFunds', message: '5 too little', code: 'FUNDS', status: 402, short: 5 },
  cause: { name: 'RangeError', message: 'below 0', limit: 0 },
};

describe('the error of a handler', () => {
  it('keeps its code, status, cause, stack and fields in the dead letter', async () => {
    const { bus, dead } = await start();
    await failed(bus, new Do('a', 'fault'));
    const [letter] = (await dead.list()).letters;
    expect(letter?.error).toMatchObject(RECORDED);
    expect(letter?.error?.stack).toMatch(/^InsufficientFunds: 5 too little\n\s+at .*failures\.spec\.ts/);
    expect(letter?.error?.cause?.stack).toContain('failures.spec.ts');
  });

  it('keeps them for its caller, without stacks where a program may send them on', async () => {
    const { bus } = await start();
    const error = await failed(bus, new Do('a', 'fault'), 'k1');
    expect(error.details.error).toEqual(RECORDED);
    expect(error.cause).toMatchObject({ name: 'InsufficientFunds', code: 'FUNDS', status: 402, short: 5 });
    expect((error.cause as Error).stack).toContain('failures.spec.ts');
    expect((error.cause as Error).cause).toMatchObject({ name: 'RangeError', limit: 0 });
    // Who asks again by the id is told the same.
    expect((await failed(bus, new Do('a', 'fault'), 'k1')).details.error).toEqual(RECORDED);
  });

  it('is logged with its stack and its cause, for each attempt', async () => {
    const { bus, lines } = await start({ retry: { maxAttempts: 2, backoffDelay: 1 } });
    await failed(bus, new Do('a', 'fault'));
    const what =
      'error=InsufficientFunds: 5 too little\\n\\s+at .*failures\\.spec\\.ts[^]*caused by RangeError: below 0\\n\\s+at ';
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(new RegExp(`^warn: retrying entity=account:a .*name=Do attempt=1 delayMs=1 ${what}`));
    expect(lines[1]).toMatch(new RegExp(`^warn: dead-letter entity=account:a .*name=Do reason=failed ${what}`));
  });
});

describe('a refusal that its caller handles', () => {
  it.each(['terminal', 'missing'])('%s: failed at the first attempt, no dead letter, no warning', async (how) => {
    const { bus, dead, lines } = await start(THRICE);
    await failed(bus, new Do('a', how));
    expect(runs).toEqual([`${how} 1`]);
    expect(await dead.count()).toBe(0);
    expect(lines).toEqual([]);
    expect(await bus.enqueueAndWait(new Do('a', 'go on'))).toBe('go on');
  });

  it('gives its caller what a TerminalError says, also when it asks again by the id', async () => {
    const { bus } = await start(THRICE);
    for (let i = 0; i < 2; i++) {
      const error = await failed(bus, new Do('a', 'terminal'), 'k');
      const told = { name: 'TerminalError', code: 'CLOSED', status: 410, details: { since: 7 } };
      expect(error).toMatchObject({ definite: false, retryable: false, details: { error: told } });
      expect(error.cause).toBeInstanceOf(TerminalError);
      expect(error.cause).toMatchObject(told);
      expect((error.cause as Error).cause).toMatchObject({ message: 'why' });
    }
    expect(runs).toEqual(['terminal 1']);
  });

  it('is shown by the debug lines', async () => {
    const { bus, lines } = await start({ verbose: true });
    await failed(bus, new Do('a', 'terminal'));
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual([]);
    expect(lines.join('\n')).toMatch(/debug: ended .*state=failed error=TerminalError: closed\n\s+at /);
  });

  it('is no HttpException of 500 and more', async () => {
    const { bus, dead } = await start(THRICE);
    await failed(bus, new Do('a', 'gateway'));
    expect(runs).toHaveLength(3);
    expect(await dead.count()).toBe(1);
  });

  it.each(['revoked proxy', 'no prototype'])('is no %s, which ends as a failure like others', async (how) => {
    const { bus, dead } = await start();
    await failed(bus, new Do('a', how));
    expect(await dead.count()).toBe(1);
    expect(await bus.enqueueAndWait(new Do('a', 'go on'))).toBe('go on');
  });

  it('is what isTerminal of the type says, in place of the default; a TerminalError always', async () => {
    const isTerminal = (error: unknown) => error instanceof InsufficientFunds;
    const { bus, dead } = await start({ ...THRICE, entities: { account: { isTerminal } } });
    for (const how of ['fault', 'terminal', 'missing']) await failed(bus, new Do('a', how));
    expect(runs).toEqual(['fault 1', 'terminal 1', 'missing 1', 'missing 2', 'missing 3']);
    expect((await dead.list()).letters).toMatchObject([{ error: { name: 'NotFoundException' } }]);
  });

  it.each([
    ['throws', () => failing()],
    [
      'throws an object without a text',
      () => {
        throw Object.create(null);
      },
    ],
    ['returns a promise', () => Promise.reject(new Error('not awaited')) as unknown as boolean],
    ['returns nothing', () => undefined as unknown as boolean],
  ])('is none where isTerminal %s, and that is logged', async (_, isTerminal) => {
    const { bus, dead, lines } = await start({ entities: { account: { isTerminal } } });
    await failed(bus, new Do('a', 'missing'));
    expect(await dead.count()).toBe(1);
    expect(lines.filter((line) => line.startsWith('error: entities.account.isTerminal'))).toHaveLength(1);
    expect(await bus.enqueueAndWait(new Do('a', 'go on'))).toBe('go on');
  });

  function failing(): never {
    throw new Error('isTerminal broke');
  }
});

describe('a query that fails', () => {
  it('leaves no dead letter and no warning, and is retried as configured', async () => {
    const { app, bus, dead, lines } = await start(THRICE);
    await failed(bus, new Look('a', 'fault'));
    expect(runs).toEqual(['fault 1', 'fault 2', 'fault 3']);
    await errorOf('HANDLER_FAILED', app.get(QueryBus).execute(new Look('a', 'fault')));
    await expect(app.get(QueryBus).execute(new Look('a', 'missing'))).rejects.toBeInstanceOf(NotFoundException);
    expect(await dead.count()).toBe(0);
    expect(lines).toEqual([]);
  });
});
