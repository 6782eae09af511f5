/** What the services say to each other. A message needs no shared class: `warehouse.ts` refunds by name. */
import { Command } from '@nestjs/cqrs';
import { EntityType, QueueEntityId } from '../../src/index.js';

/** Handled by the warehouse; sent by the bank with the payment that it belongs to. */
@EntityType('item')
export class Reserve extends Command<void> {
  constructor(
    @QueueEntityId() readonly sku: string,
    readonly count: number,
    readonly accountId: string,
    readonly cents: number,
  ) {
    super();
  }
}

/** What a process of the example is told by main.ts. */
export interface ServiceOptions {
  readonly redisUrl: string;
  readonly address: string;
}
