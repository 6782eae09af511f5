/**
 * Delivers a logged message: to the local worker, or to the owner that the log named. If the entity has no owner, this node
 * claims it if it is the preferred node; otherwise it petitions the master of the preferred node's group. If there is no master,
 * or it does not reply, the router wakes the preferred node. All of these are hints: the sweep finds the work that no hint
 * reached.
 */
import type { ResolvedConfig } from '../core/config.js';
import type { MessageRecord } from '../core/log/operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Network, PeerMessage, PetitionRefusal } from '../ports/network.js';
import type { Master } from './master.js';
import type { Membership } from './membership.js';
import type { Ownership } from './ownership.js';
import type { Peers } from './peers.js';
import type { Replies } from './replies.js';
import type { View } from './view.js';
import type { EntityWorker } from './worker.js';

export interface RouterParts {
  readonly clock: Clock;
  readonly config: ResolvedConfig;
  readonly network: Network;
  readonly membership: Membership;
  readonly ownership: Ownership;
  readonly replies: Replies;
  readonly master: Master;
  readonly view: View;
  readonly peers: Peers;
}

interface Petition {
  readonly entity: string;
  readonly records: MessageRecord[];
  readonly to: number;
  readonly timer: Timer;
}

export class Router {
  private ticket = 0;
  private readonly petitions = new Map<number, Petition>();
  private readonly ticketOf = new Map<string, number>();

  constructor(private readonly parts: RouterParts) {}

  /** Returns the local worker for an entity. Claims the entity if this node is its preferred node. */
  workerFor(entity: string): EntityWorker | undefined {
    const { ownership, view, membership } = this.parts;
    const known = ownership.workers.get(entity);
    if (known !== undefined) return known;
    // A draining node is never the preferred node, so it does not matter here that a chain may claim during a drain.
    return view.belongsTo(entity, membership.incarnation) ? ownership.activate(entity, false) : undefined;
  }

  /** Delivers a logged message to the owner that the log named; 0: the entity has no owner. */
  deliver(entity: string, record: MessageRecord, owner: number): void {
    const { network, membership, ownership } = this.parts;
    const me = membership.incarnation;
    if (owner !== 0 && owner !== me) {
      network.send(owner, { kind: 'wake', entity, message: record });
      return;
    }
    const worker = owner === me ? ownership.activate(entity, record.chain !== '') : this.workerFor(entity);
    if (worker !== undefined) worker.arrived(record);
    else if (owner === 0) this.petition(entity, record);
  }

  /** Wakes another node that declared the type: this node has no handler for the next message, and a sweep may take long. */
  handedOff(entity: string): void {
    this.sendWake(entity, this.next(this.others(entity)));
  }

  /**
   * Wakes other nodes for an entity that belongs here but cannot be claimed here now, since its work may be stuck. Also wakes the
   * node that joined last: if the others do not declare the message, that node most likely does.
   */
  passOn(entity: string): void {
    const others = this.others(entity);
    const next = this.next(others);
    this.sendWake(entity, next);
    if (others.at(-1) !== next) this.sendWake(entity, others.at(-1));
  }

  private sendWake(entity: string, to: number | undefined): void {
    if (to !== undefined) this.parts.network.send(to, { kind: 'wake', entity, message: undefined });
  }

  /** Returns the next node, by incarnation. All nodes pass a hint on in this order, so it reaches each of them once. */
  private next(others: readonly number[]): number | undefined {
    return others.find((incarnation) => incarnation > this.parts.membership.incarnation) ?? others[0];
  }

  /** Returns the other nodes that may own the entity, oldest first. */
  private others(entity: string): readonly number[] {
    const { view, membership } = this.parts;
    const places = view.places(entity).map(({ incarnation }) => incarnation);
    return places.filter((incarnation) => incarnation !== membership.incarnation).sort((a, b) => a - b);
  }

  /** Wakes the owner of an entity whose work can begin earlier than that node knows. */
  wake(entity: string, owner: number): void {
    if (owner === this.parts.membership.incarnation) this.parts.ownership.workers.get(entity)?.wake();
    else this.sendWake(entity, owner);
  }

  /** Called when a peer reports work for an entity that is owned here, or that the peer assumes to be. */
  woken(entity: string, record: MessageRecord | undefined): void {
    const { ownership } = this.parts;
    const worker = ownership.workers.get(entity) ?? ownership.activate(entity, record !== undefined && record.chain !== '');
    if (worker === undefined) {
      if (ownership.avoided.passesOn(entity)) this.handedOff(entity);
    } else if (record === undefined) worker.wake();
    else worker.arrived(record);
  }

  // ---- petitions -----------------------------------------------------------------------------------------------

  private petition(entity: string, record: MessageRecord): void {
    const waiting = this.ticketOf.get(entity);
    if (waiting !== undefined) {
      this.petitions.get(waiting)?.records.push(record);
      return;
    }
    const { view, master, clock, config, network, membership, peers } = this.parts;
    // The answer came together with the end of this session. No reply could reach this node; another node's sweep finds the work.
    if (membership.incarnation === 0) return;
    if (master.leads && view.isHome(entity)) {
      master.place(entity, (owner, refusal) => this.placed(entity, [record], owner, refusal));
      return;
    }
    const to = view.masterOf(entity)?.incarnation;
    if (to === undefined || to === membership.incarnation) {
      this.placed(entity, [record], 0, 'NO_MASTER');
      return;
    }
    if (!peers.tryPass(to)) {
      this.placed(entity, [record], 0, 'CIRCUIT_OPEN');
      return;
    }
    const ticket = ++this.ticket;
    const timer = clock.setTimer(config.deadlines.forwardMs, () => {
      peers.missed(to);
      this.end(ticket, 0, 'NO_MASTER');
    });
    this.petitions.set(ticket, { entity, records: [record], to, timer });
    this.ticketOf.set(entity, ticket);
    network.send(to, { kind: 'petition', ticket, entity, source: membership.incarnation, hops: 0 });
  }

  answered({ ticket, owner, refusal }: PeerMessage & { kind: 'placed' }): void {
    const petition = this.petitions.get(ticket);
    if (petition !== undefined) this.parts.peers.answered(petition.to);
    this.end(ticket, owner, refusal);
  }

  private end(ticket: number, owner: number, refusal: PetitionRefusal | undefined): void {
    const petition = this.petitions.get(ticket);
    if (petition === undefined) return;
    this.petitions.delete(ticket);
    this.ticketOf.delete(petition.entity);
    petition.timer.cancel();
    this.placed(petition.entity, petition.records, owner, refusal);
  }

  /**
   * A refused petition costs its caller little time: the router wakes the preferred node, and that node claims the entity. The
   * sweep finds what this hint does not reach.
   */
  private placed(entity: string, records: readonly MessageRecord[], owner: number, refusal: PetitionRefusal | undefined): void {
    const { replies, network, membership, ownership, view } = this.parts;
    const to = refusal === undefined ? owner : view.placeOf(entity)?.incarnation;
    for (const record of records) {
      if (refusal !== undefined) replies.noteRefusal(entity, record.id, refusal);
      if (to === membership.incarnation) ownership.activate(entity, record.chain !== '')?.arrived(record);
      else if (to !== undefined) network.send(to, { kind: 'wake', entity, message: record });
    }
  }

  /** Drops all petitions: the session has ended. */
  clear(): void {
    for (const { timer } of this.petitions.values()) timer.cancel();
    this.petitions.clear();
    this.ticketOf.clear();
  }
}
