/**
 * Checks that the caller is the member it claims to be, and that the store still holds what it acknowledged to that member.
 *
 * A store that lost acknowledged writes may give the number of a live incarnation to another process, or let a node evict an
 * incarnation by an old heartbeat. The token of the join distinguishes "evicted" from "never issued". The record of an ended
 * incarnation distinguishes an eviction from a loss before it.
 */
import type { Identity, Remembered } from './control-operations.js';
import type { PartitionState } from './state.js';

/** Number of joins that the store remembers, the newest ones. An older incarnation is refused with FENCED. */
export const JOINS_KEPT = 1024;

/**
 * Returns why the caller is not a live member that the store knows; undefined if it is one.
 * LOST: the store holds another generation, or none. UNKNOWN: the store lost acknowledged writes: it holds the generation, but
 * not this join, or not the heartbeat or batch that the caller remembers. FENCED: the incarnation was evicted, or has left.
 */
export function strangerOf(
  state: PartitionState,
  who: Identity & Partial<Remembered>,
): 'LOST' | 'UNKNOWN' | 'FENCED' | undefined {
  const unknown = unknownOf(state, who);
  if (unknown !== undefined) return unknown;
  return state.members.get(who.incarnation)?.dead === false ? undefined : 'FENCED';
}

/** Returns LOST or UNKNOWN as `strangerOf` does: the store is not in the state that the caller knew. */
export function unknownOf(state: PartitionState, who: Identity & Partial<Remembered>): 'LOST' | 'UNKNOWN' | undefined {
  const { generation, incarnation, token, lastHeartbeat = 0, lastBatch = 0 } = who;
  if (state.generation === '' || state.generation !== generation) return 'LOST';
  if (incarnation > state.incarnation) return 'UNKNOWN';
  const holder = state.members.get(incarnation)?.token ?? state.joins.get(incarnation)?.token;
  if (holder !== undefined && holder !== token) return 'UNKNOWN';
  const last = lastOf(state, incarnation);
  return last !== undefined && (last.heartbeat < lastHeartbeat || last.batch < lastBatch) ? 'UNKNOWN' : undefined;
}

/** Returns the numbers of the last heartbeat and the last batch of that incarnation; undefined if the store forgot them. */
function lastOf(state: PartitionState, incarnation: number): { readonly heartbeat: number; readonly batch: number } | undefined {
  const member = state.members.get(incarnation);
  if (member === undefined || member.dead) return state.joins.get(incarnation)?.ended;
  return { heartbeat: member.heartbeat, batch: state.sessions.get(incarnation)?.last ?? 0 };
}

/** Remembers the token of the join that made the incarnation, and forgets the oldest join that is remembered. */
export function rememberJoin(state: PartitionState, incarnation: number, token: string): void {
  state.joins.set(incarnation, { token });
  state.joins.delete(incarnation - JOINS_KEPT);
}

/** Remembers the numbers of the last heartbeat and batch of an incarnation that ends. Call it before its session is deleted. */
export function rememberEnd(state: PartitionState, incarnation: number): void {
  const join = state.joins.get(incarnation);
  const ended = lastOf(state, incarnation);
  if (join !== undefined && ended !== undefined) state.joins.set(incarnation, { ...join, ended });
}
