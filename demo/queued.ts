/** Runs the second half on one node: clients, handlers and the library in this process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { QueueBus } from '../src/index.js';
import { askOnce, insistent, startBankApp } from './app.js';
import { Audit, audit } from './audit.js';
import { Bank } from './bank.js';
import { Clients, ClientsOptions } from './clients.js';

export interface QueuedOptions extends ClientsOptions {
  readonly store: 'memory' | 'redis';
  readonly redisUrl: string | undefined;
  readonly keyPrefix: string;
}

export interface QueuedResult extends Audit {
  readonly seconds: number;
}

const SETTLE_MS = 20_000;

export async function runQueued(bank: Bank, options: QueuedOptions): Promise<QueuedResult> {
  const { store, redisUrl, keyPrefix } = options;
  const app = await startBankApp(bank, { store, keyPrefix, ...(redisUrl === undefined ? {} : { redis: { url: redisUrl } }) });
  try {
    const bus: QueueBus = app.get(QueueBus);
    const clients = new Clients(
      insistent((message, impatient) => askOnce(bus, message, impatient)),
      options,
    );
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

/** Waits until all messages have run, at most SETTLE_MS. No client waits for the deposits of the last transfers. */
async function settled(bank: Bank, clients: Clients): Promise<void> {
  const told = [...clients.told.values()];
  const mustRun =
    told.filter(({ verdict }) => verdict === 'completed' || verdict === 'failed').length + clients.sentDeposits().length;
  const deadlineMs = performance.now() + SETTLE_MS;
  while (bank.journal.length + bank.refusals.length < mustRun && performance.now() < deadlineMs) await sleep(5);
}
