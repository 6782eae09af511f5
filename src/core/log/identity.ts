/**
 * Whether the caller is the member that it says it is. A store that lost acknowledged writes may give the number of a living incarnation
 * to another process; the token of the join tells the two apart, and with it "evicted" from "never issued".
 */
import type { Identity } from './control-operations.js';
import type { PartitionState } from './state.js';

/** The store remembers the tokens of so many joins, the newest; of an older incarnation it only says that it was evicted. */
export const JOINS_KEPT = 1024;

/**
 * LOST: the store holds another generation, or none. UNKNOWN: it holds the same generation, but not this join, so it lost what it had
 * acknowledged. FENCED: the incarnation was evicted, or has left. undefined: it is a live member.
 */
export function strangerOf(state: PartitionState, who: Identity): 'LOST' | 'UNKNOWN' | 'FENCED' | undefined {
  const unknown = unknownOf(state, who);
  if (unknown !== undefined) return unknown;
  return state.members.get(who.incarnation)?.dead === false ? undefined : 'FENCED';
}

/** The first two of `strangerOf`, which tell that the store is not the one that the caller knew. */
export function unknownOf(state: PartitionState, who: Identity): 'LOST' | 'UNKNOWN' | undefined {
  if (state.generation === '' || state.generation !== who.generation) return 'LOST';
  if (who.incarnation > state.incarnation) return 'UNKNOWN';
  const holder = state.members.get(who.incarnation)?.token ?? state.tokens.get(who.incarnation);
  return holder === undefined || holder === who.token ? undefined : 'UNKNOWN';
}

/** Remembers whose incarnation it is, and forgets the oldest join of those that are remembered. */
export function rememberJoin(state: PartitionState, incarnation: number, token: string): void {
  state.tokens.set(incarnation, token);
  state.tokens.delete(incarnation - JOINS_KEPT);
}
