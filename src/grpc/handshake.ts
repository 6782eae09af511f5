import type { NetworkPeer } from '../ports/network.js';
import { type Hello, type Member, RefusedReason } from './cluster.gen.js';
import type { RefusedFor } from './refusals.js';

export const PROTOCOL = 1;

/** What a node knows of itself and of the others at the moment of a handshake. */
export interface Standpoint {
  readonly keyPrefix: string;
  /** Incarnation 0: none yet, or none any more. */
  readonly self: Member;
  /** Undefined until the members were read for the first time. */
  readonly generation: string | undefined;
  peerOf(incarnation: number): NetworkPeer | undefined;
  /** The highest incarnation read so far. */
  readonly highestRead: number;
}

export interface Refusal {
  readonly why: RefusedFor;
  readonly reason: number;
}

const refusal = (why: RefusedFor, reason: number): Refusal => ({ why, reason });

const isSame = (a: Member, b: Omit<NetworkPeer, 'address'>): boolean =>
  a.incarnation === b.incarnation && a.serverId === b.serverId && a.group === b.group;

/**
 * Whether a link is for this node and from a live member. 'later': a newcomer, perhaps, of whom the next reading will tell.
 * Another service group is no stranger, another store or prefix is.
 */
export function judge(hello: Hello, at: Standpoint): 'welcome' | 'later' | Refusal {
  const { sender, target } = hello;
  if (hello.protocol !== PROTOCOL) return refusal('protocol', RefusedReason.PROTOCOL);
  if (hello.keyPrefix !== at.keyPrefix) return refusal('keyPrefix', RefusedReason.KEY_PREFIX);
  if (sender === undefined || target === undefined) return refusal('garbage', RefusedReason.NO_HELLO);
  if (at.self.incarnation === 0) return refusal('unavailable', RefusedReason.UNAVAILABLE);
  if (!isSame(target, at.self)) return refusal('target', RefusedReason.TARGET);
  if (at.generation === undefined) return 'later';
  if (hello.generation !== at.generation) return refusal('generation', RefusedReason.GENERATION);
  const known = at.peerOf(sender.incarnation);
  if (known !== undefined && isSame(sender, known)) return 'welcome';
  return known === undefined && sender.incarnation > at.highestRead ? 'later' : refusal('sender', RefusedReason.SENDER);
}

const REASONS = new Map<number, string>(Object.entries(RefusedReason).map(([name, code]) => [code, name]));

export const reasonText = (reason: number): string => REASONS.get(reason) ?? `reason ${reason}`;
