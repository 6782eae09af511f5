/**
 * Looks for keys of ours that somebody deleted, or a server evicted: without them nothing fails, and nothing runs.
 *   (1) What the ready set should list and does not is begun as if it did: nothing is lost with that key.
 *   (2) Any other key held something acknowledged. If it is missing twice in a row, the store has lost it.
 */
import type { Store } from '../ports/store.js';
import type { StoreSession } from './session.js';

export class Audit {
  private cursor = '0';
  private missing = '';
  /** The next turn comes right after the one before. */
  private goesOn = false;

  constructor(
    private readonly store: Store,
    /** How many entities are certainly owned here. */
    private readonly ownedSurely: () => number,
    /** An entity that is ready, and of which the sweep would never hear. */
    private readonly attend: (entity: string, owner: number) => void,
  ) {}

  /** Starts anew for another session. */
  reset(): void {
    this.cursor = '0';
    this.missing = '';
    this.goesOn = false;
  }

  /** Looks at the keys and at the next page of entities. Returns whether the page after it shall be looked at soon. */
  async turn(session: StoreSession, isOver: () => boolean): Promise<boolean> {
    const owned = this.ownedSurely();
    const answer = await this.store.control({ op: 'audit', incarnation: session.incarnation, owned, cursor: this.cursor });
    if (isOver()) return false;
    this.cursor = answer.cursor;
    for (const { entity, owner } of answer.unready) this.attend(entity, owner);
    const wentOn = this.goesOn;
    this.goesOn = answer.unready.length > 0 && answer.cursor !== '0';
    // What is under way may look like a loss for a moment: of two looks so near to each other the second proves nothing.
    if (wentOn) return this.goesOn;
    const missing = answer.missing.join(', ');
    if (missing !== '' && missing === this.missing)
      session.damaged(`somebody deleted or evicted keys of ours, or fields of them: ${missing}`);
    this.missing = missing;
    return this.goesOn;
  }
}
