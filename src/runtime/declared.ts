/**
 * What the members declared when they joined. A contract never changes while its incarnation lives, so each is read once, with
 * the members, and kept for as long as its member is listed.
 */
import type { Contract, MembersAnswer } from '../core/log/control-operations.js';

export interface Declaration {
  readonly group: string;
  readonly contracts: readonly Contract[];
  readonly isLive: boolean;
}

export class Declared {
  private readonly byMember = new Map<number, Contract[]>();

  /** Takes a reading of the members, and answers what all that are listed declared, who joined last at the end. */
  learn({ contracts, members }: MembersAnswer, isLive: (incarnation: number) => boolean): readonly Declaration[] {
    for (const { incarnation } of contracts) this.byMember.set(incarnation, []);
    for (const { incarnation, contract } of contracts) this.byMember.get(incarnation)?.push(contract);
    const groups = new Map(members.map(({ incarnation, group }) => [incarnation, group]));
    for (const incarnation of this.byMember.keys()) if (!groups.has(incarnation)) this.byMember.delete(incarnation);
    return [...this.byMember]
      .sort(([a], [b]) => a - b)
      .map(([incarnation, own]) => ({
        ...{ group: groups.get(incarnation) ?? '', contracts: own, isLive: isLive(incarnation) },
      }));
  }
}
