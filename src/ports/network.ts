import type { MessageRecord } from '../core/log/operations.js';

/** What a node may answer to a petition instead of an owner; see core/errors for their meaning. */
export type PetitionRefusal =
  | 'NOT_MASTER'
  | 'MASTER_REBUILDING'
  | 'NO_MASTER'
  | 'PETITION_LIMIT_EXCEEDED'
  | 'MAX_HOPS_EXCEEDED'
  | 'STALE_EPOCH'
  | 'CIRCUIT_OPEN'
  /** To an assignment: the node may not own the entity now, since it drains or a past run of it goes on. */
  | 'DECLINED';

/**
 * What nodes tell each other. Every message is a hint: losing it costs time, doubling it changes nothing.
 * `ticket` pairs an answer with its request, within the node that asked.
 */
export type PeerMessage =
  /** There is work for an entity that you own or should own; `message` spares you reading it back. */
  | { readonly kind: 'ring'; readonly entity: string; readonly message: MessageRecord | undefined }
  /** A message that you wait for has ended. */
  | {
      readonly kind: 'reply';
      readonly entity: string;
      readonly id: string;
      /** Of that message: a replay has its id too. */
      readonly seq: number;
      readonly state: 'completed' | 'failed' | 'interrupted';
      /** Result, or error, as JSON text. */
      readonly detail: string;
    }
  /** To the master: who shall own this entity? */
  | {
      readonly kind: 'petition';
      readonly ticket: number;
      readonly entity: string;
      readonly source: number;
      readonly hops: number;
    }
  /** To the source of a petition: the owner, or why there is none yet. */
  | { readonly kind: 'placed'; readonly ticket: number; readonly owner: number; readonly refusal: PetitionRefusal | undefined }
  /** From a master of that epoch: own this entity. */
  | { readonly kind: 'assign'; readonly ticket: number; readonly entity: string; readonly epoch: number }
  | { readonly kind: 'assigned'; readonly ticket: number; readonly refusal: PetitionRefusal | undefined }
  /** From a new master of that epoch: what do you own? */
  | { readonly kind: 'list-workers'; readonly ticket: number; readonly epoch: number }
  /** A page of the answer. */
  | { readonly kind: 'workers'; readonly ticket: number; readonly entities: readonly string[]; readonly last: boolean }
  /** From a former master to the present one: what it had assigned, a page at a time. It may be old. */
  | { readonly kind: 'handover'; readonly epoch: number; readonly rows: readonly (readonly [entity: string, owner: number])[] };

/** A live member of the cluster, as its peers need to know it. */
export interface NetworkPeer {
  readonly incarnation: number;
  readonly serverId: string;
  readonly group: string;
  /** Where it says that it can be reached, 'host:port'. */
  readonly address: string;
}

/** What a node last read of its cluster. */
export interface ClusterReading {
  /** Of the store that issued the incarnations. */
  readonly generation: string;
  /** Store time now, ms. */
  readonly storeNowMs: number;
  /** Every live member of every service group, the node itself included. */
  readonly peers: readonly NetworkPeer[];
}

/**
 * How the way to a peer stands: `suspect` is one that seems to be gone or frozen, though the members still list it.
 * Suspicion is a guess, and only placement and the choice of a master heed it.
 */
export type PeerLink = 'up' | 'down' | 'suspect';

/** Messages between incarnations. May lose, delay, double and reorder any of them; never alters one. */
export interface Network {
  /** Never throws; a message to an incarnation that is gone vanishes. */
  send(to: number, message: PeerMessage): void;
  /** Receives what is addressed to `incarnation` from now on, and no longer what was addressed to the one before. */
  listen(incarnation: number, receive: (message: PeerMessage, from: number) => void): void;
  /** Told after each reading of the members, a heartbeat apart. A network that needs no addresses leaves it out. */
  update?(reading: ClusterReading): void;
  /** A network without connections between nodes leaves it out, and the next one too. */
  link?(peer: number): PeerLink;
  /** Told when a peer becomes a suspect, and when it is none any more. */
  onSuspect?(listener: (peer: number, isSuspect: boolean) => void): void;
  /** Why messages between this node and others do not get through, and what to do; undefined while nothing is known to be wrong. */
  problem?(): string | undefined;
  close(): Promise<void>;
}
