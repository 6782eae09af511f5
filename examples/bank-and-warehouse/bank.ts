/** The bank: a service that owns accounts. It knows the warehouse by one class. */
import 'reflect-metadata';
import { CommandHandler, ICommandHandler, IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { EntityContext, EntityType, QueueEntityId } from '../../src/index.js';
import { Reserve } from './contracts.js';
import { startService } from './service.js';

/** In memory, so that the example needs no database; a real service keeps them in one, claims each row with the fence. */
const balances = new Map<string, number>();
const balanceOf = (accountId: string): number => balances.get(accountId) ?? 0;

@EntityType('account')
class Deposit {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly cents: number,
  ) {}
}

@EntityType('account')
class Buy {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly sku: string,
    readonly count: number,
    readonly cents: number,
  ) {}
}

@EntityType('account')
class GetBalance {
  constructor(@QueueEntityId() readonly accountId: string) {}
}

@CommandHandler(Deposit)
class DepositHandler implements ICommandHandler<Deposit> {
  async execute({ accountId, cents }: Deposit): Promise<number> {
    balances.set(accountId, balanceOf(accountId) + cents);
    return balanceOf(accountId);
  }
}

@CommandHandler(Buy)
class BuyHandler implements ICommandHandler<Buy> {
  async execute({ accountId, sku, count, cents }: Buy): Promise<number> {
    if (balanceOf(accountId) < cents) throw new Error(`${accountId} has ${balanceOf(accountId)} cents, not ${cents}`);
    balances.set(accountId, balanceOf(accountId) - cents);
    // To another service, and yet logged in one step with the end of this handler: no payment without its order.
    EntityContext.current().enqueue(new Reserve(sku, count, accountId, cents));
    return balanceOf(accountId);
  }
}

@QueryHandler(GetBalance)
class GetBalanceHandler implements IQueryHandler<GetBalance> {
  async execute({ accountId }: GetBalance): Promise<number> {
    return balanceOf(accountId);
  }
}

await startService('bank', [DepositHandler, BuyHandler, GetBalanceHandler]);
