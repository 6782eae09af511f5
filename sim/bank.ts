/** The user's database: balances with a journal, outside of every node. It outlives all nodes. */
interface Account {
  balance: number;
  fence: number;
  /** Result by message sequence, for handlers that may run twice. */
  readonly journal: Map<number, number>;
}

export class Bank {
  readonly accounts = new Map<string, Account>();

  account(entity: string): Account {
    let account = this.accounts.get(entity);
    if (account === undefined) {
      account = { balance: 0, fence: 0, journal: new Map() };
      this.accounts.set(entity, account);
    }
    return account;
  }

  /**
   * Does what `UPDATE ... SET fence = $1 WHERE id = $2 AND fence <= $1 RETURNING balance` does. Handlers claim the account with
   * it before they read, and again with each write. Returns false if the fence is refused.
   */
  admits(entity: string, fence: number): boolean {
    const account = this.account(entity);
    if (fence < account.fence) return false;
    account.fence = fence;
    return true;
  }
}
