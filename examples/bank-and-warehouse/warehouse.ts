/** The warehouse: a service that owns items. It shares no class of the bank: a refund is sent by name. */
import 'reflect-metadata';
import { Inject } from '@nestjs/common';
import { CommandHandler, ICommandHandler, IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { EntityContext, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { Reserve } from './contracts.js';
import { startService } from './service.js';

interface Item {
  readonly stock: number;
  readonly reserved: number;
}

const items = new Map<string, Item>();
const itemOf = (sku: string): Item => items.get(sku) ?? { stock: 0, reserved: 0 };

@EntityType('item')
class Restock {
  constructor(
    @QueueEntityId() readonly sku: string,
    readonly count: number,
  ) {}
}

@EntityType('item')
class GetItem {
  constructor(@QueueEntityId() readonly sku: string) {}
}

@CommandHandler(Restock)
class RestockHandler implements ICommandHandler<Restock> {
  async execute({ sku, count }: Restock): Promise<void> {
    const { stock, reserved } = itemOf(sku);
    items.set(sku, { stock: stock + count, reserved });
  }
}

@CommandHandler(Reserve)
class ReserveHandler implements ICommandHandler<Reserve> {
  constructor(@Inject(QueueBus) private readonly bus: QueueBus) {}

  async execute({ sku, count, accountId, cents }: Reserve): Promise<void> {
    const { stock, reserved } = itemOf(sku);
    if (stock >= count) {
      items.set(sku, { stock: stock - count, reserved: reserved + count });
      return;
    }
    // The id makes it one refund, however often this handler should be run.
    const id = `refund of ${EntityContext.current().messageId}`;
    await this.bus.enqueue('account', 'Deposit', accountId, { cents }, { id });
  }
}

@QueryHandler(GetItem)
class GetItemHandler implements IQueryHandler<GetItem> {
  async execute({ sku }: GetItem): Promise<Item> {
    return itemOf(sku);
  }
}

await startService('warehouse', [RestockHandler, ReserveHandler, GetItemHandler]);
