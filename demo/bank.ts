/**
 * The bank's database: user code outside the library, deliberately without a lock or a transaction around read, decide and
 * write. Most services have such a database: an asynchronous read, and an asynchronous write that stores the new balance and
 * its journal row in one step.
 *
 * The bank also checks itself. An account's journal records what was decided; the balance is what was stored.
 * - Lost update: a write over a balance other than the one that its handler read.
 * - Overdraft: a debit that takes the sum of the journal below zero, so money was paid out that did not exist.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from './random.js';

export interface JournalRow {
  /** Reference of the message that made the row; each may appear once. */
  readonly ref: string;
  readonly deltaCents: number;
}

interface Account {
  balanceCents: number;
  /** Running sum of the account's journal rows. */
  journalCents: number;
  version: number;
  readonly closed: boolean;
}

/** The account as a handler read it. The handler passes the snapshot back with its write. */
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

/** The bank's interface for handlers, for a local or a remote bank. */
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

  /** Closes every 50th account: each message to it must end as a visible failure. */
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

  /** Stores the new balance and its journal row in one step, after a delay like that of a database. */
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

  /** Returns the number of accounts whose stored balance differs from the sum of their journal. */
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
