/**
 * Looks for keys of this library that were deleted or evicted: without them no call fails, and no message runs.
 *   (1) An entity that the ready set should list and does not is begun as if it were listed: nothing is lost with that key. An
 *       entity whose owner is no member is taken over.
 *   (2) Any other key held acknowledged data. If it is missing twice in a row, the store has lost it.
 */
import type { Clock } from '../ports/clock.js';
import type { Store } from '../ports/store.js';
import type { Ownership } from './ownership.js';
import type { StoreSession } from './session.js';

export class Audit {
  private cursor = '0';
  private missing = '';
  private missingSinceMs = 0;

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    /** In ms. Work in progress may look like a loss for a moment, so two looks closer together than this count as one. */
    private readonly apartMs: number,
    private readonly ownership: Pick<Ownership, 'ownedSurely' | 'releases'>,
    /** Handles an entity that is ready, or whose owner is no member, and that the sweep would never find. */
    private readonly attend: (entity: string, owner: number) => void,
  ) {}

  /** Starts again from the first page, for another session. */
  reset(): void {
    this.cursor = '0';
    this.missing = '';
  }

  /** Checks the keys and the next page of entities. Returns whether the page after it is to be checked soon. */
  async turn(session: StoreSession, isOver: () => boolean): Promise<boolean> {
    const { releases } = this.ownership;
    const owned = this.ownership.ownedSurely();
    const answer = await this.store.control({ op: 'audit', incarnation: session.incarnation, owned, cursor: this.cursor });
    if (isOver()) return false;
    this.cursor = answer.cursor;
    for (const { entity, owner } of answer.unready) this.attend(entity, owner);
    // An entity that was released meanwhile may have been gone before the store counted.
    const isCounted = this.ownership.releases === releases;
    this.compare(session, answer.missing.filter((name) => isCounted || name !== 'owns').join(', '));
    return answer.unready.length > 0 && answer.cursor !== '0';
  }

  private compare(session: StoreSession, missing: string): void {
    const nowMs = this.clock.monotonicMs();
    if (missing !== this.missing) {
      this.missing = missing;
      this.missingSinceMs = nowMs;
    } else if (missing !== '' && nowMs - this.missingSinceMs >= this.apartMs)
      session.damaged(`somebody deleted or evicted keys of ours, or fields of them: ${missing}`);
  }
}
