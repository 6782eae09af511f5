/**
 * Whether the caller is the member that it says it is, and whether the store still holds what it had acknowledged to it. A store that lost
 * acknowledged writes may give the number of a living incarnation to another process, or evict one by an old heartbeat: the token of the
 * join distinguishes "evicted" from "never issued", and the record of an ended incarnation distinguishes an eviction from a loss before it.
 */
import type { Identity, Remembered } from './control-operations.js';
import type { PartitionState } from './state.js';

/** The store remembers so many joins, the newest; of an older incarnation it only says that it was evicted. */
export const JOINS_KEPT = 1024;

/**
 * LOST: the store holds another generation, or none. UNKNOWN: it holds the same generation, but not this join, or not what the caller
 * remembers, so it lost what it had acknowledged. FENCED: the incarnation was evicted, or has left. undefined: it is a live member.
 */
export function strangerOf(
  state: PartitionState,
  who: Identity & Partial<Remembered>,
): 'LOST' | 'UNKNOWN' | 'FENCED' | undefined {
  const unknown = unknownOf(state, who);
  if (unknown !== undefined) return unknown;
  return state.members.get(who.incarnation)?.dead === false ? undefined : 'FENCED';
}

/** The first two of `strangerOf`, which tell that the store is not the one that the caller knew. */
export function unknownOf(state: PartitionState, who: Identity & Partial<Remembered>): 'LOST' | 'UNKNOWN' | undefined {
  const { generation, incarnation, token, lastHeartbeat = 0, lastBatch = 0 } = who;
  if (state.generation === '' || state.generation !== generation) return 'LOST';
  if (incarnation > state.incarnation) return 'UNKNOWN';
  const holder = state.members.get(incarnation)?.token ?? state.joins.get(incarnation)?.token;
  if (holder !== undefined && holder !== token) return 'UNKNOWN';
  const last = lastOf(state, incarnation);
  return last !== undefined && (last.heartbeat < lastHeartbeat || last.batch < lastBatch) ? 'UNKNOWN' : undefined;
}

/** Numbers of the last heartbeat and of the last batch of that incarnation; undefined if they are not kept any more. */
function lastOf(state: PartitionState, incarnation: number): { readonly heartbeat: number; readonly batch: number } | undefined {
  const member = state.members.get(incarnation);
  if (member === undefined || member.dead) return state.joins.get(incarnation)?.ended;
  return { heartbeat: member.beat, batch: state.sessions.get(incarnation)?.last ?? 0 };
}

/** Remembers whose incarnation it is, and forgets the oldest join of those that are remembered. */
export function rememberJoin(state: PartitionState, incarnation: number, token: string): void {
  state.joins.set(incarnation, { token });
  state.joins.delete(incarnation - JOINS_KEPT);
}

/** Keeps the numbers of the last heartbeat and batch of an incarnation that ends. To be called before its session is deleted. */
export function rememberEnd(state: PartitionState, incarnation: number): void {
  const join = state.joins.get(incarnation);
  const ended = lastOf(state, incarnation);
  if (join !== undefined && ended !== undefined) state.joins.set(incarnation, { ...join, ended });
}
