import type { MessageRecord } from '../core/log/operations.js';

/** The codes with which a node may refuse a petition or an assignment; see core/errors for their meaning. */
export type PetitionRefusal =
  | 'NOT_MASTER'
  | 'MASTER_REBUILDING'
  | 'NO_MASTER'
  | 'PETITION_LIMIT_EXCEEDED'
  | 'MAX_HOPS_EXCEEDED'
  | 'STALE_EPOCH'
  | 'CIRCUIT_OPEN'
  /** Reply to an assignment: the node may not own the entity now, because it drains or an earlier run of the entity continues. */
  | 'DECLINED';

/**
 * The messages between nodes. Every message is a hint: its loss costs time, and a duplicate changes nothing.
 * `ticket` pairs a reply with its request, within the node that sent the request.
 */
export type PeerMessage =
  /** There is work for an entity that the receiver owns or should own. `message` saves the receiver from reading it back. */
  | { readonly kind: 'wake'; readonly entity: string; readonly message: MessageRecord | undefined }
  /** A message that the receiver waits for has ended. */
  | {
      readonly kind: 'reply';
      readonly entity: string;
      readonly id: string;
      /** Sequence of that message. The id does not identify it alone: a replay has the same id. */
      readonly seq: number;
      readonly state: 'completed' | 'failed' | 'interrupted';
      /** Result or error, as JSON text. */
      readonly detail: string;
    }
  /** To the master: asks which node shall own this entity. */
  | {
      readonly kind: 'petition';
      readonly ticket: number;
      readonly entity: string;
      readonly source: number;
      readonly hops: number;
    }
  /** To the source of a petition: the owner, or the reason why there is none yet. */
  | { readonly kind: 'placed'; readonly ticket: number; readonly owner: number; readonly refusal: PetitionRefusal | undefined }
  /** From a master of that epoch: orders the receiver to own this entity. */
  | { readonly kind: 'assign'; readonly ticket: number; readonly entity: string; readonly epoch: number }
  | { readonly kind: 'assigned'; readonly ticket: number; readonly refusal: PetitionRefusal | undefined }
  /** From a new master of that epoch: asks which entities the receiver owns. */
  | { readonly kind: 'list-workers'; readonly ticket: number; readonly epoch: number }
  /** A page of the reply to `list-workers`. */
  | { readonly kind: 'workers'; readonly ticket: number; readonly entities: readonly string[]; readonly last: boolean }
  /** From a former master to the present one: a page of its assignment table. The rows may be out of date. */
  | { readonly kind: 'handover'; readonly epoch: number; readonly rows: readonly (readonly [entity: string, owner: number])[] };

/** The fields of a live member that its peers need. */
export interface NetworkPeer {
  readonly incarnation: number;
  readonly serverId: string;
  readonly group: string;
  /** Address under which the member says it can be reached, 'host:port'. */
  readonly address: string;
}

/** The membership snapshot that a node read last. */
export interface ClusterSnapshot {
  /** Generation of the store that issued the incarnations. */
  readonly generation: string;
  /** Present store time, ms. */
  readonly storeNowMs: number;
  /** All live members of all service groups, including the node itself. */
  readonly peers: readonly NetworkPeer[];
}

/**
 * The state of the link to a peer. A `suspect` peer seems to be gone or frozen, but the membership still lists it.
 * Suspicion is a guess; only placement and the election of a master use it.
 */
export type PeerLink = 'up' | 'down' | 'suspect';

/** Sends messages between incarnations. May lose, delay, duplicate and reorder messages; never alters one. */
export interface Network {
  /** Sends a message. Never throws; a message to an incarnation that is gone is lost. */
  send(to: number, message: PeerMessage): void;
  /** Receives messages addressed to `incarnation` from now on, and no longer those addressed to the incarnation before. */
  listen(incarnation: number, receive: (message: PeerMessage, from: number) => void): void;
  /** Called after each membership snapshot, one per heartbeat interval. A network that needs no addresses leaves it out. */
  update?(snapshot: ClusterSnapshot): void;
  /** Returns the state of the link to a peer. A network without connections between nodes leaves out `link` and `onSuspect`. */
  link?(peer: number): PeerLink;
  /** Calls `listener` when a peer becomes suspect, and when it no longer is. */
  onSuspect?(listener: (peer: number, isSuspect: boolean) => void): void;
  /** Returns why messages between this node and others do not get through, and what to do; undefined if no problem is known. */
  problem?(): string | undefined;
  close(): Promise<void>;
}
