/**
 * A node's place in the cluster: one incarnation at a time, with a lease that the node proves to itself.
 *
 *   (1) The lease is counted from the *sending* of the last acknowledged beat by the node's own monotonic clock, less a margin:
 *       it ends here before it ends in the store.
 *   (2) Past it the node is suspended: it starts no handler. A later beat that the store still accepts proves that nobody
 *       buried it meanwhile, and the same incarnation goes on; if it is refused, the incarnation is dead for good.
 *   (3) One beat is in flight at a time; each carries its own counter, so a late copy changes nothing.
 */
import type { ResolvedConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Contract, JoinAnswer, JoinOp, Member, MembersAnswer } from '../core/log/control-operations.js';
import { SCHEMA_VERSION } from '../core/log/operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Random } from '../ports/random.js';
import { type Store, StoreCallError } from '../ports/store.js';

export interface MembershipEvents {
  suspended(): void;
  resumed(): void;
  /** This incarnation is dead. */
  fenced(why: string): void;
  health(error: StoreCallError | undefined): void;
}

/** How often a member was seen standing at the same beat, and since when. */
interface Watched {
  readonly beat: number;
  readonly sinceMs: number;
}

export class Membership {
  incarnation = 0;
  generation = '';
  private leaseEndsMs = 0;
  private lapsed = true;
  private beats = 0;
  private timer: Timer | undefined;
  private lapseTimer: Timer | undefined;
  private storeOffsetMs = 0;
  private readonly watched = new Map<number, Watched>();

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly config: ResolvedConfig,
    private readonly contracts: readonly Contract[],
    private readonly events: MembershipEvents,
  ) {}

  /** True while this node may start handlers: the last synchronous check before each. */
  leaseValid(): boolean {
    return !this.lapsed && this.clock.monotonicMs() < this.leaseEndsMs;
  }

  /** Milliseconds of lease left by the node's own clock; 0 if it has lapsed. */
  leaseLeftMs(): number {
    return this.lapsed ? 0 : Math.max(0, this.leaseEndsMs - this.clock.monotonicMs());
  }

  /** Store time now, from the offset learnt with each beat. */
  storeNowMs(): number {
    return this.clock.monotonicMs() + this.storeOffsetMs;
  }

  /**
   * Becomes a new incarnation. Waits for the lease of a predecessor of the same serverId, then buries it.
   * Throws CONFIG_INVALID for a living twin or another schema, STORE_UNAVAILABLE (`patient` false) if the store does not answer.
   */
  async join(patient: boolean): Promise<void> {
    const token = this.random.token();
    const startedMs = this.clock.monotonicMs();
    for (;;) {
      const sentMs = this.clock.monotonicMs();
      const answer = await this.attempt(() => this.store.control(this.joinOp(token)), patient);
      if (answer === undefined) {
        await this.sleep(this.config.timing.heartbeatMs);
        continue;
      }
      if (answer.ok) {
        this.joined(answer, sentMs);
        return;
      }
      if (answer.code === 'SCHEMA')
        throw new AtomicQueuesError(
          'CONFIG_INVALID',
          `keyPrefix "${this.config.keyPrefix}" holds records of schema version ${answer.at}, this version reads ${SCHEMA_VERSION}; use another keyPrefix or the version that wrote them`,
        );
      await this.waitForTwin(answer.at, startedMs, patient);
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
    };
  }

  private joined(answer: JoinAnswer, sentMs: number): void {
    if (this.generation !== '' && this.generation !== answer.generation)
      throw new AtomicQueuesError('STORE_LOST', 'the store has another generation than the one this node has worked with');
    this.incarnation = answer.incarnation;
    this.generation = answer.generation;
    this.beats = 0;
    this.proved(sentMs, answer.nowMs);
    this.scheduleBeat();
  }

  /** A beat or join that left at `sentMs` was acknowledged. */
  private proved(sentMs: number, storeNowMs: number): void {
    const { nodeTTLMs, leaseMarginMs } = this.config.timing;
    this.storeOffsetMs = storeNowMs - (sentMs + this.clock.monotonicMs()) / 2;
    this.leaseEndsMs = sentMs + nodeTTLMs - leaseMarginMs;
    this.lapsed = this.clock.monotonicMs() >= this.leaseEndsMs;
    this.watchLease();
  }

  private watchLease(): void {
    this.lapseTimer?.cancel();
    this.lapseTimer = this.clock.setTimer(Math.max(0, this.leaseEndsMs - this.clock.monotonicMs()), () => {
      if (this.clock.monotonicMs() < this.leaseEndsMs) this.watchLease();
      else this.lapse();
    });
  }

  private lapse(): void {
    if (this.incarnation === 0 || this.lapsed) return;
    this.lapsed = true;
    this.stopWatching();
    this.events.suspended();
  }

  private scheduleBeat(): void {
    // The beat is also the health check: a tiny write through the script path, since a PING passes while writes are refused.
    const everyMs = Math.min(this.config.timing.heartbeatMs, this.config.health.storeCheckMs);
    this.timer = this.clock.setTimer(everyMs, () => void this.beat());
  }

  private async beat(): Promise<void> {
    const { incarnation } = this;
    if (incarnation === 0) return;
    const sentMs = this.clock.monotonicMs();
    try {
      const answer = await this.store.control({ op: 'beat', incarnation, beat: ++this.beats });
      if (incarnation !== this.incarnation) return;
      this.events.health(undefined);
      if (answer.ok) {
        const wasLapsed = this.lapsed || this.clock.monotonicMs() >= this.leaseEndsMs;
        if (wasLapsed && !this.lapsed) this.lapse();
        this.proved(sentMs, answer.nowMs);
        if (wasLapsed && !this.lapsed) this.events.resumed();
      } else if (answer.code === 'FENCED') {
        this.events.fenced('the store counts this incarnation as dead');
        return;
      }
    } catch (error) {
      if (incarnation !== this.incarnation) return;
      this.events.health(error instanceof StoreCallError ? error : new StoreCallError(String(error), false));
    }
    if (incarnation === this.incarnation) this.scheduleBeat();
  }

  /** Stops beating and forgets the incarnation, which is dead or is to die. */
  forget(): void {
    this.incarnation = 0;
    this.lapsed = true;
    this.timer?.cancel();
    this.lapseTimer?.cancel();
  }

  /** Leaves for good, if it owns nothing. True if the store knows. */
  async leave(): Promise<boolean> {
    const { incarnation } = this;
    this.forget();
    if (incarnation === 0) return true;
    const answer = await this.attempt(() => this.store.control({ op: 'leave', incarnation }), true);
    return answer?.ok === true;
  }

  /**
   * Buries every member whose lease is over by the store's clock and whose beat stood still for a whole node TTL by this
   * node's own clock: neither clock alone is trusted. Answers the dead that still own something.
   */
  async buryTheDead(view: MembersAnswer): Promise<readonly Member[]> {
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
      const answer = await this.store.control({ op: 'bury', incarnation: member.incarnation, beatSeen: member.beat });
      if (answer.ok) dead.push(member);
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

  private async waitForTwin(incarnation: number, startedMs: number, patient: boolean): Promise<void> {
    const { nodeTTLMs, heartbeatMs } = this.config.timing;
    const view = await this.attempt(() => this.store.control({ op: 'members' }), patient);
    const twin = view?.members.find((m) => m.incarnation === incarnation);
    if (view !== undefined && twin !== undefined) {
      const stoodMs = this.stoodStillMs(twin);
      if (stoodMs >= nodeTTLMs && twin.leaseUntilMs <= view.nowMs) {
        await this.attempt(() => this.store.control({ op: 'bury', incarnation, beatSeen: twin.beat }), patient);
        return;
      }
      if (!patient && stoodMs < heartbeatMs && this.clock.monotonicMs() - startedMs > 3 * nodeTTLMs)
        throw new AtomicQueuesError(
          'CONFIG_INVALID',
          `serverId "${this.config.serverId}" is in use by a node that is alive (incarnation ${incarnation}); give each node its own`,
        );
    }
    await this.sleep(heartbeatMs / 2);
  }

  /** Undefined if the store did not answer and it is worth trying again. */
  private async attempt<T>(call: () => Promise<T>, patient: boolean): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      const failure = error instanceof StoreCallError ? error : new StoreCallError(String(error), false);
      if (!patient || failure.permanent)
        throw new AtomicQueuesError('STORE_UNAVAILABLE', failure.message, {
          cause: failure,
          details: { cause: failure.message },
        });
      return undefined;
    }
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(ms, resolve));
  }
}
