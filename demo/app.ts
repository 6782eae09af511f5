/** The bank's application in the second half: the same handlers, with the library between the clients and the handlers. */
import { INestApplicationContext, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesConfig, AtomicQueuesError, AtomicQueuesModule, EntityContext, QueueBus } from '../src/index.js';
import { BankAccess } from './bank.js';
import { Counter, Verdict } from './clients.js';
import { Deposit, DepositHandler, Outbox, Withdraw, WithdrawHandler } from './messages.js';

@Injectable()
class TransactionalOutbox extends Outbox {
  /** Logs the message atomically with the completion of the running handler, or not at all. */
  async send(message: Deposit): Promise<void> {
    EntityContext.current().enqueue(message);
  }
}

@Module({})
class BankApp {}

const PATIENCE_MS = 30_000;
const IMPATIENCE_MS = 3;
const TRIES_MAX = 4;

export const startBankApp = (bank: BankAccess, config: AtomicQueuesConfig): Promise<INestApplicationContext> =>
  NestFactory.createApplicationContext(
    {
      module: BankApp,
      imports: [AtomicQueuesModule.forRoot({ ...config, entities: { account: { replyTimeout: PATIENCE_MS } } })],
      providers: [
        { provide: BankAccess, useValue: bank },
        { provide: Outbox, useClass: TransactionalOutbox },
        DepositHandler,
        WithdrawHandler,
      ],
    },
    { logger: false, abortOnError: false },
  );

export async function askOnce(bus: QueueBus, message: Deposit | Withdraw, impatient: boolean): Promise<Verdict> {
  const patience = impatient ? ({ timeoutMs: IMPATIENCE_MS, onTimeout: 'withdraw' } as const) : {};
  try {
    await bus.enqueueAndWait(message, { id: message.ref, ...patience });
    return 'completed';
  } catch (error) {
    return verdictOf(error);
  }
}

/** Returns a counter that repeats a call of unknown outcome with the same id. The message runs once; a repeat gets its result. */
export const insistent = (once: (message: Deposit | Withdraw, impatient: boolean) => Promise<Verdict>): Counter => ({
  ask: async (message, { impatient }) => {
    let verdict = await once(message, impatient);
    for (let tries = 1; verdict === 'unknown' && tries < TRIES_MAX; tries++) verdict = await once(message, false);
    return verdict;
  },
});

function verdictOf(error: unknown): Verdict {
  if (!(error instanceof AtomicQueuesError)) throw error;
  switch (error.code) {
    case 'HANDLER_FAILED':
      return 'failed';
    case 'INTERRUPTED':
      return 'interrupted';
    case 'WITHDRAWN':
      return 'withdrawn';
    case 'REPLY_TIMEOUT':
      return error.definite ? 'withdrawn' : 'unknown';
    default:
      return error.definite ? 'rejected' : 'unknown';
  }
}
