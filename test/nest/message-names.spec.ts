/** The name of a message in the log: given by the decorator, or the name of its class, which minifiers change. */
import { CommandHandler } from '@nestjs/cqrs';
import { describe, expect, it, test } from 'vitest';
import { EntityType, QueueBus, QueueEntity, QueueEntityId } from '../../src/index.js';
import { metadata } from '../../src/nest/metadata.js';
import { isSurelyMinified, looksMinified } from '../../src/nest/minified.js';
import { errorOf, LineLogger, startApp } from './app.js';

@EntityType('account', { name: 'deposit.v1' })
class Deposit {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly amount: number,
  ) {}
}

@QueueEntity('account', 'id', { name: 'withdraw' })
class Withdrawal {
  constructor(
    readonly id: string,
    readonly amount: number,
  ) {}
}

@CommandHandler(Deposit)
class DepositHandler {
  execute = async (message: Deposit): Promise<string> => `${message instanceof Deposit} ${message.amount}`;
}

@CommandHandler(Withdrawal)
class WithdrawalHandler {
  execute = async (): Promise<string> => Promise.reject(new Error('no funds'));
}

/** A class under a name that is not written here, so that no rename of a tool can change it. */
function named<C extends object>(messageClass: C, name: string): C {
  Object.defineProperty(messageClass, 'name', { value: name });
  return messageClass;
}

const handlerOf = (messageClass: new (id: string) => object): (new () => object) => {
  @CommandHandler(messageClass)
  class Handler {
    execute = async (): Promise<string> => 'done';
  }
  return Handler;
};

describe('@EntityType(type, { name })', () => {
  const start = async (): Promise<QueueBus> => (await startApp({ providers: [DepositHandler, WithdrawalHandler] })).get(QueueBus);

  it('names the message in the registry and for calls by name', async () => {
    const bus = await start();
    expect(bus.introspect().messagesFor('account')).toEqual(['deposit.v1', 'withdraw']);
    expect(await bus.enqueueAndWait(new Deposit('a', 1))).toBe('true 1');
    expect(await bus.enqueueAndWait('account', 'deposit.v1', 'a', { amount: 2 })).toBe('true 2');
    await errorOf('UNKNOWN_MESSAGE', bus.enqueue('account', 'Deposit', 'a', { amount: 2 }));
  });

  it('is not inherited: a subclass is a message of its own', () => {
    class Special extends Deposit {}
    expect(metadata.nameOf(Special)).toBe('Special');
    expect(metadata.nameOf(Deposit)).toBe('deposit.v1');
  });

  test.each([[''], ['a b'], ['a\x1fb'], ['x'.repeat(129)], [7], [null]])('refuses the name %j', async (name) => {
    const error = await errorOf('CONFIG_INVALID', () => EntityType('account', { name: name as string })(class Message {}));
    expect(error.message).toContain('name');
  });

  it('is told apart from another class of the same name', async () => {
    @EntityType('account', { name: 'deposit.v1' })
    class Other {
      constructor(@QueueEntityId() readonly id: string) {}
    }
    const error = await errorOf('CONFIG_INVALID', startApp({ providers: [DepositHandler, handlerOf(Other)] }));
    expect(error.message).toContain('two classes for message "deposit.v1"');
    const bus = await start();
    await errorOf('UNKNOWN_MESSAGE', bus.enqueue(new Other('a')));
  });
});

describe('a name that looks minified', () => {
  test.each(['t', 'De', 'a1', '_a', '$t', '_a1', 'xB3', 'aB', 'x_1', 'qRt', 'class_1', '_class', '_class2'])('is %s', (name) => {
    expect(looksMinified(name)).toBe(true);
  });

  test.each(['Pay', 'pay', 'ACH', '_Pay', 'Deposit', 'DepositCommand', 'Go2x', 'Überweisung', 'Classify'])(
    'is not %s',
    (name) => {
      expect(looksMinified(name)).toBe(false);
    },
  );

  it('is surely minified where the text of the class is too', () => {
    const make = (source: string): object => new Function(`return ${source}`)() as object;
    expect(isSurelyMinified(named(make('class{constructor(e,n){this.id=e}}'), 't'))).toBe(true);
    expect(isSurelyMinified(named(make('class e extends Object{}'), 'e'))).toBe(true);
    expect(isSurelyMinified(named(make('class Go { id; }'), 'Go'))).toBe(false);
    expect(isSurelyMinified(named(make('class e{}'), 'Deposit'))).toBe(false);
  });

  it('is warned about at the start, once for each class', async () => {
    @EntityType('account')
    class Message {
      constructor(@QueueEntityId() readonly id: string) {}
    }
    const logger = new LineLogger();
    const app = await startApp({ providers: [handlerOf(named(Message, 't')), DepositHandler], logger });
    const warnings = logger.lines.filter((line) => line.startsWith('warn') && line.includes('minified'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/message "t" of entity type "account".*@EntityType\('account', \{ name: '\.\.\.' \}\)/);
    expect(await app.get(QueueBus).enqueueAndWait(new Message('a'))).toBe('done');
  });

  it('is not warned about where the decorator gives it', async () => {
    @EntityType('account', { name: 't' })
    class Message {
      constructor(@QueueEntityId() readonly id: string) {}
    }
    const logger = new LineLogger();
    await startApp({ providers: [handlerOf(Message)], logger });
    expect(logger.lines.filter((line) => line.includes('minified'))).toEqual([]);
  });
});
