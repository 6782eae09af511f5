/** Runs the first half: the same handlers in a Nest app without the library, called directly by @nestjs/cqrs. */
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandBus, CqrsModule } from '@nestjs/cqrs';
import { Bank, BankAccess } from './bank.js';
import { Clients, ClientsOptions, Counter, Verdict } from './clients.js';
import { AccountClosed, Deposit, DepositHandler, InsufficientFunds, Outbox, WithdrawHandler } from './messages.js';

@Injectable()
class DirectOutbox extends Outbox {
  constructor(@Inject(CommandBus) private readonly commands: CommandBus) {
    super();
  }

  /** Runs the deposit directly. If it fails, the money is lost: no log holds the message. */
  async send(message: Deposit): Promise<void> {
    await this.commands.execute(message);
  }
}

@Module({})
class NaiveApp {}

export interface NaiveResult {
  readonly lostUpdates: number;
  readonly overdrafts: number;
  readonly wrongBalances: number;
  readonly messages: number;
  readonly seconds: number;
}

export async function runNaive(bank: Bank, options: ClientsOptions): Promise<NaiveResult> {
  const app = await NestFactory.createApplicationContext(
    {
      module: NaiveApp,
      imports: [CqrsModule.forRoot()],
      providers: [
        { provide: BankAccess, useValue: bank },
        { provide: Outbox, useClass: DirectOutbox },
        DepositHandler,
        WithdrawHandler,
      ],
    },
    { logger: false, abortOnError: false },
  );
  const commands = app.get(CommandBus);
  const counter: Counter = {
    ask: (message): Promise<Verdict> =>
      commands.execute(message).then(
        () => 'completed',
        (error: unknown) => {
          if (error instanceof InsufficientFunds || error instanceof AccountClosed) return 'failed';
          throw error;
        },
      ),
  };
  const clients = new Clients(counter, options);
  const start = performance.now();
  await clients.run();
  const seconds = (performance.now() - start) / 1000;
  await app.close();
  const { lostUpdates, overdrafts } = bank;
  return { lostUpdates, overdrafts, wrongBalances: bank.wrongBalances(), messages: clients.accepted, seconds };
}
