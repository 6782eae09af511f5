/**
 * The sweep: makes sure that no logged message is forgotten, whatever hint was lost.
 *   1. evict the members whose lease is over and whose heartbeat stands still; take over the entities of evicted members;
 *   2. adopt entities that are ready and unowned, wake the owners of the others;
 *   3. read back results whose reply did not arrive; delete what is past its retention; send late reports.
 * Every node may do all of it: each step is a compare-and-set, so two sweepers cost work, not safety.
 */
import type { ResolvedConfig } from '../core/config.js';
import type { MembersAnswer } from '../core/log/control-operations.js';
import type { AnswerOf, ExpireOp, SessionOp, ShedOp, TakeoverOp } from '../core/log/operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Network } from '../ports/network.js';
import { type Store, StoreCallError } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';
import { Audit } from './audit.js';
import { Declared } from './declared.js';
import type { Directory } from './directory.js';
import { DutyFaults } from './duty-faults.js';
import { DeadLetterLimits } from './letter-limits.js';
import { Loop } from './loop.js';
import type { Master } from './master.js';
import type { Membership } from './membership.js';
import { NetworkWatch } from './network-watch.js';
import type { Ownership } from './ownership.js';
import type { Replies } from './replies.js';
import type { Router } from './router.js';
import type { Step, StoreSession } from './session.js';
import type { PublishedShapes } from './shapes.js';
import type { View } from './view.js';

export interface RecoveryParts {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly config: ResolvedConfig;
  readonly store: Store;
  readonly network: Network;
  readonly membership: Membership;
  readonly ownership: Ownership;
  readonly replies: Replies;
  readonly view: View;
  readonly directory: Directory;
  readonly shapes: PublishedShapes;
  readonly master: Master;
  readonly router: Router;
}

const READY_PAGE = 512;
/** In node TTLs: a network problem that lasts longer is not a peer that has just died. */
const NETWORK_GRACE_TTLS = 2;
const TAKEOVERS_AT_ONCE = 512;
const LOOKUPS_MAX = 512;
const EXPIRE_PAGE = 1000;
const REBALANCE_MAX = 256;
const NEXT_PAGE_MS = 20;
/** A handler without a timeout that runs for longer (ms) is reported as blocking its entity. */
const BLOCKED_AFTER_MS = 30_000;

export class Recovery {
  private session: StoreSession | undefined;
  private readonly watch: Loop;
  private readonly sweep: Loop;
  private readonly declared = new Declared();
  private readonly audit: Audit;
  private readonly letterLimits: DeadLetterLimits;
  private expireTimer: Timer | undefined;
  private readonly expireFaults: DutyFaults;
  private former = 0;
  /** Where the next page of ready entities starts; '' for the first one. */
  private sweptTo = '';
  /** This node took over entities, and no sweep has begun since: the other nodes do not know of these entities yet. */
  private hasTakenOver = false;
  /** The sweep in progress began after a take-over, so it reaches every entity that was taken over. */
  private offersAll = false;
  private readonly networkWatch: NetworkWatch;

  constructor(private readonly parts: RecoveryParts) {
    const { clock, trace, config, store } = parts;
    this.letterLimits = new DeadLetterLimits(store, trace, config.deadLetters);
    this.expireFaults = new DutyFaults(trace, 'expire');
    this.networkWatch = new NetworkWatch(clock, trace, parts.network, NETWORK_GRACE_TTLS * config.timing.nodeTTLMs);
    this.watch = new Loop(clock, trace, 'watch', config.timing.heartbeatMs, () => this.watchMembers());
    const attend = (entity: string, owner: number): void => this.attend(entity, owner, this.session?.incarnation ?? 0);
    const { reconcileIntervalMs } = config.timing;
    this.audit = new Audit(parts.store, clock, reconcileIntervalMs / 2, parts.ownership, attend);
    this.sweep = new Loop(clock, trace, 'sweep', reconcileIntervalMs, () => this.sweepOnce());
  }

  /** `former`: the previous incarnation of this process, 0 if none. Its entities are taken over even if it is not listed. */
  start(session: StoreSession, former: number): void {
    this.session = session;
    this.former = former;
    this.sweptTo = '';
    this.audit.reset();
    this.watch.start();
    this.sweep.start();
    this.scheduleExpire(this.parts.config.wal.cleanupIntervalMs);
  }

  /** Reads the members before the first session. Rejects if the store does not answer. `isOver`: whether the start was ended. */
  async look(isOver: () => boolean): Promise<void> {
    const { open } = this.parts.directory;
    this.learn(await this.askForMembers(isOver), open);
  }

  /** Reads the members at once, or right after the read in progress. */
  readMembers(): void {
    this.watch.soon();
  }

  stop(): void {
    this.session = undefined;
    this.watch.stop();
    this.sweep.stop();
    this.expireTimer?.cancel();
  }

  /** Reads the members, and the schemas that new ones publish. Skips the schemas once `isOver`. */
  private async askForMembers(isOver: () => boolean): Promise<MembersAnswer> {
    const { store, shapes } = this.parts;
    const answer = await store.control({ op: 'members', contractsAbove: this.declared.upTo });
    await shapes.fetch(answer, async (incarnation, type) => {
      if (isOver()) return undefined;
      const published = await store.control({ op: 'schemas', incarnation, type });
      return published.ok ? published.text : undefined;
    });
    return answer;
  }

  /** Passes a membership snapshot to every component that uses it. `questions`: how many directory questions it answers. */
  private learn(answer: MembersAnswer, questions: number): ReturnType<View['update']> {
    const { membership, view, directory, shapes, network, master } = this.parts;
    const change = view.update(answer);
    master.viewUpdated();
    network.update?.({ generation: membership.generation, storeNowMs: membership.storeNowMs(), peers: view.members });
    this.networkWatch.look();
    const hasNewContracts = this.declared.take(answer);
    if (change !== undefined || hasNewContracts) {
      const declared = this.declared.all((incarnation) => view.isLive(incarnation));
      shapes.learn(declared);
      directory.learn(declared);
    }
    directory.answer(questions);
    return change;
  }

  /** Reads the members, evicts those that are dead, and takes over what they own. */
  private async watchMembers(): Promise<number | undefined> {
    const { session } = this;
    const { membership, view, directory, master, ownership } = this.parts;
    if (session === undefined) return undefined;
    try {
      const { open } = directory;
      const answer = await this.askForMembers(() => this.session !== session);
      if (this.session !== session || membership.isForeign(answer)) return undefined;
      const change = this.learn(answer, open);
      if (change !== undefined) master.viewChanged();
      if (change === 'joined') ownership.beginRebalance();
      ownership.rebalance((entity) => view.prefers(entity, session.incarnation), REBALANCE_MAX);
      const dead = await membership.evictTheDead(answer, () => this.session !== session);
      for (const member of dead) await this.takeOver(session, member.incarnation);
      if (this.session !== session) return undefined;
      if (this.former !== 0 && !view.isMember(this.former)) await this.takeOver(session, this.former);
      this.former = 0;
      if (dead.length > 0) this.hasTakenOver = true;
      if (change !== undefined || dead.length > 0) this.sweep.soon();
    } catch (error) {
      membership.stopWatching();
      throw error;
    }
    return undefined;
  }

  /** Returns the delay until the next page in ms; undefined for the usual interval. */
  private async sweepOnce(): Promise<number | undefined> {
    const { session } = this;
    const { ownership, store } = this.parts;
    if (session === undefined) return undefined;
    if (this.sweptTo === '') {
      this.offersAll ||= this.hasTakenOver;
      this.hasTakenOver = false;
    }
    const ready = await store.control({ op: 'ready', after: this.sweptTo, max: READY_PAGE });
    if (this.session !== session) return undefined;
    this.sweptTo = ready.next;
    for (const { entity, owner } of ready.entities) this.attend(entity, owner, session.incarnation);
    ownership.sendLateReports();
    ownership.reportBlockedAfter(BLOCKED_AFTER_MS);
    const hasMoreReplies = await this.lookUpReplies();
    if (this.session !== session) return undefined;
    const isWhole = this.sweptTo === '';
    if (isWhole) {
      this.offersAll = false;
      ownership.avoided.swept();
    }
    // The audit comes last, so that a failed audit stops nothing else.
    const goesOn = isWhole && (await this.audit.turn(session, () => this.session !== session));
    return !isWhole || this.hasTakenOver || goesOn || hasMoreReplies ? NEXT_PAGE_MS : undefined;
  }

  /** Every node adopts the entities that it is preferred for. The master of the group places the others and wakes live owners. */
  private attend(entity: string, owner: number, me: number): void {
    const { ownership, network, view, master, router } = this.parts;
    if (owner === me) ownership.activate(entity, false)?.wake();
    else if (owner !== 0) {
      // No node can evict an owner that the store no longer lists. The log refuses this take-over if the owner lives.
      if (!view.isMember(owner) && this.session !== undefined)
        this.takeOverEntity(this.session, entity, owner).catch(() => undefined);
      else if (master.leads && view.isNear(owner)) network.send(owner, { kind: 'wake', entity, message: undefined });
    } else if (ownership.handles(entity) && view.belongsTo(entity, me)) {
      if (!ownership.adopt(entity)) router.passOn(entity);
    } else if (master.leads && view.isHome(entity)) {
      // A master that is rebuilding, or has too many open petitions, leaves the entity to its preferred node.
      master.place(entity, (_, refusal) => refusal !== undefined && this.offer(entity));
    } else if (this.offersAll || this.hasTakenOver || view.masterOf(entity) === undefined) this.offer(entity);
  }

  /** Wakes the preferred node of an unowned entity now, instead of waiting for its next sweep. */
  private offer(entity: string): void {
    const { ownership, network, view, membership } = this.parts;
    const place = view.placeOf(entity)?.incarnation;
    if (place === membership.incarnation) ownership.adopt(entity);
    else if (place !== undefined) network.send(place, { kind: 'wake', entity, message: undefined });
  }

  private async takeOver(session: StoreSession, incarnation: number): Promise<void> {
    const { store, trace } = this.parts;
    let owned = 0;
    for (let cursor = '', page: string[]; cursor !== '0' && this.session === session; ) {
      const answer = await store.control({ op: 'owned', incarnation, cursor: cursor === '' ? '0' : cursor });
      cursor = answer.cursor;
      page = [...answer.entities];
      owned += page.length;
      while (page.length > 0)
        await Promise.all(page.splice(0, TAKEOVERS_AT_ONCE).map((entity) => this.takeOverEntity(session, entity, incarnation)));
    }
    if (owned > 0) trace.emit('buried', { incarnation, owned });
  }

  private async takeOverEntity(session: StoreSession, entity: string, incarnation: number): Promise<void> {
    const op: TakeoverOp = { op: 'takeover', entity, incarnation };
    const answer = await ask(session, op);
    if (!answer.ok || answer.interrupted === undefined) return;
    const { seq, id, name, waiter, requeued, deadLetter } = answer.interrupted;
    const { trace, replies, network } = this.parts;
    trace.emit('interrupted', { entity, id, requeued });
    // The log holds the entity for a while. Its next owner waits for the end of the hold more precisely than a sweep does.
    this.offer(entity);
    if (requeued) return;
    if (deadLetter) trace.emit('dead-letter', { entity, id, name, reason: 'interrupted' });
    replies.settle(entity, id, seq, 'interrupted', '');
    if (waiter !== 0) network.send(waiter, { kind: 'reply', entity, id, seq, state: 'interrupted', detail: '' });
  }

  /** Reads back overdue results. Returns whether more are overdue. */
  private async lookUpReplies(): Promise<boolean> {
    const { replies, config } = this.parts;
    const { workers } = this.parts.ownership;
    // An end that happens here reaches its waiter. An end under a former owner, at a take-over for instance, may not have.
    const isToCome = (entity: string, seq: number): boolean => (workers.get(entity)?.attempt?.record.seq ?? Infinity) <= seq;
    const elsewhere = replies.overdue(
      config.timing.reconcileIntervalMs,
      LOOKUPS_MAX,
      ({ entity, seq }) => !isToCome(entity, seq),
    );
    await Promise.all(elsewhere.map(({ entity, id, seq }) => replies.readBack.ask(entity, id, seq)));
    return elsewhere.length === LOOKUPS_MAX;
  }

  private scheduleExpire(delayMs: number): void {
    this.expireTimer = this.parts.clock.setTimer(delayMs, () => {
      const { session } = this;
      if (session === undefined) return;
      const next = (isMoreDue: boolean): void => {
        if (this.session === session) this.scheduleExpire(isMoreDue ? NEXT_PAGE_MS : this.parts.config.wal.cleanupIntervalMs);
      };
      this.expire(session).then(next, (error: unknown) => {
        this.expireFaults.report(error);
        next(false);
      });
    });
  }

  /** Deletes expired records. Returns whether more are due. */
  private async expire(session: StoreSession): Promise<boolean> {
    const shed = session.wasFull ? this.shed(session) : Promise.resolve();
    session.wasFull = false;
    const op: ExpireOp = { op: 'expire', max: EXPIRE_PAGE };
    const [{ count }] = await Promise.all([ask(session, op), shed]);
    const { master, membership } = this.parts;
    // One node of a group is enough, and reports each deletion once.
    const isMoreDue = master.leads && (await this.letterLimits.enforce(membership.storeNowMs(), () => this.session !== session));
    return isMoreDue || count === EXPIRE_PAGE;
  }

  /** Drops large results that are kept for ids of callers, once they are old enough: the store was out of memory. */
  private async shed(session: StoreSession): Promise<void> {
    let from = 0;
    do from = (await ask(session, { op: 'shed', from } satisfies ShedOp)).goOn;
    while (from !== 0);
  }
}

/** Submits one step, and resolves with its answer. Rejects if the store refuses it or the session ends first. */
function ask<O extends SessionOp>(session: StoreSession, op: O): Promise<AnswerOf[O['op']]> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(new StoreCallError(error.message, false));
    const step: Step<O> = { op, answered: resolve, refused: fail, unknown: fail };
    session.submit(step as unknown as Step);
  });
}
