/**
 * The sweep: what makes sure that nothing logged is forgotten, whatever hint was lost.
 *   1. bury the members whose lease is over and whose beat stands still; take over what the dead own;
 *   2. adopt entities that are ready and unowned, ring the owners of the others;
 *   3. read back results whose reply did not come; forget what retention no longer keeps; hand in late reports.
 * Every node may do all of it: each step is a compare-and-set, so two sweepers cost work, not safety.
 */
import type { ResolvedConfig } from '../core/config.js';
import { unescapeId } from '../core/ids.js';
import type { AnswerOf, ExpireOp, SessionOp, TakeoverOp } from '../core/log/operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Network } from '../ports/network.js';
import { type Store, StoreCallError } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';
import type { Membership } from './membership.js';
import type { Ownership } from './ownership.js';
import type { Replies } from './replies.js';
import type { Step, StoreSession } from './session.js';

export interface RecoveryParts {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly config: ResolvedConfig;
  readonly store: Store;
  readonly network: Network;
  readonly membership: Membership;
  readonly ownership: Ownership;
  readonly replies: Replies;
}

const READY_PAGE = 512;
const TAKEOVERS_AT_ONCE = 512;
const LOOKUPS_MAX = 512;
const EXPIRE_PAGE = 1000;
const NEXT_PAGE_MS = 20;
/** A handler without a timeout that runs for longer is reported as blocking its entity. */
const BLOCKED_AFTER_MS = 30_000;

export class Recovery {
  private session: StoreSession | undefined;
  private sweepTimer: Timer | undefined;
  private expireTimer: Timer | undefined;
  private turning = false;

  constructor(private readonly parts: RecoveryParts) {}

  start(session: StoreSession): void {
    this.session = session;
    this.scheduleSweep(0);
    this.scheduleExpire(this.parts.config.wal.cleanupIntervalMs);
  }

  stop(): void {
    this.session = undefined;
    this.sweepTimer?.cancel();
    this.expireTimer?.cancel();
  }

  private scheduleSweep(delayMs: number): void {
    this.sweepTimer?.cancel();
    this.sweepTimer = this.parts.clock.setTimer(delayMs, () => void this.turn());
  }

  /** One turn; no single failure ends the loop. */
  private async turn(): Promise<void> {
    const { session } = this;
    if (session === undefined || this.turning) return;
    this.turning = true;
    let nextMs = this.parts.config.timing.reconcileIntervalMs;
    try {
      nextMs = await this.sweep(session);
    } catch (error) {
      this.parts.membership.stopWatching();
      if (!(error instanceof StoreCallError)) this.parts.trace.emit('loop-failed', { loop: 'sweep', error });
    } finally {
      this.turning = false;
      if (this.session !== undefined) this.scheduleSweep(nextMs);
    }
  }

  /** Answers when the next one is due. */
  private async sweep(session: StoreSession): Promise<number> {
    const { membership, ownership, config, store } = this.parts;
    const view = await store.control({ op: 'members' });
    const { dead, suspect } = await membership.buryTheDead(view);
    for (const member of dead) await this.takeOver(session, member.incarnation);
    const ready = await store.control({ op: 'ready', ageMs: 0, max: READY_PAGE });
    if (this.session !== session) return 0;
    for (const { entity, owner } of ready.entities) this.attend(entity, owner, session.incarnation);
    ownership.sendLateReports();
    ownership.reportBlockedAfter(BLOCKED_AFTER_MS);
    await this.lookUpReplies();
    if (ready.entities.length === READY_PAGE) return NEXT_PAGE_MS;
    const { reconcileIntervalMs, nodeTTLMs, heartbeatMs } = config.timing;
    return suspect ? Math.min(reconcileIntervalMs, (nodeTTLMs + heartbeatMs) / 2) : reconcileIntervalMs;
  }

  private attend(entity: string, owner: number, me: number): void {
    const { ownership, network } = this.parts;
    if (owner === 0) {
      if (ownership.handles(entity)) ownership.adopt(entity);
    } else if (owner === me) ownership.activate(entity, false)?.ring();
    else network.send(owner, { kind: 'ring', entity, message: undefined });
  }

  private async takeOver(session: StoreSession, incarnation: number): Promise<void> {
    const { store, trace } = this.parts;
    let owned = 0;
    for (let cursor = '', page: string[]; cursor !== '0'; ) {
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
    const { id, waiter, requeued } = answer.interrupted;
    const { trace, replies, network } = this.parts;
    trace.emit('interrupted', { entity, id: unescapeId(id), requeued });
    if (requeued) return;
    replies.settle(entity, id, 'interrupted', '');
    if (waiter !== 0) network.send(waiter, { kind: 'reply', entity, id, state: 'interrupted', detail: '' });
  }

  private async lookUpReplies(): Promise<void> {
    const { replies, store, config } = this.parts;
    const overdue = replies.overdue(config.timing.reconcileIntervalMs, LOOKUPS_MAX);
    const elsewhere = overdue.filter(({ entity }) => !this.parts.ownership.workers.has(entity));
    await Promise.all(
      elsewhere.map(async ({ entity, id, seq }) => {
        const found = await store.control({ op: 'lookup', entity, id, seq });
        if (found.ok && found.state !== 'live')
          replies.settle(entity, id, found.state, found.state === 'completed' ? found.result : found.error);
      }),
    );
  }

  private scheduleExpire(delayMs: number): void {
    this.expireTimer = this.parts.clock.setTimer(delayMs, () => {
      const { session } = this;
      if (session === undefined) return;
      const next = (count: number): void => {
        if (this.session === session)
          this.scheduleExpire(count === EXPIRE_PAGE ? NEXT_PAGE_MS : this.parts.config.wal.cleanupIntervalMs);
      };
      const op: ExpireOp = { op: 'expire', max: EXPIRE_PAGE };
      ask(session, op).then(
        (answer) => next(answer.count),
        () => next(0),
      );
    });
  }
}

/** One step of the session as a promise. Rejects if the session ends first. */
function ask<O extends SessionOp>(session: StoreSession, op: O): Promise<AnswerOf[O['op']]> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(new StoreCallError(error.message, false));
    const step: Step<O> = { op, answered: resolve, refused: fail, unknown: fail };
    session.submit(step as unknown as Step);
  });
}
