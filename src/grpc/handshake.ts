import type { NetworkPeer } from '../ports/network.js';
import { type Hello, type Member, RefusedReason } from './cluster.gen.js';
import type { RefusedFor } from './refusals.js';

export const PROTOCOL = 2;

/** What a node knows about itself and other members at the moment of a handshake. */
export interface Standpoint {
  readonly keyPrefix: string;
  /** This node; incarnation 0 before its join and after its end. */
  readonly self: Member;
  /** Generation of the store; undefined before the first membership snapshot. */
  readonly generation: string | undefined;
  peerOf(incarnation: number): NetworkPeer | undefined;
  /** The highest incarnation in any membership snapshot so far. */
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
 * Decides whether a link is for this node and from a live member. Returns 'later' for a sender that may be a newcomer: the next
 * membership snapshot may list it. Accepts other service groups; refuses another store or key prefix.
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
