import type { CircuitBreaker } from '../core/breaker.js';
import { unescapeId } from '../core/ids.js';
import type { Member } from '../core/log/control-operations.js';
import type { PeerLink } from '../ports/network.js';
import type { Store } from '../ports/store.js';
import type { Attempt } from './attempt.js';
import { asError } from './error-record.js';
import type { Master } from './master.js';
import type { Ownership } from './ownership.js';
import type { Peers } from './peers.js';

export type NodeState = 'new' | 'starting' | 'running' | 'rejoining' | 'draining' | 'stopped' | 'closed';

/** Another live node, as this one sees it. */
export interface PeerStatus {
  readonly serverId: string;
  readonly serviceGroup: string;
  readonly incarnation: number;
  /** `none`: the network has no links between nodes. */
  readonly link: PeerLink | 'none';
  /** Of requests from here to it. */
  readonly breaker: ReturnType<CircuitBreaker['state']>;
}

/** An entity whose handler is past its time: its other messages wait. */
export interface BlockedEntity {
  readonly entity: string;
  /** Of the message that runs. */
  readonly id: string;
  readonly forMs: number;
}

/** How a node is, by what it knows itself: nothing is asked of the store. */
export interface NodeStatus {
  /**
   * New calls are accepted and handlers start: it is running, with its lease in force and a healthy store. Also false from a
   * signal to end on, while an application that listens to it serves on; calls are accepted until that is closed.
   */
  readonly isReady: boolean;
  readonly state: NodeState;
  readonly serverId: string;
  readonly serviceGroup: string;
  /** 0: none now. */
  readonly incarnation: number;
  /** What this node is to its service group; a producer handles nothing. */
  readonly role: 'master' | 'rebuilding' | 'replica' | 'producer';
  /** The highest epoch of a master that this node has followed or been. */
  readonly epoch: number;
  /** The lease has lapsed by the node's own clock: no handler starts. */
  readonly suspended: boolean;
  readonly leaseLeftMs: number;
  /** Why the store counts as unhealthy; undefined if it is healthy. */
  readonly degraded: string | undefined;
  /**
   * Why messages between this node and others do not get through, as far as the network knows, and what to do; undefined if
   * nothing is known to be wrong. Such a node is still ready: calls to other nodes wait for sweeps, which takes seconds.
   */
  readonly network: string | undefined;
  /** Entities that this node owns. */
  readonly owned: number;
  /** Handlers that run. */
  readonly running: number;
  /** Callers that wait for a result. */
  readonly waiting: number;
  readonly blocked: readonly BlockedEntity[];
  /** Entities whose handler has ended and whose sends the store has no room for: their other messages wait. */
  readonly awaitingRoom: number;
  readonly peers: readonly PeerStatus[];
}

/** What the log of the whole `keyPrefix` holds, asked of the store. */
export interface LogDepth {
  /** Accepted and not yet ended. */
  readonly messages: number;
  /** Entities that have such messages. */
  readonly entities: number;
  readonly deadLetters: number;
}

/** The status of an application whose node is not there (yet, or any more). */
export const statusWithoutNode = (state: NodeState, serverId: string, serviceGroup: string): NodeStatus => ({
  ...{ isReady: false, state, serverId, serviceGroup, incarnation: 0, role: 'replica', epoch: 0 },
  ...{ suspended: false, leaseLeftMs: 0, degraded: undefined, network: undefined, owned: 0, running: 0, waiting: 0 },
  ...{ blocked: [], awaitingRoom: 0, peers: [] },
});

export const blockedOf = (running: ReadonlySet<Attempt>, nowMs: number): readonly BlockedEntity[] =>
  [...running]
    .filter((a) => a.blocked)
    .map((a) => ({ entity: a.worker.entity, id: unescapeId(a.record.id), forMs: nowMs - a.startedAtMs }));

export const peersOf = (members: readonly Member[], me: number, peers: Peers): readonly PeerStatus[] =>
  members
    .filter(({ incarnation }) => incarnation !== me)
    .map(({ serverId, group: serviceGroup, incarnation }) => ({
      ...{ serverId, serviceGroup, incarnation },
      link: peers.link(incarnation) ?? 'none',
      breaker: peers.breaker(incarnation),
    }));

export function roleOf({ handlesAny }: Ownership, { leads, role }: Master): NodeStatus['role'] {
  if (!handlesAny) return 'producer';
  if (!leads) return 'replica';
  return role === 'ready' ? 'master' : 'rebuilding';
}

/** Asks the store. Rejects with STORE_UNAVAILABLE. */
export async function depthOf(store: Store): Promise<LogDepth> {
  try {
    const { depth, active, letters } = await store.control({ op: 'counts' });
    return { messages: depth, entities: active, deadLetters: letters };
  } catch (error) {
    throw asError(error);
  }
}
