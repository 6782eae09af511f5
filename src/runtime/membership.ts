/**
 * A node's place in the cluster: one incarnation at a time, with a lease that the node proves to itself.
 *
 *   (1) The lease is counted from the *sending* of the last acknowledged beat by the node's own monotonic clock, less a margin:
 *       it ends here before it ends in the store.
 *   (2) Past it the node is suspended: it starts no handler. A later beat that the store still accepts proves that nobody
 *       buried it meanwhile, and the same incarnation goes on; if it is refused, the incarnation is dead for good.
 *   (3) The pulse sends the beats, perhaps from a thread of its own: a main loop that was blocked finds its lease in force when
 *       it wakes, although it has not been told of a beat for longer than the lease lasts.
 */
import type { ResolvedConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import { HighWater } from '../core/high-water.js';
import type {
  BeatAnswer,
  Contract,
  ControlAnswerOf,
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
import type { Pulse } from '../ports/heartbeats.js';
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

/** To a process that starts: what is left cannot be run, and only an operator knows what it is worth. */
const REFUSED_TEXT =
  'restore the keys under keyPrefix from a backup, or delete them all to start empty (docs/guide.md in this package)';

export interface MembershipEvents {
  suspended(): void;
  resumed(): void;
  /** This incarnation was evicted. */
  fenced(why: string): void;
  /** The store lost acknowledged writes. */
  lost(why: string): void;
  /** The store answers, or why this node gets no further with it. */
  health(error: Error | undefined): void;
  /** A heartbeat was acknowledged, and the lease is in force. */
  heartbeat(): void;
}

/** How often a member was seen standing at the same beat, and since when. */
interface Watched {
  readonly beat: number;
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
  /** A start was refused since the lease was over: it counts as lapsed, also if a beat proves it before that was noticed. */
  private missed = false;
  private lastProofMs = 0;
  private lapseTimer: Timer | undefined;
  private storeOffsetMs = 0;
  /** Length of the lease that the last acknowledged beat got. */
  private grantedMs = 0;
  /** When the newest acknowledged beat left. */
  private provedAtMs = Number.NEGATIVE_INFINITY;
  private readonly watched = new Map<number, Watched>();
  private readonly pauses: Pauses;
  /** The node stops or has closed: it becomes no incarnation any more. */
  private isLast = false;

  constructor(
    private readonly store: Store,
    private readonly pulse: Pulse,
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
    // The pulse may know of a newer beat than it could tell: this loop may just have been blocked.
    this.provedAtMs = Math.max(this.provedAtMs, this.pulse.lastProvedMs());
    this.leaseEndsMs = this.provedAtMs + this.leaseMs;
    return nowMs < this.leaseEndsMs;
  }

  /** How long an acknowledged beat carries, from its sending. */
  private get leaseMs(): number {
    return this.grantedMs - this.config.timing.leaseMarginMs;
  }

  /** Store time now, from the offset learnt with each beat. */
  storeNowMs(): number {
    return this.clock.monotonicMs() + this.storeOffsetMs;
  }

  /**
   * Becomes a new incarnation. Waits for the lease of a predecessor of the same serverId, then buries it.
   * Throws CONFIG_INVALID for a living twin or another schema, STORE_LOST for a closed store, STORE_UNAVAILABLE (`patient` false)
   * if the store does not answer, SHUTTING_DOWN after `endJoins`.
   */
  async join(patient: boolean): Promise<void> {
    const token = this.random.token();
    let twinSinceMs: number | undefined;
    while (!this.isLast) {
      const sentMs = this.clock.monotonicMs();
      const answer = await this.attempt(() => this.store.control(this.joinOp(token)), patient);
      if (answer === undefined) {
        await this.pauseBeforeJoin(this.config.timing.heartbeatMs);
        continue;
      }
      // What is said of a twin holds until this node is let in.
      if (answer.ok || !this.isTwinOverdue(twinSinceMs)) this.events.health(undefined);
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
      twinSinceMs ??= sentMs;
      await this.waitForTwin(answer.at, twinSinceMs, patient);
    }
    throw new AtomicQueuesError('SHUTTING_DOWN', 'the node was stopped before it had joined');
  }

  private async pauseBeforeJoin(ms: number): Promise<void> {
    if (!this.isLast) await this.pauses.pause(ms);
  }

  /** Ends a join that is under way: it rejects, and leaves again if the store lets it in after all. Ends pauses, too. */
  endJoins(): void {
    this.isLast = true;
    this.pauses.end();
  }

  /** Closes the store to every node: it lost acknowledged writes. Tries until it is told, or until `isOver`. */
  async shutStore(generation: string, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const answer = await this.attempt(() => this.store.control({ op: 'shut', generation }), true);
      // A stop that closed the connection meanwhile has ended all pauses already.
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
      // Never the one remembered: an emptied store would adopt it, and its loss would go unnoticed.
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
    this.pulse.begin(this.identity, {
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

  /** As this incarnation proves itself to the store. */
  get identity(): Identity {
    const { generation, incarnation, token } = this;
    return { generation, incarnation, token };
  }

  /** The store gave this node that epoch. What other nodes say of epochs counts for nothing here: a wrong hint must close no store. */
  noteEpoch(epoch: number): void {
    this.highWater.noteEpoch(epoch, this.clock.monotonicMs());
  }

  /** Whether a membership snapshot is of another store than this incarnation joined, which is a loss. */
  isForeign({ generation }: MembersAnswer): boolean {
    if (this.incarnation === 0 || generation === this.generation) return false;
    this.events.lost(lossText('LOST', this.incarnation));
    return true;
  }

  /** A beat or join that left at `sentMs` was acknowledged. */
  private proved(sentMs: number, receivedMs: number, { nowMs, leaseUntilMs }: JoinAnswer | BeatAnswer): void {
    this.storeOffsetMs = nowMs - (sentMs + receivedMs) / 2;
    // What the store has granted counts, if that is less: another node may have joined with a shorter nodeTTLMs.
    this.grantedMs = Math.min(this.config.timing.nodeTTLMs, leaseUntilMs - nowMs);
    this.provedAtMs = Math.max(this.provedAtMs, sentMs);
    this.leaseEndsMs = this.provedAtMs + this.leaseMs;
    this.lapsed = !this.inForce();
    this.missed = false;
    this.watchLease();
  }

  private answered(answer: ControlAnswerOf['beat'], heartbeat: number, sentMs: number, receivedMs: number): void {
    this.events.health(undefined);
    if (!answer.ok) return;
    this.lastHeartbeat = heartbeat;
    const wentBack = this.highWater.take(answer.counters, sentMs);
    if (wentBack !== undefined) {
      this.events.lost(wentBack);
      return;
    }
    // A lapse that passed while this loop was blocked: the store may have been away for all members alike.
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

  /** Stops the heartbeats and forgets the incarnation, which is dead or is to die. `lastBatch`: the last acknowledged batch of its session. */
  forget(lastBatch: number): void {
    if (this.incarnation !== 0) this.former = { ...this.identity, lastHeartbeat: this.lastHeartbeat, lastBatch };
    this.incarnation = 0;
    this.lapsed = true;
    this.pulse.end();
    this.lapseTimer?.cancel();
  }

  /** Leaves for good, if it owns nothing. True if the store knows. */
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
   * Buries every member whose lease is over by the store's clock and whose beat stood still for a whole node TTL by this
   * node's own clock: neither clock alone is trusted. Answers the dead that may still own something. Sends nothing more once
   * `isOver`: the node has stopped, or has another session.
   */
  async buryTheDead(view: MembersAnswer, isOver: () => boolean = () => false): Promise<readonly Member[]> {
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
      const answer = await this.store.control({ op: 'bury', generation, incarnation: member.incarnation, beatSeen: member.beat });
      // What a member with handlers owned is looked for in any case: the count of it may be lost.
      if (answer.ok && (answer.count > 0 || member.types.length > 0)) dead.push(member);
    }
    for (const incarnation of this.watched.keys()) if (!present.has(incarnation)) this.watched.delete(incarnation);
    return dead;
  }

  /** What was not watched did not stand still: after an outage of the store every member gets a whole TTL of grace again. */
  stopWatching(): void {
    this.watched.clear();
  }

  private stoodStillMs(member: Member): number {
    const nowMs = this.clock.monotonicMs();
    const seen = this.watched.get(member.incarnation);
    if (seen?.beat === member.beat) return nowMs - seen.sinceMs;
    this.watched.set(member.incarnation, { beat: member.beat, sinceMs: nowMs });
    return 0;
  }

  private async waitForTwin(incarnation: number, sinceMs: number, patient: boolean): Promise<void> {
    const { nodeTTLMs, heartbeatMs } = this.config.timing;
    const view = await this.attempt(() => this.store.control({ op: 'members' }), patient);
    if (this.isLast) return;
    const twin = view?.members.find((m) => m.incarnation === incarnation);
    if (view !== undefined && twin !== undefined) {
      const stoodMs = this.stoodStillMs(twin);
      if (stoodMs >= nodeTTLMs && twin.leaseUntilMs <= view.nowMs) {
        const { generation } = view;
        await this.attempt(() => this.store.control({ op: 'bury', generation, incarnation, beatSeen: twin.beat }), patient);
        return;
      }
      if (stoodMs < heartbeatMs && this.isTwinOverdue(sinceMs)) {
        const text = `serverId "${this.config.serverId}" is in use by a node that is alive (incarnation ${incarnation}); give each node its own`;
        if (!patient) throw new AtomicQueuesError('CONFIG_INVALID', text);
        this.events.health(new Error(text));
      }
    }
    await this.pauseBeforeJoin(heartbeatMs / 2);
  }

  /** Whether a twin that was first met at `sinceMs` can only be there because it lives. */
  private isTwinOverdue(sinceMs = Number.POSITIVE_INFINITY): boolean {
    return this.clock.monotonicMs() - sinceMs > 3 * this.config.timing.nodeTTLMs;
  }

  /** Undefined if the store did not answer and it is worth trying again, which is reported to the health. */
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
