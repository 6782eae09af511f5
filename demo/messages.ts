/** The commands and their handlers. Both halves of the demo run exactly these classes. */
import { Inject, Injectable } from '@nestjs/common';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { EntityType, QueueEntityId, Reply } from '../src/index.js';
import { BankAccess } from './bank.js';

export interface Receipt {
  readonly ref: string;
  readonly balanceCents: number;
}

@EntityType('account')
export class Deposit implements Reply<Receipt> {
  @QueueEntityId() readonly accountId: string;

  /** The message holds the money until the deposit is booked. Its dead letter holds the money too. */
  constructor(
    accountId: string,
    readonly amountCents: number,
    readonly ref: string,
  ) {
    this.accountId = accountId;
  }
}

@EntityType('account')
export class Withdraw implements Reply<Receipt> {
  @QueueEntityId() readonly accountId: string;

  /** With `toAccountId` the withdrawal is a transfer: its handler sends the amount to that account. */
  constructor(
    accountId: string,
    readonly amountCents: number,
    readonly ref: string,
    readonly toAccountId?: string,
  ) {
    this.accountId = accountId;
  }
}

export class InsufficientFunds extends Error {
  override readonly name = 'InsufficientFunds';
}

export class AccountClosed extends Error {
  override readonly name = 'AccountClosed';
}

/** Sends a further message from a handler. The two halves of the demo differ only in this class. */
@Injectable()
export abstract class Outbox {
  abstract send(message: Deposit): Promise<void>;
}

@CommandHandler(Deposit)
export class DepositHandler implements ICommandHandler<Deposit> {
  constructor(@Inject(BankAccess) private readonly bank: BankAccess) {}

  async execute({ accountId, amountCents, ref }: Deposit): Promise<Receipt> {
    const account = await this.bank.read(accountId);
    if (account.closed) {
      await this.bank.refuse(ref, 'AccountClosed');
      throw new AccountClosed(`${accountId} is closed`);
    }
    return { ref, balanceCents: await this.bank.write(account, amountCents, ref) };
  }
}

@CommandHandler(Withdraw)
export class WithdrawHandler implements ICommandHandler<Withdraw> {
  constructor(
    @Inject(BankAccess) private readonly bank: BankAccess,
    @Inject(Outbox) private readonly outbox: Outbox,
  ) {}

  async execute({ accountId, amountCents, ref, toAccountId }: Withdraw): Promise<Receipt> {
    const account = await this.bank.read(accountId);
    if (account.balanceCents < amountCents) {
      await this.bank.refuse(ref, 'InsufficientFunds');
      throw new InsufficientFunds(`${accountId} has ${account.balanceCents}, not ${amountCents}`);
    }
    const balanceCents = await this.bank.write(account, -amountCents, ref);
    if (toAccountId) await this.outbox.send(new Deposit(toAccountId, amountCents, depositRef(ref)));
    return { ref, balanceCents };
  }
}

/** Returns the reference of the deposit that a transfer sends. */
export const depositRef = (transferRef: string): string => `${transferRef}/in`;
