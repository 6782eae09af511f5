/**
 * Where a logged message goes (design §4): to its worker here, to the owner that the log named, or, if nobody owns its entity,
 * to whom the ring says, and failing that to the master of that one's group. Every way is a hint; the sweep finds what no hint
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

  /** The worker that an append may begin at: the one here, claimed on the way if the ring gives the entity to this node. */
  workerFor(entity: string): EntityWorker | undefined {
    const { ownership, view, membership } = this.parts;
    const known = ownership.workers.get(entity);
    if (known !== undefined) return known;
    // A node that drains has no place, so a chain, which may claim during a drain, makes no difference here.
    return view.belongsTo(entity, membership.incarnation) ? ownership.activate(entity, false) : undefined;
  }

  /** A message is logged, and the log named the owner of its entity (0: nobody). */
  deliver(entity: string, record: MessageRecord, owner: number): void {
    const { network, membership, ownership } = this.parts;
    const me = membership.incarnation;
    if (owner !== 0 && owner !== me) {
      network.send(owner, { kind: 'ring', entity, message: record });
      return;
    }
    const worker = owner === me ? ownership.activate(entity, record.chain !== '') : this.workerFor(entity);
    if (worker !== undefined) worker.arrived(record);
    else if (owner === 0) this.petition(entity, record);
  }

  /** This node has no handler for the next message: another that declared the type gets a hint, so that it need not wait for a sweep. */
  handedOff(entity: string): void {
    this.ring(entity, this.next(this.others(entity)));
  }

  /**
   * Work belongs here that cannot be taken here now, so it may be stuck. Who came last is told too: of a message that the others do
   * not declare it is the one that most likely does.
   */
  passOn(entity: string): void {
    const others = this.others(entity);
    const next = this.next(others);
    this.ring(entity, next);
    if (others.at(-1) !== next) this.ring(entity, others.at(-1));
  }

  private ring(entity: string, to: number | undefined): void {
    if (to !== undefined) this.parts.network.send(to, { kind: 'ring', entity, message: undefined });
  }

  /** Round all of them in one direction: whoever cannot take it passes it on, and it meets everybody once. */
  private next(others: readonly number[]): number | undefined {
    return others.find((incarnation) => incarnation > this.parts.membership.incarnation) ?? others[0];
  }

  /** The other places, the oldest first. */
  private others(entity: string): readonly number[] {
    const { view, membership } = this.parts;
    const places = view.places(entity).map(({ incarnation }) => incarnation);
    return places.filter((incarnation) => incarnation !== membership.incarnation).sort((a, b) => a - b);
  }

  /** Work of an entity that `owner` owns can begin sooner than that node knows. */
  wake(entity: string, owner: number): void {
    if (owner === this.parts.membership.incarnation) this.parts.ownership.workers.get(entity)?.ring();
    else this.ring(entity, owner);
  }

  /** A peer says that there is work: for an entity owned here, or one that it takes to be ours. */
  rung(entity: string, record: MessageRecord | undefined): void {
    const { ownership } = this.parts;
    const worker = ownership.workers.get(entity) ?? ownership.activate(entity, record !== undefined && record.chain !== '');
    if (worker === undefined) {
      if (ownership.avoided.passesOn(entity)) this.handedOff(entity);
    } else if (record === undefined) worker.ring();
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
    // An answer that was read together with the end of this session: no reply would find its way, and a sweep of the others finds the work.
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
   * A refused petition costs its caller little time: the router wakes the node that rendezvous hashing prefers, and that node claims the
   * entity. The sweep finds what this hint does not reach.
   */
  private placed(entity: string, records: readonly MessageRecord[], owner: number, refusal: PetitionRefusal | undefined): void {
    const { replies, network, membership, ownership, view } = this.parts;
    const to = refusal === undefined ? owner : view.placeOf(entity)?.incarnation;
    for (const record of records) {
      if (refusal !== undefined) replies.noteRefusal(entity, record.id, refusal);
      if (to === membership.incarnation) ownership.activate(entity, record.chain !== '')?.arrived(record);
      else if (to !== undefined) network.send(to, { kind: 'ring', entity, message: record });
    }
  }

  /** Ends every petition: the session has ended. */
  clear(): void {
    for (const { timer } of this.petitions.values()) timer.cancel();
    this.petitions.clear();
    this.ticketOf.clear();
  }
}
