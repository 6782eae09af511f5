/**
 * The entities of this process: which it owns, what runs, and what may start.
 *   (1) An entity has at most one worker here, and none while a handler of a former incarnation still runs for it.
 *   (2) `slots.taken` counts what has begun or is about to; it is bounded by `maxConcurrentHandlers`, so that is what a crash
 *       can interrupt. What others wait for (a chain) needs no free slot, or waiting handlers could starve what they wait for.
 */
import type { EntitySettings, ResolvedConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import { typeOfKey } from '../core/ids.js';
import type { Contract } from '../core/log/control-operations.js';
import {
  type Begun,
  type LateOp,
  type MessageRecord,
  type Outcome,
  recordOf,
  type Send,
  type SessionOp,
} from '../core/log/operations.js';
import type { Clock } from '../ports/clock.js';
import { type Delivery, type FailureRuling, FinalFailure, type HandlerPort, NotCalled } from '../ports/handler.js';
import type { Network } from '../ports/network.js';
import type { Store } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';
import type { Attempt } from './attempt.js';
import { AvoidedEntities } from './avoided-entities.js';
import { type ContextHost, EntityContext } from './context.js';
import type { DueTimes } from './due-times.js';
import { errorLines, errorText } from './error-record.js';
import { FetchBegun } from './fetch-begun.js';
import { IdleList } from './idle-list.js';
import type { Membership } from './membership.js';
import type { Replies } from './replies.js';
import type { Step, StoreSession } from './session.js';
import { EntityWorker } from './worker.js';

export interface OwnershipParts {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly config: ResolvedConfig;
  readonly contracts: readonly Contract[];
  readonly handler: HandlerPort;
  readonly network: Network;
  readonly store: Store;
  readonly membership: Membership;
  readonly due: DueTimes;
  readonly replies: Replies;
  readonly contextHost: ContextHost;
  /** A logged message on its way to whoever owns its entity. */
  deliver(entity: string, record: MessageRecord, owner: number): void;
  /** An entity was given up with messages pending. */
  handedOff(entity: string): void;
  /** The log has contradicted itself. */
  contradicted(why: string): void;
}

/** Handlers of a former incarnation end here: their outcome becomes a note on the dead letter. */
type LateReport = Omit<LateOp, 'op'>;

const HANDLER_TIMEOUT_GRANULE_MS = 8;
const BY_DEFAULT: FailureRuling = { isFinal: false, leavesDeadLetter: true };
/** Entities that one turn of a rebalance looks at: each may cost a hash for every member. */
const REBALANCE_LOOKS_MAX = 4096;

export class Ownership {
  readonly workers = new Map<string, EntityWorker>();
  readonly idle: IdleList;
  readonly due: DueTimes;
  readonly slots = { taken: 0 };
  readonly running = new Set<Attempt>();
  readonly lateReports: LateReport[] = [];
  private readonly fetching: FetchBegun;
  /** No new entity is claimed and nothing new begins, but for chains. */
  draining = false;
  private session: StoreSession | undefined;
  private readonly waiting = new Fifo<EntityWorker>();
  /** Begun and not running, by the lease or a check of the payload. */
  private readonly parked = new Set<EntityWorker>();
  /** Handlers of former incarnations that still run, by entity. */
  private readonly ghosts = new Map<string, Attempt>();
  readonly avoided: AvoidedEntities;
  /** Where the rebalance that is under way goes on; undefined if none is. */
  private rebalanceWalk: Iterator<EntityWorker, undefined> | undefined;
  private rebalanceReleased = 0;
  private readonly settings = new Map<string, EntitySettings>();
  /** How many releases of entities have been asked for. */
  releases = 0;
  readonly runHandler: (delivery: Delivery) => Promise<string>;

  constructor(private readonly parts: OwnershipParts) {
    this.idle = new IdleList(parts.clock);
    this.avoided = new AvoidedEntities(parts.clock);
    this.due = parts.due;
    this.fetching = new FetchBegun(parts, this);
    this.runHandler = (delivery) => parts.handler.run(delivery);
    for (const { type } of parts.contracts) this.settings.set(type, parts.config.entitySettings(type));
  }

  // ---- the session ---------------------------------------------------------------------------------------------

  open(session: StoreSession): void {
    this.session = session;
  }

  /** The incarnation of the session, 0 without one. */
  get incarnation(): number {
    return this.session?.incarnation ?? 0;
  }

  submit<O extends SessionOp>(step: Step<O>): void {
    // A step's `answered` takes the answer of its own operation; the session pairs them.
    this.session?.submit(step as unknown as Step);
  }

  /** The incarnation has died: nothing here is owned any longer. What still runs goes on as ghosts. */
  abandon(incarnation: number, why: AtomicQueuesError): void {
    this.session = undefined;
    for (const worker of this.parked) this.reportLate(worker.attempt as Attempt, incarnation, 'not-run', '');
    this.parked.clear();
    for (const attempt of this.running) {
      if (attempt.ghost) continue;
      attempt.ghost = true;
      attempt.incarnation = incarnation;
      this.ghosts.set(attempt.worker.entity, attempt);
      attempt.context.abort(why);
    }
    for (const worker of [...this.workers.values()]) worker.leaveTable();
    while (this.waiting.shift() !== undefined);
    this.idle.clear();
  }

  // ---- activation ----------------------------------------------------------------------------------------------

  /** False where this process only sends. */
  get handlesAny(): boolean {
    return this.settings.size > 0;
  }

  handles(entity: string): boolean {
    return this.settings.has(typeOfKey(entity));
  }

  /** The worker of an entity, claiming it if need be; undefined if this process may not own it now. */
  activate(entity: string, chained: boolean): EntityWorker | undefined {
    const known = this.workers.get(entity);
    if (known !== undefined) return known;
    const settings = this.settings.get(typeOfKey(entity));
    if (settings === undefined || this.session === undefined) return undefined;
    if ((this.draining && !chained) || this.ghosts.has(entity) || this.avoided.has(entity)) return undefined;
    if (!this.parts.membership.leaseValid()) return undefined;
    this.makeRoom();
    const worker = new EntityWorker(entity, settings, this);
    this.workers.set(entity, worker);
    worker.claim();
    return worker;
  }

  /** A node at its own limit first releases the entity that is idle longest. */
  private makeRoom(): void {
    const { workersMax } = this.parts.config.limits;
    if (workersMax === 0 || this.workers.size < workersMax) return;
    const oldest = this.idle.oldest();
    if (oldest instanceof EntityWorker) oldest.release(false);
  }

  /** The sweep found work for an entity that nobody owns. False if it cannot be owned here now. */
  adopt(entity: string): boolean {
    const worker = this.activate(entity, false);
    worker?.ring();
    return worker !== undefined;
  }

  /** The head has a name that this process does not handle: another node shall own the entity. */
  handOff(worker: EntityWorker): void {
    this.avoided.add(worker.entity);
    worker.release(true);
  }

  remove(worker: EntityWorker): void {
    if (this.workers.get(worker.entity) === worker) this.workers.delete(worker.entity);
    this.parked.delete(worker);
    if (this.parts.trace.verbose) this.parts.trace.emit('released', { entity: worker.entity });
  }

  // ---- what may start ------------------------------------------------------------------------------------------

  leaseValid(): boolean {
    return this.parts.membership.leaseValid();
  }

  storeNowMs(): number {
    return this.parts.membership.storeNowMs();
  }

  mayStart(chained: boolean): boolean {
    if (!this.parts.membership.leaseValid() || this.session === undefined) return false;
    if (chained) return true;
    const { concurrentHandlersMax } = this.parts.config.limits;
    return !this.draining && (concurrentHandlersMax === 0 || this.slots.taken < concurrentHandlersMax);
  }

  /** May a worker go on to its next message, or is it another entity's turn? */
  mayGoOn(chained: boolean): boolean {
    if (!this.parts.membership.leaseValid()) return false;
    return chained || (!this.draining && this.waiting.length === 0);
  }

  /** False if no slot will come: the node is draining or has lost its lease. */
  waitForSlot(worker: EntityWorker): boolean {
    if (this.draining || !this.parts.membership.leaseValid()) return false;
    this.waiting.push(worker);
    return true;
  }

  slotFreed(): void {
    this.slots.taken--;
    this.fillSlots();
  }

  private fillSlots(): void {
    while (this.waiting.length > 0 && this.mayStart(false)) this.waiting.shift()?.slotIsFree();
  }

  park(worker: EntityWorker): void {
    this.parked.add(worker);
  }

  unpark(worker: EntityWorker): void {
    this.parked.delete(worker);
  }

  /** The lease has lapsed: others may start at any time, so what runs is told to stop. */
  suspend(why: AtomicQueuesError): void {
    for (const attempt of this.running) attempt.context.abort(why);
  }

  /**
   * The lease is proved again and no other node took over: goes on where it stopped. Each start asks for the lease anew, since the
   * handler that started before may have blocked the loop until the lease was over.
   */
  resume(): void {
    for (const worker of [...this.parked]) worker.leaseProved();
    // A slot that was freed while the lease was not proved has woken no worker.
    this.fillSlots();
    for (const worker of this.workers.values()) worker.kick();
  }

  /** Entities whose claim has been answered and whose release was not asked for. */
  ownedSurely(): number {
    let n = 0;
    for (const worker of this.workers.values()) if (worker.fence > 0 && worker.phase !== 'releasing') n++;
    return n;
  }

  /** Draining: gives up every entity that does nothing, with what is pending for it. */
  releaseIdle(): void {
    for (const worker of this.workers.values()) if (worker.phase === 'idle' || worker.phase === 'waiting') worker.release(true);
  }

  /** A node has joined: the turns of `rebalance` from now on release the idle entities that belong to it. */
  beginRebalance(): void {
    this.rebalanceWalk = this.workers.values();
    this.rebalanceReleased = 0;
  }

  /**
   * Goes on with the walk over all entities, and releases at most `max`. A walk that released as many in all is followed by another,
   * for those that were busy; fewer may be such as are placed here again and again, since the newcomer is overloaded.
   */
  rebalance(belongsHere: (entity: string) => boolean, max: number): void {
    let left = max;
    for (let looked = 0; this.rebalanceWalk !== undefined && looked < REBALANCE_LOOKS_MAX && left > 0; looked++) {
      const { value: worker } = this.rebalanceWalk.next();
      if (worker === undefined) {
        const isOver = this.rebalanceReleased < max;
        this.beginRebalance();
        if (isOver) this.rebalanceWalk = undefined;
        return;
      }
      if (worker.phase !== 'idle' || belongsHere(worker.entity)) continue;
      worker.release(true);
      this.rebalanceReleased++;
      left--;
    }
  }

  /** A worker has given its entity up. */
  released(worker: EntityWorker, handoff: boolean): void {
    const { entity, hadMore } = worker;
    worker.leaveTable();
    if (handoff && hadMore) this.parts.handedOff(entity);
  }

  /** The node has stopped: no timer of the table is left. */
  dispose(): void {
    this.idle.clear();
    this.session = undefined;
    for (const attempt of this.running) this.due.cancel(attempt);
    for (const worker of this.workers.values()) this.due.cancel(worker);
  }

  // ---- attempts ------------------------------------------------------------------------------------------------

  contextFor(worker: EntityWorker, record: MessageRecord): EntityContext {
    const { handlerTimeoutMs } = worker.settings;
    const deadline = handlerTimeoutMs > 0 ? this.parts.clock.wallMs() + handlerTimeoutMs : undefined;
    return new EntityContext(worker.entity, record, this.parts.contextHost, worker.fence, deadline);
  }

  /** Throws, or rejects, if the payload does not fit; undefined if it does. */
  checkPayload(delivery: Delivery): undefined | Promise<void> {
    return this.parts.handler.check?.(delivery);
  }

  carriedFor(entity: string, id: string): object | undefined {
    return this.parts.replies.carriedFor(entity, id);
  }

  began(attempt: Attempt): void {
    const { worker, record } = attempt;
    const { trace, clock } = this.parts;
    attempt.startedAtMs = clock.monotonicMs();
    this.running.add(attempt);
    const { handlerTimeoutMs } = worker.settings;
    if (handlerTimeoutMs > 0) this.due.schedule(attempt, handlerTimeoutMs, HANDLER_TIMEOUT_GRANULE_MS);
    if (!trace.verbose) return;
    const { id, name, seq, attempt: number } = record;
    trace.emit('began', { entity: worker.entity, id, name, seq, attempt: number });
  }

  stopped(attempt: Attempt): void {
    this.running.delete(attempt);
    if (attempt.dueAtMs !== 0) this.due.cancel(attempt);
    if (attempt.blocked) this.parts.trace.emit('unblocked', { entity: attempt.worker.entity, id: attempt.record.id });
  }

  /** `handlerTimeout` has passed: the signal aborts, and until the handler ends its entity is blocked. */
  blocked(attempt: Attempt): void {
    const { worker } = attempt;
    const { handlerTimeoutMs } = worker.settings;
    if (handlerTimeoutMs > 0) {
      const text = `the handler did not end within handlerTimeout (${handlerTimeoutMs} ms)`;
      attempt.context.abort(new AtomicQueuesError('INTERRUPTED', text, { details: { entity: worker.entity } }));
    }
    this.reportBlocked(attempt);
  }

  /** Reports what has run for longer than `afterMs`, for handlers without a timeout. */
  reportBlockedAfter(afterMs: number): void {
    const beforeMs = this.parts.clock.monotonicMs() - afterMs;
    for (const attempt of this.running) if (!attempt.blocked && attempt.startedAtMs <= beforeMs) this.reportBlocked(attempt);
  }

  private reportBlocked(attempt: Attempt): void {
    attempt.blocked = true;
    const { worker, record, startedAtMs } = attempt;
    const forMs = this.parts.clock.monotonicMs() - startedAtMs;
    this.parts.trace.emit('blocked', { entity: worker.entity, id: record.id, name: record.name, forMs });
  }

  /** The log holds the outcome: now, and not before, the caller may be told. */
  ended(worker: EntityWorker, record: MessageRecord, outcome: Outcome): void {
    const { trace, replies } = this.parts;
    const { entity } = worker;
    const detail = outcome.state === 'completed' ? outcome.result : outcome.error;
    const { id, name, seq, attempt, waiter } = record;
    const { state } = outcome;
    replies.settle(entity, id, seq, state, detail);
    if (waiter !== 0 && waiter !== this.incarnation)
      this.parts.network.send(waiter, { kind: 'reply', entity, id, seq, state, detail });
    const isRefusal = state === 'failed' && outcome.noDeadLetter === true;
    if (state === 'failed' && !isRefusal)
      trace.emit('dead-letter', { entity, id, name, reason: 'failed', error: errorLines(outcome.error) });
    if (!trace.verbose) return;
    trace.emit('ended', { entity, id, seq, attempt, state, ...(isRefusal && { error: errorLines(outcome.error) }) });
  }

  /** What becomes of a message whose attempt failed. */
  ruleOn({ worker, record }: Attempt, thrown: unknown): FailureRuling {
    const ruling = this.parts.handler.ruleOn?.(typeOfKey(worker.entity), record.name, thrown) ?? BY_DEFAULT;
    if (thrown instanceof NotCalled) return { ...ruling, isFinal: thrown.isFinal };
    return thrown instanceof FinalFailure ? { ...ruling, isFinal: true } : ruling;
  }

  traceRetry({ worker, record }: Attempt, delayMs: number, error: string): void {
    const { id, name, attempt } = record;
    this.parts.trace.emit('retrying', { entity: worker.entity, id, name, attempt, delayMs, error: errorLines(error) });
  }

  /** A transactional send is logged: whoever owns its entity is told. */
  sent(send: Send, seq: number, owner: number): void {
    this.parts.deliver(send.entity, recordOf(send.message, seq, 1, 0, 0, ''), owner);
  }

  // ---- former incarnations -------------------------------------------------------------------------------------

  /** The handler of a dead incarnation has ended: its entity may be claimed here again. */
  ghostEnded(attempt: Attempt, result: string | undefined, thrown: unknown): void {
    this.ghosts.delete(attempt.worker.entity);
    if (result === undefined) this.reportLate(attempt, attempt.incarnation, 'failed', errorText(thrown));
    else this.reportLate(attempt, attempt.incarnation, 'completed', result);
  }

  reportLate(attempt: Attempt, incarnation: number, outcome: LateReport['outcome'], detail: string): void {
    const { seq, attempt: number } = attempt.record;
    this.lateReports.push({ entity: attempt.worker.entity, seq, attempt: number, incarnation, outcome, detail });
  }

  /** Sends the notes that wait; what the log cannot take yet is kept for the next turn. */
  sendLateReports(): void {
    for (const report of this.lateReports.splice(0)) {
      const op: LateOp = { op: 'late', ...report };
      const keep = (): void => void this.lateReports.push(report);
      this.submit({
        op,
        answered: (answer) => {
          if (!answer.ok && answer.code === 'NOT_YET') keep();
        },
        refused: keep,
        unknown: keep,
      } satisfies Step<LateOp>);
    }
  }

  /** What the log has begun for that worker, in an answer that had no room for the message. */
  fetch(worker: EntityWorker, begun: Begun): void {
    this.fetching.fetch(worker, begun);
  }

  /** The log contradicts what it told this session: it has lost or altered acknowledged writes, and nothing is guessed. */
  contradicted(worker: EntityWorker, answer: string): void {
    const { entity, fence, phase } = worker;
    this.parts.contradicted(`it answered ${answer} to the owner of ${entity} (fence ${fence}, ${phase})`);
  }

  traceClaim(entity: string, fence: number): void {
    if (this.parts.trace.verbose) this.parts.trace.emit('claimed', { entity, fence });
  }
}
