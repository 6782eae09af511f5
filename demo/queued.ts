/** The second half: the same handlers, with the library between the clients and them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesError, AtomicQueuesModule, EntityContext, QueueBus } from '../src/index.js';
import { Audit, audit } from './audit.js';
import { Bank } from './bank.js';
import { Clients, ClientsOptions, Counter, Verdict } from './clients.js';
import { Deposit, DepositHandler, Outbox, Withdraw, WithdrawHandler } from './messages.js';

@Injectable()
class TransactionalOutbox extends Outbox {
  /** Logged together with the completion of the handler that runs, or not at all. */
  async send(message: Deposit): Promise<void> {
    EntityContext.current().enqueue(message);
  }
}

@Module({})
class QueuedApp {}

export interface QueuedOptions extends ClientsOptions {
  readonly store: 'memory' | 'redis';
  readonly redisUrl: string | undefined;
  readonly keyPrefix: string;
}

export interface QueuedResult extends Audit {
  readonly seconds: number;
}

const PATIENCE_MS = 30_000;
const IMPATIENCE_MS = 3;
const SETTLE_MS = 20_000;

export async function runQueued(bank: Bank, options: QueuedOptions): Promise<QueuedResult> {
  const app = await NestFactory.createApplicationContext(
    {
      module: QueuedApp,
      imports: [
        AtomicQueuesModule.forRoot({
          store: options.store,
          ...(options.redisUrl === undefined ? {} : { redis: { url: options.redisUrl } }),
          keyPrefix: options.keyPrefix,
          entities: { account: { replyTimeout: PATIENCE_MS } },
        }),
      ],
      providers: [
        { provide: Bank, useValue: bank },
        { provide: Outbox, useClass: TransactionalOutbox },
        DepositHandler,
        WithdrawHandler,
      ],
    },
    { logger: false, abortOnError: false },
  );
  try {
    const clients = new Clients(counterOf(app.get(QueueBus)), options);
    const startCents = bank.totalCents() + clients.startCashCents;
    const start = performance.now();
    await clients.run();
    await settled(bank, clients);
    const seconds = (performance.now() - start) / 1000;
    return { ...audit(bank, clients, startCents), seconds };
  } finally {
    await app.close();
  }
}

/** The deposits of the last transfers have nobody who waits for them: they end shortly after the last answer. */
async function settled(bank: Bank, clients: Clients): Promise<void> {
  const told = [...clients.told.values()];
  const mustRun =
    told.filter(({ verdict }) => verdict === 'completed' || verdict === 'failed').length + clients.sentDeposits().length;
  const deadlineMs = performance.now() + SETTLE_MS;
  while (bank.journal.length + bank.refusals.length < mustRun && performance.now() < deadlineMs) await sleep(5);
}

function counterOf(bus: QueueBus): Counter {
  const askOnce = async (message: Deposit | Withdraw, impatient: boolean): Promise<Verdict> => {
    const patience = impatient ? ({ timeoutMs: IMPATIENCE_MS, onTimeout: 'withdraw' } as const) : {};
    try {
      await bus.enqueueAndWait(message, { id: message.ref, ...patience });
      return 'completed';
    } catch (error) {
      return verdictOf(error);
    }
  };
  return {
    // Where the answer is unknown, the same id asks again: it counts once, and answers with the first result.
    ask: async (message, { impatient }) => {
      let verdict = await askOnce(message, impatient);
      for (let again = 0; verdict === 'unknown' && again < 3; again++) verdict = await askOnce(message, false);
      return verdict;
    },
  };
}

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
