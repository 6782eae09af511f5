/**
 * One caller's calls for one entity are logged in call order (I3), also where the schema of one of them answers later: what is
 * called after it for that entity waits until it has been sent or refused. Where nothing waits, nothing is kept.
 */
export class CallOrder {
  /** By entity: resolves when the last call that waits there has had its turn. */
  readonly #lastTurns = new Map<string, Promise<void>>();

  mustWait(entity: string): boolean {
    return this.#lastTurns.has(entity);
  }

  get isEmpty(): boolean {
    return this.#lastTurns.size === 0;
  }

  /** Calls `send`, which must not throw, after the calls before it and its own check. Rejects as the check does, or as `send`. */
  inTurn<R>(entity: string, checking: Promise<void> | undefined, send: () => Promise<R>): Promise<R> {
    const before = this.#lastTurns.get(entity);
    return new Promise((resolve, reject) => {
      const turn = Promise.allSettled([checking, before]).then(([check]) => {
        if (this.#lastTurns.get(entity) === turn) this.#lastTurns.delete(entity);
        if (check.status === 'rejected') reject(check.reason);
        // The answer is not waited for: those behind leave with the same batch.
        else resolve(send());
      });
      this.#lastTurns.set(entity, turn);
    });
  }
}
