/**
 * A node's place in the cluster: one incarnation at a time, with a lease that the node proves to itself.
 *
 *   (1) The lease is counted from the *sending* of the last acknowledged heartbeat by the node's own monotonic clock, less a
 *       margin: it ends here before it ends in the store.
 *   (2) Without a lease the node is suspended: it starts no handler. If the store still accepts a later heartbeat, no member has
 *       evicted this node, and the same incarnation continues. If the store refuses it, the incarnation is dead.
 *   (3) The `HeartbeatSender` may run in a thread of its own. A main loop that was blocked then finds its lease in force,
 *       although no heartbeat was reported to it for longer than the lease lasts.
 */
import type { ResolvedConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import { HighWater } from '../core/high-water.js';
import type {
  Contract,
  ControlAnswerOf,
  HeartbeatAnswer,
  Identity,
  JoinAnswer,
  JoinOp,
  Member,
  MembersAnswer,
  PublishedSchemas,
  Remembered,
} from '../core/log/control-operations.js';
import { SCHEMA_VERSION } from '../core/log/operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { HeartbeatSender } from '../ports/heartbeats.js';
import type { Random } from '../ports/random.js';
import { type Store, StoreCallError } from '../ports/store.js';
import { asError } from './error-record.js';
import { Pauses } from './waits.js';

const CLOSED_TEXT =
  'the store has lost acknowledged writes and was closed by a node that noticed it; find out what is missing, then reopen it (docs/guide.md in this package)';

const lossText = (code: 'LOST' | 'UNKNOWN', incarnation = 0): string =>
  code === 'LOST'
    ? 'it holds the data of another generation, or none, or fields of its meta key are gone'
    : `it holds no join, heartbeat or batch of incarnation ${incarnation} that it had acknowledged to this process`;

/** Added to the error of a process that starts: the remaining data cannot be run, and only an operator can judge its worth. */
const REFUSED_TEXT =
  'restore the keys under keyPrefix from a backup, or delete them all to start empty (docs/guide.md in this package)';

export interface MembershipEvents {
  suspended(): void;
  resumed(): void;
  /** Called when this incarnation was evicted. */
  fenced(why: string): void;
  /** Called when the store has lost acknowledged writes. */
  lost(why: string): void;
  /** Called when the store answers (undefined), or with the reason why this node makes no progress with it. */
  health(error: Error | undefined): void;
  /** Called when a heartbeat was acknowledged and the lease is in force. */
  heartbeat(): void;
}

/** The last heartbeat number seen of a member, and since when (monotonic ms) it has not changed. */
interface Watched {
  readonly heartbeat: number;
  readonly sinceMs: number;
}

export class Membership {
  incarnation = 0;
  generation = '';
  private token = '';
  /** The incarnation before this one; undefined for the first. */
  private former: Remembered | undefined;
  /** Number of the last heartbeat of this incarnation that was acknowledged. */
  private lastHeartbeat = 0;
  private readonly highWater = new HighWater();
  private leaseEndsMs = 0;
  private lapsed = true;
  /** Set when a start was refused after the lease expired. The lease then counts as lapsed even if a late heartbeat renews it. */
  private missed = false;
  private lastProofMs = 0;
  private lapseTimer: Timer | undefined;
  private storeOffsetMs = 0;
  /** Length in ms of the lease that the last acknowledged heartbeat got. */
  private grantedMs = 0;
  /** When the newest acknowledged heartbeat was sent, monotonic ms. */
  private provedAtMs = Number.NEGATIVE_INFINITY;
  private readonly watched = new Map<number, Watched>();
  private readonly pauses: Pauses;
  /** The node is stopping or has closed: it does not join again. */
  private isLast = false;

  constructor(
    private readonly store: Store,
    private readonly heartbeats: HeartbeatSender,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly config: ResolvedConfig,
    private readonly contracts: readonly Contract[],
    private readonly events: MembershipEvents,
    private readonly schemas: readonly PublishedSchemas[] = [],
  ) {
    this.pauses = new Pauses(clock);
  }

  /** True while this node may start handlers: the last synchronous check before each. */
  leaseValid(): boolean {
    if (this.lapsed || this.missed) return false;
    if (this.inForce()) return true;
    this.missed = true;
    return false;
  }

  /** Milliseconds of lease left by the node's own clock; 0 if it has lapsed. */
  leaseLeftMs(): number {
    return this.lapsed || this.missed || !this.inForce() ? 0 : Math.max(0, this.leaseEndsMs - this.clock.monotonicMs());
  }

  private inForce(): boolean {
    const nowMs = this.clock.monotonicMs();
    if (nowMs < this.leaseEndsMs) return true;
    // The sender may know of a newer heartbeat that it could not report: this loop may just have been blocked.
    this.provedAtMs = Math.max(this.provedAtMs, this.heartbeats.lastProvedMs());
    this.leaseEndsMs = this.provedAtMs + this.leaseMs;
    return nowMs < this.leaseEndsMs;
  }

  /** How long an acknowledged heartbeat keeps the lease, in ms from its sending. */
  private get leaseMs(): number {
    return this.grantedMs - this.config.timing.leaseMarginMs;
  }

  /** Store time now in ms, from the offset measured with each heartbeat. */
  storeNowMs(): number {
    return this.clock.monotonicMs() + this.storeOffsetMs;
  }

  /**
   * Joins as a new incarnation. Waits for the lease of an earlier member with the same serverId, then evicts that member. Throws
   * CONFIG_INVALID for another schema, a permanent failure of the store or, unless `patient`, a live duplicate serverId;
   * STORE_LOST for a lost or closed store; STORE_UNAVAILABLE, unless `patient`, if the store does not answer; SHUTTING_DOWN after
   * `endJoins`.
   */
  async join(patient: boolean): Promise<void> {
    const token = this.random.token();
    let duplicateSinceMs: number | undefined;
    while (!this.isLast) {
      const sentMs = this.clock.monotonicMs();
      const answer = await this.attempt(() => this.store.control(this.joinOp(token)), patient);
      if (answer === undefined) {
        await this.pauseBeforeJoin(this.config.timing.heartbeatMs);
        continue;
      }
      // A reported duplicate serverId stays reported until this node is let in.
      if (answer.ok || !this.isDuplicateOverdue(duplicateSinceMs)) this.events.health(undefined);
      if (answer.ok) {
        this.joined(answer, token, sentMs);
        if (!this.isLast) return;
        await this.leave(0);
        break;
      }
      if (answer.code === 'SCHEMA')
        throw new AtomicQueuesError(
          'CONFIG_INVALID',
          `keyPrefix "${this.config.keyPrefix}" holds records of schema version ${answer.at}, this version reads ${SCHEMA_VERSION}; use another keyPrefix or the version that wrote them`,
        );
      if (answer.code === 'LOST' || answer.code === 'UNKNOWN') {
        const why = lossText(answer.code, this.former?.incarnation);
        throw new AtomicQueuesError('STORE_LOST', this.former === undefined ? `${why}; ${REFUSED_TEXT}` : why);
      }
      if (answer.code === 'CLOSED') throw new AtomicQueuesError('STORE_LOST', CLOSED_TEXT);
      duplicateSinceMs ??= sentMs;
      await this.waitForDuplicate(answer.at, duplicateSinceMs, patient);
    }
    throw new AtomicQueuesError('SHUTTING_DOWN', 'the node was stopped before it had joined');
  }

  private async pauseBeforeJoin(ms: number): Promise<void> {
    if (!this.isLast) await this.pauses.pause(ms);
  }

  /** Ends the join in progress: it rejects, and leaves again if the store lets it in after all. Ends pauses, too. */
  endJoins(): void {
    this.isLast = true;
    this.pauses.end();
  }

  /** Closes the store to every node, since it lost acknowledged writes. Retries until the store answers, or until `isOver`. */
  async closeStore(generation: string, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const answer = await this.attempt(() => this.store.control({ op: 'closeStore', generation }), true);
      // A stop that closed the connection meanwhile has already ended all pauses, so no new one may begin.
      if (answer !== undefined || isOver()) return;
      await this.pauses.pause(this.config.timing.heartbeatMs);
    }
  }

  private joinOp(token: string): JoinOp {
    const { serverId, serviceGroup, limits, timing, wal, grpc } = this.config;
    return {
      op: 'join',
      serverId,
      group: serviceGroup,
      address: grpc.advertisedAddress,
      token,
      schema: SCHEMA_VERSION,
      // Never the generation of before: an emptied store would adopt it, and its loss would go unnoticed.
      generation: token,
      workersMax: limits.workersMax,
      ...(this.former === undefined ? {} : { former: this.former }),
      settings: {
        leaseTtlMs: timing.nodeTTLMs,
        takeoverHoldMs: timing.takeoverHoldMs,
        entryTtlMs: wal.entryTTLMs,
        resultTtlMs: wal.resultTTLMs,
        depthMax: limits.queueDepthMax,
        leaderTtlMs: timing.leaderTTLMs,
        leaderDebounceMs: timing.leaderDebounceMs,
      },
      contracts: this.contracts,
      schemas: this.schemas,
    };
  }

  private joined(answer: JoinAnswer, token: string, sentMs: number): void {
    const wentBack = this.highWater.take(answer.counters, sentMs);
    if (wentBack !== undefined) throw new AtomicQueuesError('STORE_LOST', wentBack);
    this.incarnation = answer.incarnation;
    this.generation = answer.generation;
    this.token = token;
    this.lastHeartbeat = 0;
    this.leaseEndsMs = 0;
    this.provedAtMs = Number.NEGATIVE_INFINITY;
    this.lastProofMs = sentMs;
    this.proved(sentMs, this.clock.monotonicMs(), answer);
    const { incarnation } = this;
    this.heartbeats.begin(this.identity, {
      answered: (...news) => this.answered(...news),
      ended: (why) => {
        this.events.health(undefined);
        if (incarnation !== this.incarnation) return;
        if (why === 'FENCED') this.events.fenced('the store has evicted this incarnation');
        else this.events.lost(lossText(why, incarnation));
      },
      failed: (error) => this.events.health(error),
    });
  }

  /** Identifies this incarnation in its calls to the store. */
  get identity(): Identity {
    const { generation, incarnation, token } = this;
    return { generation, incarnation, token };
  }

  /** Notes an epoch that the store gave this node. Epochs from other nodes do not count: a wrong hint must close no store. */
  noteEpoch(epoch: number): void {
    this.highWater.noteEpoch(epoch, this.clock.monotonicMs());
  }

  /** Returns whether a membership snapshot is of another store than this incarnation joined. Reports that as a loss. */
  isForeign({ generation }: MembersAnswer): boolean {
    if (this.incarnation === 0 || generation === this.generation) return false;
    this.events.lost(lossText('LOST', this.incarnation));
    return true;
  }

  /** Renews the lease: a heartbeat or join that was sent at `sentMs` was acknowledged. */
  private proved(sentMs: number, receivedMs: number, { nowMs, leaseUntilMs }: JoinAnswer | HeartbeatAnswer): void {
    this.storeOffsetMs = nowMs - (sentMs + receivedMs) / 2;
    // A shorter lease granted by the store counts: another node may have joined with a shorter nodeTTLMs.
    this.grantedMs = Math.min(this.config.timing.nodeTTLMs, leaseUntilMs - nowMs);
    this.provedAtMs = Math.max(this.provedAtMs, sentMs);
    this.leaseEndsMs = this.provedAtMs + this.leaseMs;
    this.lapsed = !this.inForce();
    this.missed = false;
    this.watchLease();
  }

  private answered(answer: ControlAnswerOf['heartbeat'], heartbeat: number, sentMs: number, receivedMs: number): void {
    this.events.health(undefined);
    if (!answer.ok) return;
    this.lastHeartbeat = heartbeat;
    const wentBack = this.highWater.take(answer.counters, sentMs);
    if (wentBack !== undefined) {
      this.events.lost(wentBack);
      return;
    }
    // The lease lapsed while this loop was blocked: the store may have been away for all members alike.
    if (sentMs - this.lastProofMs > this.leaseMs) this.stopWatching();
    this.lastProofMs = sentMs;
    const wasLapsed = this.lapsed || this.missed || !this.inForce();
    if (wasLapsed && !this.lapsed) this.lapse();
    this.proved(sentMs, receivedMs, answer);
    if (wasLapsed && !this.lapsed) this.events.resumed();
    if (!this.lapsed) this.events.heartbeat();
  }

  private watchLease(): void {
    this.lapseTimer?.cancel();
    this.lapseTimer = this.clock.setTimer(Math.max(0, this.leaseEndsMs - this.clock.monotonicMs()), () => {
      if (!this.missed && this.inForce()) this.watchLease();
      else this.lapse();
    });
  }

  private lapse(): void {
    if (this.incarnation === 0 || this.lapsed) return;
    this.lapsed = true;
    this.stopWatching();
    this.events.suspended();
  }

  /** Stops the heartbeats and forgets the incarnation, which is dead or ends. `lastBatch`: the last acknowledged one. */
  forget(lastBatch: number): void {
    if (this.incarnation !== 0) this.former = { ...this.identity, lastHeartbeat: this.lastHeartbeat, lastBatch };
    this.incarnation = 0;
    this.lapsed = true;
    this.heartbeats.end();
    this.lapseTimer?.cancel();
  }

  /** Leaves the cluster, if this node owns nothing. Returns true if the store has recorded it. */
  async leave(lastBatch: number): Promise<boolean> {
    if (this.incarnation === 0) return true;
    const { incarnation, identity, lastHeartbeat } = this;
    this.forget(lastBatch);
    const answer = await this.attempt(() => this.store.control({ op: 'leave', ...identity, lastHeartbeat, lastBatch }), true);
    if (answer?.ok === false && (answer.code === 'LOST' || answer.code === 'UNKNOWN'))
      this.events.lost(lossText(answer.code, incarnation));
    return answer?.ok === true;
  }

  /**
   * Evicts every member whose lease is over by the store's clock and whose heartbeat stood still for a whole node TTL by this
   * node's own clock: neither clock alone is trusted. Returns the dead members that may still own entities. Sends nothing more
   * once `isOver`: the node has stopped, or has another session.
   */
  async evictTheDead(view: MembersAnswer, isOver: () => boolean = () => false): Promise<readonly Member[]> {
    const dead: Member[] = [];
    const present = new Set<number>();
    for (const member of view.members) {
      present.add(member.incarnation);
      if (member.incarnation === this.incarnation) continue;
      if (member.dead) {
        if (member.owns > 0) dead.push(member);
        continue;
      }
      const stoodMs = this.stoodStillMs(member);
      if (member.leaseUntilMs > view.nowMs) continue;
      if (stoodMs < this.config.timing.nodeTTLMs) continue;
      if (isOver()) return dead;
      const { generation } = view;
      const answer = await this.store.control({
        op: 'evict',
        generation,
        incarnation: member.incarnation,
        heartbeatSeen: member.heartbeat,
      });
      // The entities of a member with handlers are looked for in any case: the count of them may be lost.
      if (answer.ok && (answer.count > 0 || member.types.length > 0)) dead.push(member);
    }
    for (const incarnation of this.watched.keys()) if (!present.has(incarnation)) this.watched.delete(incarnation);
    return dead;
  }

  /** Restarts the watch of all members. After an outage of the store every member gets a whole TTL of grace again. */
  stopWatching(): void {
    this.watched.clear();
  }

  private stoodStillMs(member: Member): number {
    const nowMs = this.clock.monotonicMs();
    const seen = this.watched.get(member.incarnation);
    if (seen?.heartbeat === member.heartbeat) return nowMs - seen.sinceMs;
    this.watched.set(member.incarnation, { heartbeat: member.heartbeat, sinceMs: nowMs });
    return 0;
  }

  private async waitForDuplicate(incarnation: number, sinceMs: number, patient: boolean): Promise<void> {
    const { nodeTTLMs, heartbeatMs } = this.config.timing;
    const view = await this.attempt(() => this.store.control({ op: 'members' }), patient);
    if (this.isLast) return;
    const duplicate = view?.members.find((m) => m.incarnation === incarnation);
    if (view !== undefined && duplicate !== undefined) {
      const stoodMs = this.stoodStillMs(duplicate);
      if (stoodMs >= nodeTTLMs && duplicate.leaseUntilMs <= view.nowMs) {
        const { generation } = view;
        await this.attempt(
          () => this.store.control({ op: 'evict', generation, incarnation, heartbeatSeen: duplicate.heartbeat }),
          patient,
        );
        return;
      }
      if (stoodMs < heartbeatMs && this.isDuplicateOverdue(sinceMs)) {
        const text = `serverId "${this.config.serverId}" is in use by a node that is alive (incarnation ${incarnation}); give each node its own`;
        if (!patient) throw new AtomicQueuesError('CONFIG_INVALID', text);
        this.events.health(new Error(text));
      }
    }
    await this.pauseBeforeJoin(heartbeatMs / 2);
  }

  /** Returns whether a duplicate serverId first met at `sinceMs` can only still be there because its node is alive. */
  private isDuplicateOverdue(sinceMs = Number.POSITIVE_INFINITY): boolean {
    return this.clock.monotonicMs() - sinceMs > 3 * this.config.timing.nodeTTLMs;
  }

  /** Returns undefined, and reports the failure to the health, if a `patient` caller is to try again. Throws otherwise. */
  private async attempt<T>(call: () => Promise<T>, patient: boolean): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      const failure = error instanceof StoreCallError ? error : new StoreCallError(String(error), false);
      if (!patient || failure.permanent) throw asError(failure);
      this.events.health(failure);
      return undefined;
    }
  }
}
