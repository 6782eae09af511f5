/** The commands of the app that is killed. Their handlers write to a store of their own, and write down what they do. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { EntityContext, EntityType, QueueEntityId, Reply } from '../../src/index.js';
import { Ledger } from './ledger.js';
import type { Plan } from './plan.js';
import { type End, RecordWriter } from './record.js';

export interface Handled {
  readonly ref: string;
}

@EntityType('account')
export class AccountMessage implements Reply<Handled> {
  @QueueEntityId() readonly accountId: string;

  constructor(readonly plan: Plan) {
    this.accountId = plan.entityId;
  }
}

@EntityType('order')
export class OrderMessage implements Reply<Handled> {
  @QueueEntityId() readonly orderId: string;

  constructor(readonly plan: Plan) {
    this.orderId = plan.entityId;
  }
}

export const messageOf = (plan: Plan): AccountMessage | OrderMessage =>
  plan.type === 'account' ? new AccountMessage(plan) : new OrderMessage(plan);

/** Does what a plan says. */
@Injectable()
export class Performer {
  constructor(
    @Inject(RecordWriter) private readonly record: RecordWriter,
    @Inject(Ledger) private readonly ledger: Ledger,
  ) {}

  async perform(plan: Plan): Promise<Handled> {
    const context = EntityContext.current();
    const { messageId: id, sequence: seq, attempt, fence } = context;
    const event = { ref: plan.ref, id, entity: `${context.entityType}:${context.entityId}`, seq, attempt, fence };
    this.record.write({ kind: 'start', ...event });
    let how: End['how'] = 'threw';
    try {
      for (const sent of plan.sends) context.enqueue(messageOf(sent));
      if (plan.workMs > 0) await sleep(plan.workMs);
      if (plan.does === 'throw' || (plan.does === 'flaky' && attempt === 1)) throw new Error(`planned failure of ${plan.ref}`);
      if (!(await this.ledger.write({ ...event, run: this.record.run }))) {
        how = 'fenced';
        throw new Error(`${event.entity} has a newer owner than fence ${fence}`);
      }
      how = 'ok';
      return { ref: plan.ref };
    } finally {
      this.record.write({ kind: 'end', ...event, how });
    }
  }
}

@CommandHandler(AccountMessage)
export class AccountHandler implements ICommandHandler<AccountMessage> {
  constructor(@Inject(Performer) private readonly performer: Performer) {}

  execute({ plan }: AccountMessage): Promise<Handled> {
    return this.performer.perform(plan);
  }
}

@CommandHandler(OrderMessage)
export class OrderHandler implements ICommandHandler<OrderMessage> {
  constructor(@Inject(Performer) private readonly performer: Performer) {}

  execute({ plan }: OrderMessage): Promise<Handled> {
    return this.performer.perform(plan);
  }
}
