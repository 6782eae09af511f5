/**
 * Reports to the store whether this node takes new work and may lead, and which peers it cannot reach. Other nodes use the report
 * to place entities and to choose masters.
 */
import type { Store } from '../ports/store.js';
import type { Membership } from './membership.js';
import type { Peers } from './peers.js';
import type { View } from './view.js';

const textOf = (eligible: boolean, unreachable: readonly number[]): string => `${eligible} ${unreachable.join()}`;

/** What the store assumes of a member that has not reported yet. */
const OF_A_NEWCOMER = textOf(true, []);

export class SelfReport {
  private acknowledged = OF_A_NEWCOMER;

  constructor(
    private readonly store: Store,
    private readonly membership: Membership,
    private readonly view: View,
    private readonly peers: Peers,
  ) {}

  /** Sends a report if it differs from the last one, or from what the store lists. Rejects if the store does not answer. */
  async send(eligible: boolean): Promise<void> {
    const { incarnation, identity } = this.membership;
    if (incarnation === 0) return;
    const unreachable = this.peers.unreachable();
    const text = textOf(eligible, unreachable);
    if (text === this.acknowledged && this.isListed(text)) return;
    const answer = await this.store.control({ op: 'report', ...identity, eligible, unreachable });
    if (answer.ok) this.acknowledged = text;
  }

  /** Reports carry no number, so a late copy overwrites the last one in the store. The membership snapshot shows that. */
  private isListed(text: string): boolean {
    const listed = this.view.memberOf(this.membership.incarnation);
    return listed === undefined || textOf(listed.eligible, listed.unreachable) === text;
  }

  /** Called when the incarnation has ended: the store assumes of the next one what it assumes of any newcomer. */
  reset(): void {
    this.acknowledged = OF_A_NEWCOMER;
  }
}
