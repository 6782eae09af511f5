/**
 * The duties of the master of a service group: it places entities that have no owner, on petition or at the sweep. It commands
 * only the nodes of its own group; every node may petition it.
 *
 *   follower -> rebuilding -> ready -> follower
 *
 *   (1) A master acts only within its term by its own clock, counted from the sending of the last accepted `lead`.
 *   (2) Every command carries the epoch; a node refuses a command whose epoch is lower than the highest it has seen.
 *   (3) Petitions are refused until the table is rebuilt. The entities of a member that does not answer are read from the store,
 *       so a slow member is never assumed to own nothing.
 *   (4) Becoming master completes or is undone: an error on the way ends the leadership.
 */
import type { ResolvedConfig } from '../core/config.js';
import type { Member } from '../core/log/control-operations.js';
import { candidateOf } from '../core/log/leadership.js';
import { AssignmentTable } from '../core/placement/assignment-table.js';
import { choosePlace } from '../core/placement/choose.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Network, PeerMessage, PetitionRefusal } from '../ports/network.js';
import type { Store } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';
import { DutyFaults } from './duty-faults.js';
import type { Membership } from './membership.js';
import type { Ownership } from './ownership.js';
import type { Peers } from './peers.js';
import { SelfReport } from './self-report.js';
import type { View } from './view.js';
import { Pauses } from './waits.js';

export interface MasterParts {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly config: ResolvedConfig;
  readonly store: Store;
  readonly network: Network;
  readonly membership: Membership;
  readonly ownership: Ownership;
  readonly view: View;
  readonly peers: Peers;
  /** Returns true while the store counts as unhealthy: then this node neither leads nor stands for election. */
  isDegraded(): boolean;
}

type Role = 'follower' | 'rebuilding' | 'ready';

type Answer = (owner: number, refusal?: PetitionRefusal) => void;

interface OpenAssignment {
  readonly entity: string;
  readonly to: number;
  readonly timer: Timer;
  end(refusal: PetitionRefusal | undefined): void;
}

interface Rebuild {
  readonly waitsFor: Set<number>;
}

const PAGE = 500;
/** Rows kept in addition to those of open assignments. They are only handed to a successor; no decision reads them. */
const SETTLED_ROWS_MAX = 1000;
/** Node TTLs that a lower serverId must have lived before a working master hands over to it: a flapping node never leads. */
const HOLD_DOWN_TTLS = 4;

export class Master {
  role: Role = 'follower';
  epoch = 0;
  /** The highest epoch that this node has led, or has accepted a command of. */
  highestEpoch = 0;
  private readonly table = new AssignmentTable();
  private leadsUntilMs = 0;
  private timer: Timer | undefined;
  private isOn = false;
  /** Ends early when every member has answered, or when this node no longer leads. */
  private readonly answersWait: Pauses;
  private ticket = 0;
  private readonly open = new Map<number, OpenAssignment>();
  /** Entities of open assignments. */
  private readonly assigning = new Set<string>();
  /** Entities placed since the last membership snapshot, by incarnation. */
  private readonly placed = new Map<number, number>();
  private rebuild: Rebuild | undefined;
  private formerTable: [string, number][] = [];
  private lowerSinceMs = 0;
  private lowerId = 0;
  private readonly selfReport: SelfReport;
  private readonly faults: DutyFaults;
  private readonly rebuildFaults: DutyFaults;

  constructor(private readonly parts: MasterParts) {
    this.answersWait = new Pauses(parts.clock);
    this.selfReport = new SelfReport(parts.store, parts.membership, parts.view, parts.peers);
    this.faults = new DutyFaults(parts.trace, 'master');
    this.rebuildFaults = new DutyFaults(parts.trace, 'rebuild');
  }

  /** True while this node may act as master, by its own clock. */
  get leads(): boolean {
    return this.role !== 'follower' && !this.isTermOver() && this.parts.membership.leaseValid();
  }

  private isTermOver(): boolean {
    return this.parts.clock.monotonicMs() >= this.leadsUntilMs;
  }

  get openPetitions(): number {
    return this.open.size;
  }

  start(): void {
    this.isOn = true;
    this.schedule();
  }

  stop(): void {
    this.isOn = false;
    this.timer?.cancel();
    this.stepDown();
    this.formerTable = [];
    this.parts.peers.clear();
    this.selfReport.reset();
  }

  /** Steps down, and reports at once that this node takes no new work. */
  resign(): void {
    this.stepDown();
    this.selfReport.send(this.mayLead()).catch(() => undefined);
  }

  private schedule(): void {
    this.timer?.cancel();
    this.timer = this.parts.clock.setTimer(this.parts.config.timing.leaderRenewalMs, () => void this.turn());
  }

  /** Stands for election, renews the term, or steps down. A failure does not end the loop. */
  private async turn(): Promise<void> {
    const me = this.parts.membership.incarnation;
    try {
      if (this.role !== 'follower' && !this.leads) this.stepDown();
      await this.selfReport.send(this.mayLead());
      if (this.wantsToLead(me)) await this.lead(me);
    } catch (error) {
      this.faults.report(error);
    }
    if (this.isOn && this.parts.membership.incarnation === me) this.schedule();
  }

  private mayLead(): boolean {
    const { isDegraded, membership, ownership } = this.parts;
    return ownership.handlesAny && !isDegraded() && membership.leaseValid() && !ownership.draining;
  }

  private wantsToLead(me: number): boolean {
    const { view } = this.parts;
    if (!this.mayLead()) {
      this.stepDown();
      return false;
    }
    if (this.role !== 'follower') return !this.shouldHandOver(me);
    if (view.leader !== undefined) return false;
    return candidateOf(view.group, view.lapsed === me ? 0 : view.lapsed)?.incarnation === me;
  }

  /** Returns whether a member with a lower serverId has lived long enough to lead. This node then lets its record lapse. */
  private shouldHandOver(me: number): boolean {
    const nowMs = this.parts.clock.monotonicMs();
    const lowest = candidateOf(this.parts.view.group, 0)?.incarnation ?? me;
    if (lowest === me || lowest !== this.lowerId) {
      this.lowerId = lowest;
      this.lowerSinceMs = nowMs;
      return false;
    }
    return nowMs - this.lowerSinceMs > HOLD_DOWN_TTLS * this.parts.config.timing.nodeTTLMs;
  }

  private async lead(me: number): Promise<void> {
    const sentMs = this.parts.clock.monotonicMs();
    const answer = await this.parts.store.control({ op: 'lead', ...this.parts.membership.identity });
    if (!this.isOn || me !== this.parts.membership.incarnation) return;
    if (!answer.ok) {
      this.stepDown();
      return;
    }
    // The record had lapsed by the store's clock: this is another term.
    if (answer.epoch !== this.epoch) this.stepDown();
    const { leaderTTLMs, leaseMarginMs } = this.parts.config.timing;
    this.leadsUntilMs = sentMs + leaderTTLMs - leaseMarginMs;
    this.parts.membership.noteEpoch(answer.epoch);
    // A process that was paused may read the answer after the granted term has ended.
    if (this.isTermOver()) this.stepDown();
    else if (this.role === 'follower') this.becomeMaster(answer.epoch);
  }

  private becomeMaster(epoch: number): void {
    this.epoch = epoch;
    this.acceptEpoch(epoch);
    this.role = 'rebuilding';
    this.lowerId = 0;
    this.table.clear();
    this.parts.trace.emit('leading', { epoch });
    this.startRebuild().catch((error: unknown) => {
      this.rebuildFaults.report(error);
      this.stepDown();
    });
  }

  private stepDown(): void {
    if (this.role === 'follower') return;
    this.parts.trace.emit('stepped-down', { epoch: this.epoch });
    this.role = 'follower';
    this.leadsUntilMs = 0;
    this.rebuild = undefined;
    this.answersWait.end();
    this.formerTable = [...this.table.entries()];
    this.table.clear();
    for (const [ticket] of this.open) this.endAssignment(ticket, 'NOT_MASTER');
  }

  // ---- rebuild -------------------------------------------------------------------------------------------------

  /** Asks every member which entities it owns, and reads from the store the entities of those that do not answer in time. */
  private async startRebuild(): Promise<void> {
    const { membership, ownership, view, network, config } = this.parts;
    const { epoch } = this;
    for (const entity of ownership.workers.keys()) this.table.set(entity, membership.incarnation);
    const others = view.group.filter((m) => m.incarnation !== membership.incarnation).map((m) => m.incarnation);
    const rebuild: Rebuild = { waitsFor: new Set(others) };
    this.rebuild = rebuild;
    for (const other of others) network.send(other, { kind: 'list-workers', ticket: epoch, epoch });
    if (others.length > 0) await this.answersWait.pause(config.deadlines.syncMs);
    for (const silent of rebuild.waitsFor) {
      if (this.rebuild !== rebuild) return;
      await this.readOwned(rebuild, silent);
    }
    if (this.rebuild !== rebuild) return;
    this.finishRebuild();
  }

  private async readOwned(rebuild: Rebuild, incarnation: number): Promise<void> {
    for (let cursor = '0'; ; ) {
      const page = await this.parts.store.control({ op: 'owned', incarnation, cursor });
      if (this.rebuild !== rebuild) return;
      for (const entity of page.entities) this.table.add(entity, incarnation);
      cursor = page.cursor;
      if (cursor === '0') return;
    }
  }

  private onWorkers(message: PeerMessage & { kind: 'workers' }, from: number): void {
    const { rebuild } = this;
    if (rebuild === undefined || message.ticket !== this.epoch) return;
    for (const entity of message.entities) this.table.set(entity, from);
    if (!message.last) return;
    rebuild.waitsFor.delete(from);
    if (rebuild.waitsFor.size === 0) this.finishRebuild();
  }

  private finishRebuild(): void {
    this.rebuild = undefined;
    this.answersWait.end();
    if (this.role !== 'rebuilding') return;
    this.role = 'ready';
    this.parts.trace.emit('rebuilt', { epoch: this.epoch, entities: this.table.size });
    this.trimTable();
  }

  private trimTable(): void {
    this.table.trim(SETTLED_ROWS_MAX + this.open.size);
  }

  // ---- the other side of a command -----------------------------------------------------------------------------

  /** Returns false for a command with a lower epoch than one accepted before. Steps down at a higher epoch. */
  private acceptEpoch(epoch: number): boolean {
    if (epoch < this.highestEpoch) return false;
    if (epoch > this.highestEpoch) {
      this.highestEpoch = epoch;
      if (epoch > this.epoch) this.stepDown();
    }
    return true;
  }

  receive(message: PeerMessage, from: number): void {
    switch (message.kind) {
      case 'petition':
        this.onPetition(message);
        return;
      case 'assign':
        this.onAssign(message, from);
        return;
      case 'assigned':
        this.endAssignment(message.ticket, message.refusal);
        return;
      case 'list-workers':
        this.onListWorkers(message, from);
        return;
      case 'workers':
        this.onWorkers(message, from);
        return;
      case 'handover':
        if (this.role !== 'follower' && message.epoch < this.epoch)
          for (const [entity, owner] of message.rows) if (this.parts.view.isLive(owner)) this.table.add(entity, owner);
        if (this.role === 'ready') this.trimTable();
        return;
      default:
        return;
    }
  }

  private onAssign({ ticket, entity, epoch }: PeerMessage & { kind: 'assign' }, from: number): void {
    const accepted = this.acceptEpoch(epoch);
    this.parts.trace.emit('commanded', { epoch, accepted });
    let refusal: PetitionRefusal | undefined = accepted ? undefined : 'STALE_EPOCH';
    if (accepted) {
      const worker = this.parts.ownership.activate(entity, false);
      if (worker === undefined) refusal = 'DECLINED';
      else worker.wake();
    }
    this.parts.network.send(from, { kind: 'assigned', ticket, refusal });
  }

  private onListWorkers({ ticket, epoch }: PeerMessage & { kind: 'list-workers' }, from: number): void {
    const accepted = this.acceptEpoch(epoch);
    this.parts.trace.emit('commanded', { epoch, accepted });
    if (!accepted) return;
    const { ownership, network } = this.parts;
    const entities = [...ownership.workers.keys()];
    for (let i = 0; i === 0 || i < entities.length; i += PAGE)
      network.send(from, { kind: 'workers', ticket, entities: entities.slice(i, i + PAGE), last: i + PAGE >= entities.length });
    for (let i = 0; i < this.formerTable.length; i += PAGE)
      network.send(from, { kind: 'handover', epoch: this.epoch, rows: this.formerTable.slice(i, i + PAGE) });
    this.formerTable = [];
  }

  // ---- petitions -----------------------------------------------------------------------------------------------

  private onPetition(message: PeerMessage & { kind: 'petition' }): void {
    const { ticket, entity, source, hops } = message;
    const { network, view, config, membership } = this.parts;
    const answer = (owner: number, refusal?: PetitionRefusal): void =>
      network.send(source, { kind: 'placed', ticket, owner, refusal });
    if (!this.leads || view.nearPlaces(entity).length === 0) {
      const leader = view.masterOf(entity)?.incarnation;
      if (leader === undefined || leader === membership.incarnation) answer(0, leader === undefined ? 'NO_MASTER' : 'NOT_MASTER');
      else if (hops + 1 > config.limits.forwardHopsMax) answer(0, 'MAX_HOPS_EXCEEDED');
      else network.send(leader, { ...message, hops: hops + 1 });
      return;
    }
    this.place(entity, answer);
  }

  /** Decides which node is to own an entity, and assigns it. `answer` gets the owner, or 0 and why there is none yet. */
  place(entity: string, answer: Answer, declined: readonly number[] = []): void {
    const { view, config, membership, ownership, peers } = this.parts;
    if (this.role === 'rebuilding') {
      answer(0, 'MASTER_REBUILDING');
      return;
    }
    const { concurrentPetitionsMax } = config.limits;
    if (concurrentPetitionsMax > 0 && this.open.size >= concurrentPetitionsMax) {
      answer(0, 'PETITION_LIMIT_EXCEEDED');
      return;
    }
    // The petitioner has read in the log that the entity has no owner: a row counts only while its assignment is in progress.
    if (!this.assigning.has(entity)) this.table.remove(entity);
    const able = view.nearPlaces(entity).filter((m) => !declined.includes(m.incarnation));
    const sound = able.filter((m) => !peers.isSuspect(m.incarnation));
    const chosen = choosePlace(entity, sound.length > 0 ? sound : able, this.table.ownerOf(entity), (m) => this.loadOf(m));
    if (chosen === undefined) {
      answer(0, declined.length > 0 ? 'PETITION_LIMIT_EXCEEDED' : 'NO_MASTER');
      return;
    }
    const to = chosen.incarnation;
    if (to === membership.incarnation) {
      const worker = ownership.activate(entity, false);
      if (worker === undefined) {
        this.place(entity, answer, [...declined, to]);
        return;
      }
      this.note(entity, to);
      worker.wake();
      answer(to);
      return;
    }
    if (!peers.tryPass(to)) {
      answer(0, 'CIRCUIT_OPEN');
      return;
    }
    this.note(entity, to);
    this.assign(entity, to, answer, declined);
  }

  /** The number of entities that a member owns: as the store counted them, plus those that were placed there since. */
  private loadOf({ incarnation, owns }: Member): number {
    return owns + (this.placed.get(incarnation) ?? 0);
  }

  private note(entity: string, to: number): void {
    this.table.set(entity, to);
    this.trimTable();
    this.placed.set(to, (this.placed.get(to) ?? 0) + 1);
  }

  /** Called with a newer membership snapshot, which counts what was placed before it. */
  viewUpdated(): void {
    this.placed.clear();
  }

  private assign(entity: string, to: number, answer: Answer, declined: readonly number[]): void {
    const { clock, config, network, peers } = this.parts;
    const ticket = ++this.ticket;
    const timer = clock.setTimer(config.deadlines.forwardMs, () => {
      peers.missed(to);
      this.endAssignment(ticket, 'CIRCUIT_OPEN');
    });
    const end = (refusal: PetitionRefusal | undefined): void => {
      // An assignment that was not confirmed leaves no row. If it was carried out all the same, the log knows.
      if (refusal !== undefined && this.table.ownerOf(entity) === to) this.table.remove(entity);
      if (refusal !== 'DECLINED') answer(refusal === undefined ? to : 0, refusal);
      else if (this.leads) this.place(entity, answer, [...declined, to]);
      else answer(0, 'NOT_MASTER');
    };
    this.open.set(ticket, { entity, to, timer, end });
    this.assigning.add(entity);
    network.send(to, { kind: 'assign', ticket, entity, epoch: this.epoch });
  }

  private endAssignment(ticket: number, refusal: PetitionRefusal | undefined): void {
    const assignment = this.open.get(ticket);
    if (assignment === undefined) return;
    this.open.delete(ticket);
    this.assigning.delete(assignment.entity);
    assignment.timer.cancel();
    if (refusal !== 'CIRCUIT_OPEN') this.parts.peers.answered(assignment.to);
    if (refusal === 'STALE_EPOCH') this.stepDown();
    assignment.end(refusal);
  }

  /** Drops the breakers, rows and open assignments of peers that are no longer live. */
  viewChanged(): void {
    const { view, peers } = this.parts;
    peers.keep((peer) => view.isLive(peer));
    this.table.sweep((incarnation) => view.isLive(incarnation));
    for (const [ticket, { to }] of this.open) if (!view.isLive(to)) this.endAssignment(ticket, 'CIRCUIT_OPEN');
  }
}
