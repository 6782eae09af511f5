/**
 * The contracts that the members declared when they joined. A contract never changes while its incarnation lives, so each is read
 * once, with the members, and kept for as long as its member is listed.
 */
import type { Contract, MembersAnswer } from '../core/log/control-operations.js';

export interface Declaration {
  readonly group: string;
  readonly contracts: readonly Contract[];
  readonly isLive: boolean;
}

export class Declared {
  /** The highest incarnation whose contracts were taken: the next membership snapshot brings only those above it. */
  upTo = 0;
  private readonly byMember = new Map<number, Contract[]>();
  private groups: ReadonlyMap<number, string> = new Map();

  /**
   * Takes every contract of a membership snapshot, also of members whose lease is over: a contract comes once, and its member may
   * prove its lease again. Returns whether there were any.
   */
  take({ contracts, members }: MembersAnswer): boolean {
    for (const { incarnation } of contracts) this.byMember.set(incarnation, []);
    for (const { incarnation, contract } of contracts) this.byMember.get(incarnation)?.push(contract);
    this.groups = new Map(members.map(({ incarnation, group }) => [incarnation, group]));
    for (const incarnation of this.byMember.keys()) if (!this.groups.has(incarnation)) this.byMember.delete(incarnation);
    for (const { incarnation } of members) this.upTo = Math.max(this.upTo, incarnation);
    return contracts.length > 0;
  }

  /** Returns what all listed members declared; the member that joined last comes last. */
  all(isLive: (incarnation: number) => boolean): readonly Declaration[] {
    return [...this.byMember]
      .sort(([a], [b]) => a - b)
      .map(([incarnation, own]) => ({
        ...{ group: this.groups.get(incarnation) ?? '', contracts: own, isLive: isLive(incarnation) },
      }));
  }
}
