import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { expect, test } from 'vitest';
// What zod 3.25 is: this part of zod 4 is the same code.
import { z } from 'zod/v3';
import { EntityType, QueueEntityId, ReplySchema, Schema } from '../../src/index.js';
import { errorOf, startBus } from './app.js';

@EntityType('account')
@Schema(z.object({ id: z.string(), amount: z.number().positive() }))
@ReplySchema(z.object({ balance: z.number() }))
class Deposit {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly amount: number,
  ) {}
}

@CommandHandler(Deposit)
class DepositHandler implements ICommandHandler<Deposit> {
  async execute({ amount }: Deposit): Promise<unknown> {
    return amount > 100 ? { balance: 'much' } : { balance: amount };
  }
}

test('schemas of zod 3.25 check payload and reply; it cannot say them as JSON Schema, so none is published', async () => {
  const bus = await startBus({ providers: [DepositHandler] });
  expect(await bus.enqueueAndWait(new Deposit('a', 5))).toEqual({ balance: 5 });
  const refused = await errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait(new Deposit('a', -1)));
  expect(refused).toMatchObject({ definite: true, details: { path: '$.amount' } });
  const wrong = await errorOf('SCHEMA_VIOLATION', bus.enqueueAndWait(new Deposit('a', 101)));
  expect(wrong).toMatchObject({ definite: false, message: expect.stringContaining('$.balance: Expected number') });
  expect(bus.introspect().schemaFor('account', 'Deposit')).toBeUndefined();
});
