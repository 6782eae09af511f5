/**
 * The clients. Each draws operations from its own seeded stream, one at a time, and waits for each result. The clients do not
 * know the library: they send through a `Counter`, and each half of the demo has its own.
 */
import { accountName } from './bank.js';
import { Deposit, depositRef, Withdraw } from './messages.js';
import { Random } from './random.js';

export type Verdict = 'completed' | 'failed' | 'interrupted' | 'withdrawn' | 'rejected' | 'unknown';

export interface Counter {
  ask(message: Deposit | Withdraw, options: { readonly impatient: boolean }): Promise<Verdict>;
}

export interface Told {
  readonly verdict: Verdict;
  readonly message: Deposit | Withdraw;
}

export interface ClientsOptions {
  readonly accounts: number;
  readonly messages: number;
  readonly seed: number;
  readonly onProgress?: (accepted: number) => void;
}

const CLIENTS = 200;
const OPENING_CASH_CENTS = 1_000_000;

/** Runs the clients, and records the verdicts that they receive. The audit compares these with the bank's records. */
export class Clients {
  readonly told = new Map<string, Told>();
  readonly startCashCents = CLIENTS * OPENING_CASH_CENTS;
  cashCents = this.startCashCents;
  rejected = 0;
  accepted = 0;
  private planned = 0;
  private readonly randoms: readonly Random[];
  private drawn = 0;

  constructor(
    private readonly counter: Counter,
    private readonly options: ClientsOptions,
  ) {
    this.randoms = Array.from({ length: CLIENTS }, (_, index) => new Random(options.seed, `client-${index}`));
  }

  /** Resolves when `messages` messages were accepted, including deposits of transfers. Rejects if more were rejected. */
  async run(): Promise<void> {
    while (this.accepted < this.options.messages) {
      await Promise.all(this.randoms.map((_, client) => this.live(client)));
      if (this.rejected > this.options.messages) throw new Error(`${this.rejected} messages were rejected: giving up`);
    }
  }

  private async live(client: number): Promise<void> {
    while (this.accepted + this.planned < this.options.messages) {
      const message = this.draw(client, this.options.messages - this.accepted - this.planned);
      const weight = message instanceof Withdraw && message.toAccountId ? 2 : 1;
      const impatient = this.random(client).chance(0.02);
      this.planned += weight;
      if (message instanceof Deposit) this.cashCents -= message.amountCents;
      const verdict = await this.counter.ask(message, { impatient });
      this.planned -= weight;
      this.note(message, verdict);
    }
  }

  private note(message: Deposit | Withdraw, verdict: Verdict): void {
    if (verdict === 'rejected') this.rejected++;
    else {
      this.told.set(message.ref, { verdict, message });
      this.accepted += verdict === 'completed' && message instanceof Withdraw && message.toAccountId ? 2 : 1;
    }
    const back = verdict === 'rejected' || verdict === 'withdrawn';
    if (message instanceof Deposit && back) this.cashCents += message.amountCents;
    if (message instanceof Withdraw && !message.toAccountId && verdict === 'completed') this.cashCents += message.amountCents;
    this.options.onProgress?.(this.accepted);
  }

  /** Draws an operation. A fifth of the account draws picks one of a few popular accounts, to cause races. */
  private draw(client: number, budget: number): Deposit | Withdraw {
    const random = this.random(client);
    const ref = `c${client}-${this.drawn++}`;
    const accountId = this.drawAccount(random);
    const kind = random.next();
    if (kind < 0.4 && budget > 1) {
      let to = this.drawAccount(random);
      while (to === accountId) to = accountName(random.between(0, this.options.accounts - 1));
      return new Withdraw(accountId, random.between(1_00, 60_00), ref, to);
    }
    return kind < 0.7
      ? new Deposit(accountId, random.between(1_00, 60_00), ref)
      : new Withdraw(accountId, random.between(1_00, 60_00), ref);
  }

  private drawAccount(random: Random): string {
    const popular = Math.max(1, Math.floor(this.options.accounts / 20));
    return accountName(random.chance(0.2) ? random.between(0, popular - 1) : random.between(0, this.options.accounts - 1));
  }

  private random(client: number): Random {
    const random = this.randoms[client];
    if (!random) throw new Error(`no client ${client}`);
    return random;
  }

  /** Returns the deposits that the completed transfers must have sent. */
  sentDeposits(): Deposit[] {
    const sent: Deposit[] = [];
    for (const { verdict, message } of this.told.values()) {
      if (verdict === 'completed' && message instanceof Withdraw && message.toAccountId)
        sent.push(new Deposit(message.toAccountId, message.amountCents, depositRef(message.ref)));
    }
    return sent;
  }
}
