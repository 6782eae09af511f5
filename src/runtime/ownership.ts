/**
 * The entities of this process: which of them it owns, which messages run, and which may start.
 *   (1) An entity has at most one worker here, and none while a handler of a former incarnation still runs for it.
 *   (2) `slots.taken` counts the messages that have begun or are about to. `maxConcurrentHandlers` bounds it, and so bounds what
 *       a crash can interrupt. A message that a handler waits for (a chain) needs no free slot. Otherwise waiting handlers could
 *       starve the messages that they wait for.
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
  /** Sends a logged message to the owner of its entity; 0: it has none. */
  deliver(entity: string, record: MessageRecord, owner: number): void;
  /** Called when an entity was released with messages pending. */
  handedOff(entity: string): void;
  /** Called when the log has contradicted itself. */
  contradicted(why: string): void;
}

/** The outcome of an attempt whose incarnation has ended; it becomes a note on the dead letter. */
type LateReport = Omit<LateOp, 'op'>;

const HANDLER_TIMEOUT_RESOLUTION_MS = 8;
const BY_DEFAULT: FailureRuling = { isFinal: false, leavesDeadLetter: true };
/** Entities that one turn of a rebalance examines: each may cost a hash for every member. */
const REBALANCE_LOOKS_MAX = 4096;

export class Ownership {
  readonly workers = new Map<string, EntityWorker>();
  readonly idle: IdleList;
  readonly due: DueTimes;
  readonly slots = { taken: 0 };
  readonly running = new Set<Attempt>();
  readonly lateReports: LateReport[] = [];
  private readonly fetching: FetchBegun;
  /** No new entity is claimed and no message begins, except for chains. */
  draining = false;
  private session: StoreSession | undefined;
  private readonly waiting = new Fifo<EntityWorker>();
  /** Workers whose message has begun but does not run, because of the lease or a check of the payload. */
  private readonly parked = new Set<EntityWorker>();
  /** Zombie attempts, by entity: handlers of former incarnations that still run. */
  private readonly zombies = new Map<string, Attempt>();
  readonly avoided: AvoidedEntities;
  /** Position of the rebalance in progress; undefined if there is none. */
  private rebalanceWalk: Iterator<EntityWorker, undefined> | undefined;
  private rebalanceReleased = 0;
  private readonly settings = new Map<string, EntitySettings>();
  /** Number of releases of entities that were requested. */
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

  /** The incarnation of the session; 0 if there is none. */
  get incarnation(): number {
    return this.session?.incarnation ?? 0;
  }

  submit<O extends SessionOp>(step: Step<O>): void {
    // The session passes to a step's `answered` only the answer of that step's own operation.
    this.session?.submit(step as unknown as Step);
  }

  /** Ends the ownership of all entities: the session of `incarnation` has ended. Handlers that still run become zombies. */
  abandon(incarnation: number, why: AtomicQueuesError): void {
    this.session = undefined;
    for (const worker of this.parked) this.reportLate(worker.attempt as Attempt, incarnation, 'not-run', '');
    this.parked.clear();
    for (const attempt of this.running) {
      if (attempt.zombie) continue;
      attempt.zombie = true;
      attempt.incarnation = incarnation;
      this.zombies.set(attempt.worker.entity, attempt);
      attempt.context.abort(why);
    }
    for (const worker of [...this.workers.values()]) worker.leaveTable();
    while (this.waiting.shift() !== undefined);
    this.idle.clear();
  }

  // ---- activation ----------------------------------------------------------------------------------------------

  /** False if this process only sends. */
  get handlesAny(): boolean {
    return this.settings.size > 0;
  }

  handles(entity: string): boolean {
    return this.settings.has(typeOfKey(entity));
  }

  /** Returns the worker of an entity, and claims the entity if necessary. Undefined if this process may not own it now. */
  activate(entity: string, chained: boolean): EntityWorker | undefined {
    const known = this.workers.get(entity);
    if (known !== undefined) return known;
    const settings = this.settings.get(typeOfKey(entity));
    if (settings === undefined || this.session === undefined) return undefined;
    if ((this.draining && !chained) || this.zombies.has(entity) || this.avoided.has(entity)) return undefined;
    if (!this.parts.membership.leaseValid()) return undefined;
    this.makeRoom();
    const worker = new EntityWorker(entity, settings, this);
    this.workers.set(entity, worker);
    worker.claim();
    return worker;
  }

  /** Releases the entity that has been idle longest, if the node is at its own limit of workers. */
  private makeRoom(): void {
    const { workersMax } = this.parts.config.limits;
    if (workersMax === 0 || this.workers.size < workersMax) return;
    const oldest = this.idle.oldest();
    if (oldest instanceof EntityWorker) oldest.release(false);
  }

  /** Claims an unowned entity for which the sweep found work. Returns false if this node cannot own it now. */
  adopt(entity: string): boolean {
    const worker = this.activate(entity, false);
    worker?.wake();
    return worker !== undefined;
  }

  /** Releases an entity whose head has a name that this process does not handle: another node is to own it. */
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

  /** Returns whether a worker may go on to its next message. False if another entity waits for a slot. */
  mayGoOn(chained: boolean): boolean {
    if (!this.parts.membership.leaseValid()) return false;
    return chained || (!this.draining && this.waiting.length === 0);
  }

  /** Queues the worker for a slot. Returns false if no slot will come: the node is draining or has lost its lease. */
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

  /** Aborts the signals of all running handlers: the lease has lapsed and other nodes may start, or the shutdown grace ends. */
  suspend(why: AtomicQueuesError): void {
    for (const attempt of this.running) attempt.context.abort(why);
  }

  /**
   * Continues after the lease was proved again and no other node took over. Each start checks the lease again: the handler that
   * started before may have blocked the loop until the lease was over.
   */
  resume(): void {
    for (const worker of [...this.parked]) worker.leaseProved();
    // A slot that was freed while the lease was not proved was given to no worker.
    this.fillSlots();
    for (const worker of this.workers.values()) worker.tryToBegin();
  }

  /** Returns the number of entities whose claim has been answered and whose release was not requested. */
  ownedSurely(): number {
    let n = 0;
    for (const worker of this.workers.values()) if (worker.fence > 0 && worker.phase !== 'releasing') n++;
    return n;
  }

  /** Releases every entity for which nothing runs, with its pending messages. Called while the node drains. */
  releaseIdle(): void {
    for (const worker of this.workers.values()) if (worker.phase === 'idle' || worker.phase === 'waiting') worker.release(true);
  }

  /** Starts a rebalance: a node has joined, and the next turns of `rebalance` release the idle entities that belong to it. */
  beginRebalance(): void {
    this.rebalanceWalk = this.workers.values();
    this.rebalanceReleased = 0;
  }

  /**
   * Continues the walk over all entities, and releases at most `max`. If a walk has released as many in all, another one follows
   * for the entities that were busy. If it has released fewer, the rebalance ends: these may be entities that are placed here
   * again and again because the new node is overloaded.
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

  /** Called when a worker has released its entity. */
  released(worker: EntityWorker, handoff: boolean): void {
    const { entity, hadMore } = worker;
    worker.leaveTable();
    if (handoff && hadMore) this.parts.handedOff(entity);
  }

  /** Cancels the timers of all entities and attempts: the node has stopped. */
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

  /** Checks the payload. Throws, or rejects, if it does not fit; returns undefined if it does. */
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
    if (handlerTimeoutMs > 0) this.due.schedule(attempt, handlerTimeoutMs, HANDLER_TIMEOUT_RESOLUTION_MS);
    if (!trace.verbose) return;
    const { id, name, seq, attempt: number } = record;
    trace.emit('began', { entity: worker.entity, id, name, seq, attempt: number });
  }

  stopped(attempt: Attempt): void {
    this.running.delete(attempt);
    if (attempt.dueAtMs !== 0) this.due.cancel(attempt);
    if (attempt.blocked) this.parts.trace.emit('unblocked', { entity: attempt.worker.entity, id: attempt.record.id });
  }

  /** Called when `handlerTimeout` has passed: aborts the signal. The entity is blocked until the handler ends. */
  blocked(attempt: Attempt): void {
    const { worker } = attempt;
    const { handlerTimeoutMs } = worker.settings;
    if (handlerTimeoutMs > 0) {
      const text = `the handler did not end within handlerTimeout (${handlerTimeoutMs} ms)`;
      attempt.context.abort(new AtomicQueuesError('INTERRUPTED', text, { details: { entity: worker.entity } }));
    }
    this.reportBlocked(attempt);
  }

  /** Reports attempts that have run for longer than `afterMs`, for handlers without a timeout. */
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

  /** Sends the outcome to the callers. The log holds it now; before that, no caller may learn it. */
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

  /** Returns whether the failure of an attempt is final, and whether it leaves a dead letter. */
  ruleOn({ worker, record }: Attempt, thrown: unknown): FailureRuling {
    const ruling = this.parts.handler.ruleOn?.(typeOfKey(worker.entity), record.name, thrown) ?? BY_DEFAULT;
    if (thrown instanceof NotCalled) return { ...ruling, isFinal: thrown.isFinal };
    return thrown instanceof FinalFailure ? { ...ruling, isFinal: true } : ruling;
  }

  traceRetry({ worker, record }: Attempt, delayMs: number, error: string): void {
    const { id, name, attempt } = record;
    this.parts.trace.emit('retrying', { entity: worker.entity, id, name, attempt, delayMs, error: errorLines(error) });
  }

  /** Delivers a transactional send, now logged, to the owner of its entity. */
  sent(send: Send, seq: number, owner: number): void {
    this.parts.deliver(send.entity, recordOf(send.message, seq, 1, 0, 0, ''), owner);
  }

  // ---- former incarnations -------------------------------------------------------------------------------------

  /** Called when a zombie attempt has ended: its entity may be claimed here again. */
  zombieEnded(attempt: Attempt, result: string | undefined, thrown: unknown): void {
    this.zombies.delete(attempt.worker.entity);
    if (result === undefined) this.reportLate(attempt, attempt.incarnation, 'failed', errorText(thrown));
    else this.reportLate(attempt, attempt.incarnation, 'completed', result);
  }

  reportLate(attempt: Attempt, incarnation: number, outcome: LateReport['outcome'], detail: string): void {
    const { seq, attempt: number } = attempt.record;
    this.lateReports.push({ entity: attempt.worker.entity, seq, attempt: number, incarnation, outcome, detail });
  }

  /** Sends the pending notes. Those that the log cannot take yet are kept for the next turn. */
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

  /** Reads the message that the log has begun for a worker in an answer that had no room for it. */
  fetch(worker: EntityWorker, begun: Begun): void {
    this.fetching.fetch(worker, begun);
  }

  /** Reports a loss: the log contradicts an earlier answer to this session, so it has lost or altered acknowledged writes. */
  contradicted(worker: EntityWorker, answer: string): void {
    const { entity, fence, phase } = worker;
    this.parts.contradicted(`it answered ${answer} to the owner of ${entity} (fence ${fence}, ${phase})`);
  }

  traceClaim(entity: string, fence: number): void {
    if (this.parts.trace.verbose) this.parts.trace.emit('claimed', { entity, fence });
  }
}
