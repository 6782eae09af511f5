/**
 * The bank's own database: user code, outside the library, and deliberately without a lock or a transaction around
 * read, decide and write. It is what most services have: an asynchronous read, and an asynchronous write that stores
 * the new balance and its journal row in one step.
 *
 * It also watches itself. An account's journal is the truth about what was decided; the balance is what was stored:
 * - a write over a balance that is not the one its handler read is a lost update;
 * - a debit that takes the sum of the journal below zero is an overdraft: money was paid out that was not there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from './random.js';

export interface JournalRow {
  /** Which message did it; each may appear once. */
  readonly ref: string;
  readonly deltaCents: number;
}

interface Account {
  balanceCents: number;
  /** Sum of the journal, kept beside it. */
  journalCents: number;
  version: number;
  readonly closed: boolean;
}

/** What a handler read, and hands back with its write. */
export interface Snapshot {
  readonly accountId: string;
  readonly balanceCents: number;
  readonly closed: boolean;
  readonly version: number;
}

export interface Refusal {
  readonly ref: string;
  readonly reason: string;
}

/** The bank as handlers see it, wherever it is. */
export abstract class BankAccess {
  abstract read(accountId: string): Promise<Snapshot>;
  abstract write(before: Snapshot, deltaCents: number, ref: string): Promise<number>;
  abstract refuse(ref: string, reason: string): Promise<void>;
}

export class Bank implements BankAccess {
  private readonly accounts = new Map<string, Account>();
  private readonly delays: Random;
  readonly journal: JournalRow[] = [];
  readonly refusals: Refusal[] = [];
  lostUpdates = 0;
  overdrafts = 0;

  /** Every 50th account is closed: what is sent to it must end as a failure that nobody overlooks. */
  constructor(
    accounts: number,
    readonly openingCents: number,
    seed: number,
  ) {
    this.delays = new Random(seed, 'delays');
    for (let index = 0; index < accounts; index++) {
      const closed = index % 50 === 49;
      const cents = closed ? 0 : openingCents;
      this.accounts.set(accountName(index), { balanceCents: cents, journalCents: cents, version: 0, closed });
    }
  }

  async read(accountId: string): Promise<Snapshot> {
    await this.latency();
    const { balanceCents, closed, version } = this.account(accountId);
    return { accountId, balanceCents, closed, version };
  }

  /** Stores the new balance and its journal row in one step, after a delay as a database has it. */
  async write(before: Snapshot, deltaCents: number, ref: string): Promise<number> {
    await this.latency();
    const account = this.account(before.accountId);
    if (account.version !== before.version) this.lostUpdates++;
    account.version++;
    account.balanceCents = before.balanceCents + deltaCents;
    account.journalCents += deltaCents;
    if (deltaCents < 0 && account.journalCents < 0) this.overdrafts++;
    this.journal.push({ ref, deltaCents });
    return account.balanceCents;
  }

  async refuse(ref: string, reason: string): Promise<void> {
    this.refusals.push({ ref, reason });
  }

  totalCents(): number {
    let total = 0;
    for (const account of this.accounts.values()) total += account.balanceCents;
    return total;
  }

  /** Accounts whose stored balance is not what their journal adds up to. */
  wrongBalances(): number {
    let wrong = 0;
    for (const account of this.accounts.values()) if (account.balanceCents !== account.journalCents) wrong++;
    return wrong;
  }

  private account(accountId: string): Account {
    const account = this.accounts.get(accountId);
    if (!account) throw new Error(`no account ${accountId}`);
    return account;
  }

  private latency(): Promise<void> {
    return this.delays.chance(0.5) ? new Promise((resolve) => setImmediate(resolve)) : sleep(this.delays.between(1, 3));
  }
}

export const accountName = (index: number): string => `a-${index}`;
