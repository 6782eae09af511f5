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

/** Another live node, as this node sees it. */
export interface PeerStatus {
  readonly serverId: string;
  readonly serviceGroup: string;
  readonly incarnation: number;
  /** `none`: the network has no links between nodes. */
  readonly link: PeerLink | 'none';
  /** Breaker for requests from this node to the peer. */
  readonly breaker: ReturnType<CircuitBreaker['state']>;
}

/** An entity whose handler is past its time: its other messages wait. */
export interface BlockedEntity {
  readonly entity: string;
  /** Id of the message that runs. */
  readonly id: string;
  readonly forMs: number;
}

/** The state of a node, as far as the node knows it: the store is not asked. */
export interface NodeStatus {
  /**
   * True if new calls are accepted and handlers start: the node runs, its lease is in force, and its store is healthy. Also false
   * after a termination signal while the application still serves; calls are accepted until the application is closed.
   */
  readonly isReady: boolean;
  readonly state: NodeState;
  readonly serverId: string;
  readonly serviceGroup: string;
  /** 0 if there is none now. */
  readonly incarnation: number;
  /** Role of this node in its service group; a producer handles nothing. */
  readonly role: 'master' | 'rebuilding' | 'replica' | 'producer';
  /** The highest epoch of a master that this node has followed or been. */
  readonly epoch: number;
  /** True if the lease has lapsed by the node's own clock: no handler starts. */
  readonly suspended: boolean;
  readonly leaseLeftMs: number;
  /** Why the store counts as unhealthy; undefined if it is healthy. */
  readonly degraded: string | undefined;
  /**
   * Why messages between this node and others do not get through, as far as the network knows, and what to do about it; undefined
   * if no problem is known. Such a node is still ready, but calls to other nodes wait for sweeps, which takes seconds.
   */
  readonly network: string | undefined;
  /** Number of entities that this node owns. */
  readonly owned: number;
  /** Number of handlers that run. */
  readonly running: number;
  /** Number of callers that wait for a result. */
  readonly waiting: number;
  readonly blocked: readonly BlockedEntity[];
  /** Number of entities whose handler has ended and whose sends the store has no room for: their other messages wait. */
  readonly awaitingRoom: number;
  readonly peers: readonly PeerStatus[];
}

/** What the log of the whole `keyPrefix` holds, read from the store. */
export interface LogDepth {
  /** Messages that were accepted and have not ended. */
  readonly messages: number;
  /** Entities that have such messages. */
  readonly entities: number;
  readonly deadLetters: number;
}

/** The status of an application that has no node yet, or no longer. */
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

/** Reads the counts from the store. Rejects with STORE_UNAVAILABLE, or with CONFIG_INVALID for a permanent failure. */
export async function depthOf(store: Store): Promise<LogDepth> {
  try {
    const { depth, active, letters } = await store.control({ op: 'counts' });
    return { messages: depth, entities: active, deadLetters: letters };
  } catch (error) {
    throw asError(error);
  }
}
