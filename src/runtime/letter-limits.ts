/**
 * Keeps the dead letters of a store within `deadLetters.max` and `deadLetters.ttl`.
 *
 *   (1) A warning names a dead letter before it is deleted.
 *   (2) The store deletes it only if it is past a limit at that moment: what was read before may be out of date.
 *   (3) The oldest go first. While none is due, a turn costs two small reads and, with a ttl, one page of a walk over all.
 */
import type { Letter, LetterLimits } from '../core/log/control-operations.js';
import type { Store } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';

const PAGE = 100;

export class DeadLetterLimits {
  /** Number of dead letters that the next turn reads: one, until one is due. */
  private page = 1;
  /** The dead letter that the walk over all has reached; '' at its start. */
  private walkedTo = '';

  constructor(
    private readonly store: Store,
    private readonly trace: Trace,
    private readonly limits: LetterLimits,
  ) {}

  /**
   * Deletes at most one page of dead letters that are past a limit. Returns whether more may be due. Rejects if the store does
   * not answer. Sends nothing more to the store once `isOver`.
   */
  async enforce(storeNowMs: number, isOver: () => boolean): Promise<boolean> {
    const { max, ttlMs } = this.limits;
    if (max === 0 && ttlMs === 0) return false;
    const { letters: count } = await this.store.control({ op: 'counts' });
    const tooMany = max === 0 ? 0 : count - max;
    if (isOver() || count === 0 || (ttlMs === 0 && tooMany <= 0)) return false;
    const { letters } = await this.store.control({ op: 'letters', after: '', max: this.page });
    // The counts say that there are some, but the list is empty: the key that lists them is gone, which the audit finds.
    if (letters.length === 0) return false;
    const reasons = letters.map((letter, i) =>
      i < tooMany ? `there are more than deadLetters.max (${max})` : this.tooOld(letter, storeNowMs),
    );
    const end = reasons.indexOf(undefined);
    const due = end < 0 ? letters : letters.slice(0, end);
    for (const [i, letter] of due.entries()) {
      if (isOver()) return false;
      await this.drop(letter, reasons[i] as string);
    }
    if (isOver()) return false;
    this.page = end < 0 ? PAGE : 1;
    return end < 0 || (ttlMs > 0 && (await this.walk(storeNowMs, isOver)));
  }

  /** Deletes those of one page that are too old, page by page: after a clock was set back, numbers are not in order of time. */
  private async walk(storeNowMs: number, isOver: () => boolean): Promise<boolean> {
    const { letters, next } = await this.store.control({ op: 'letters', after: this.walkedTo, max: PAGE });
    let isMoreDue = false;
    for (const letter of letters) {
      const why = this.tooOld(letter, storeNowMs);
      if (why === undefined) continue;
      if (isOver()) return false;
      await this.drop(letter, why);
      isMoreDue = next !== '';
    }
    this.walkedTo = next;
    return isMoreDue;
  }

  private tooOld({ diedAtMs }: Letter, storeNowMs: number): string | undefined {
    const { ttlMs } = this.limits;
    return ttlMs > 0 && diedAtMs + ttlMs <= storeNowMs ? `it is older than deadLetters.ttl (${ttlMs / 1000} s)` : undefined;
  }

  private async drop({ id: letter, entity, message }: Letter, why: string): Promise<void> {
    const { id, name } = message;
    this.trace.emit('dropping-dead-letter', { letter, entity, id, name, why });
    await this.store.control({ op: 'purge', letter, limits: this.limits });
  }
}
