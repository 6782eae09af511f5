/**
 * Keeps the dead letters of a store within `deadLetters.max` and `deadLetters.ttl`.
 *
 *   (1) A dead letter is named in a warning before it is deleted.
 *   (2) The store deletes it only if it is past a limit at that moment: what was read before may be over by then.
 *   (3) The oldest go first. While none is due, a turn costs two small reads and, with a ttl, one page of what is behind them.
 */
import type { Letter, LetterLimits } from '../core/log/control-operations.js';
import type { Store } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';

const PAGE = 100;

export class DeadLetterLimits {
  /** Dead letters that the next turn looks at: one, until one is due. */
  private page = 1;
  /** The dead letter that the walk behind the oldest came to; '' at its start. */
  private walkedTo = '';

  constructor(
    private readonly store: Store,
    private readonly trace: Trace,
    private readonly limits: LetterLimits,
  ) {}

  /**
   * Deletes what is past a limit, at most a page of it; returns whether more may be. Rejects if the store does not answer. Once `isOver`, it
   * asks the store for nothing more.
   */
  async enforce(storeNowMs: number, isOver: () => boolean): Promise<boolean> {
    const { max, ttlMs } = this.limits;
    if (max === 0 && ttlMs === 0) return false;
    const { letters: count } = await this.store.control({ op: 'counts' });
    const tooMany = max === 0 ? 0 : count - max;
    if (isOver() || count === 0 || (ttlMs === 0 && tooMany <= 0)) return false;
    const { letters } = await this.store.control({ op: 'letters', after: '', max: this.page });
    // The counts say that there are some: what lists them is gone, which is for the audit to find.
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

  /** Their numbers are not in the order of their times if a clock was set back: looks at one page of all, then at the next one. */
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
