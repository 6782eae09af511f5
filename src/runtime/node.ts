/**
 * Starts and stops the other components. Suspends them while the lease has lapsed; after an eviction, joins as a new incarnation.
 *
 *   starting -> running <-> rejoining     any of these -> draining -> stopped
 *                                          any -> closed (failed start or rejoin, STORE_LOST, or onLeaseLost 'exit')
 */
import type { ResolvedConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import { StoreHealth } from '../core/health.js';
import { SENT } from '../core/ids.js';
import type { Contract, PublishedSchemas } from '../core/log/control-operations.js';
import type { Clock } from '../ports/clock.js';
import type { HandlerPort } from '../ports/handler.js';
import type { HeartbeatSender } from '../ports/heartbeats.js';
import type { Network, PeerMessage } from '../ports/network.js';
import type { Random } from '../ports/random.js';
import type { Store } from '../ports/store.js';
import { type Trace, untilStopped } from '../ports/trace.js';
import { type ContextHost, EntityContext } from './context.js';
import { Directory } from './directory.js';
import { drainWithinGrace } from './drain.js';
import { DueTimes } from './due-times.js';
import { type BulkOutcome, Enqueue, type OutgoingMessage, type Receipt } from './enqueue.js';
import { asError } from './error-record.js';
import { heartbeatEveryMs, PlainHeartbeatSender } from './heartbeats.js';
import { Master } from './master.js';
import { Membership } from './membership.js';
import { Ownership } from './ownership.js';
import { Peers } from './peers.js';
import { whyGiveUp } from './progress.js';
import { Recovery } from './recovery.js';
import { Replies, type WaitOptions } from './replies.js';
import { Router } from './router.js';
import { StoreSession } from './session.js';
import { PublishedShapes } from './shapes.js';
import { blockedOf, depthOf, type LogDepth, type NodeState, type NodeStatus, peersOf, roleOf } from './status.js';
import { View } from './view.js';
import { within } from './waits.js';

export interface NodeOptions {
  readonly config: ResolvedConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  /** Sends the heartbeats; default: from the main loop, through `store`. */
  readonly heartbeats?: HeartbeatSender;
  readonly network: Network;
  readonly handler: HandlerPort;
  readonly trace: Trace;
  /** The entity types and message names that this node handles. */
  readonly contracts: readonly Contract[];
  /** The schemas that this node publishes for those messages; default: none. */
  readonly schemas?: readonly PublishedSchemas[];
  /** Returns the entity, name and payload of a message object, for transactional sends. Throws as `QueueBus.enqueue` does. */
  route(message: object, headers: Readonly<Record<string, string>> | undefined): OutgoingMessage;
  /** Called when the node has closed itself: STORE_LOST, FENCED with `onLeaseLost: 'exit'`, or the error of a failed rejoin. */
  onClosed?(why: AtomicQueuesError): void;
}

const NONE: LogDepth = { messages: 0, entities: 0, deadLetters: 0 };

export class Node {
  private readonly options: NodeOptions;
  private state: NodeState = 'new';
  private closedBy: AtomicQueuesError | undefined;
  private session: StoreSession | undefined;
  private stopping: Promise<void> | undefined;
  /** Why this incarnation was evicted, if that was reported before its first session. */
  private earlyEviction: string | undefined;
  /** The join in progress, if there is one. */
  private joining: Promise<void> | undefined;
  /** Set by `becomeUnready`: the node is about to be stopped and works until then. */
  private isUnready = false;
  /** The incarnation before this one, 0 for none. */
  private former = 0;
  private readonly health: StoreHealth;
  private readonly heartbeats: HeartbeatSender;
  private readonly membership: Membership;
  private readonly replies: Replies;
  private readonly ownership: Ownership;
  private readonly enqueuing: Enqueue;
  private readonly recovery: Recovery;
  private readonly view: View;
  /** The messages that can be sent from this node. */
  readonly directory: Directory;
  readonly shapes: PublishedShapes;
  private readonly peers: Peers;
  private readonly master: Master;
  private readonly router: Router;

  constructor(options: NodeOptions) {
    this.options = { ...options, trace: untilStopped(options.trace) };
    const { config, clock, random, store, network, handler, trace, contracts } = this.options;
    this.health = new StoreHealth(config.health.storeFailureThreshold);
    this.heartbeats = options.heartbeats ?? new PlainHeartbeatSender(store, clock, heartbeatEveryMs(config));
    const events = {
      suspended: () => this.suspended(),
      resumed: () => this.resumed(),
      fenced: (why: string) => this.fenced(why),
      lost: (why: string) => this.noticeLoss(why),
      health: (error: Error | undefined) => this.noteHealth(error),
      heartbeat: () => this.fenced(whyGiveUp(this.session, config)),
    };
    this.membership = new Membership(store, this.heartbeats, clock, random, config, contracts, events, options.schemas);
    const { membership } = this;
    const due = new DueTimes(clock);
    this.replies = new Replies(clock, due, store, membership);
    const { replies } = this;
    const contextHost = { routeSend: this.routeSend, sendsBytesMax: config.limits.sendsBytesMax, trace };
    this.view = new View(config.serviceGroup);
    const { view } = this;
    this.directory = new Directory(contracts, () => this.recovery.readMembers());
    this.shapes = new PublishedShapes(contracts, ({ type, name, services, wins }) =>
      trace.emit('schema-conflict', {
        ...{ message: `${type}.${name}`, services: `"${services.join('" and "')}"`, wins: `"${wins}", which joined last` },
      }),
    );
    const { directory, shapes } = this;
    this.ownership = new Ownership({
      ...{ clock, trace, config, contracts, handler, network, store, membership, due, replies, contextHost },
      deliver: (entity, record, owner) => this.router.deliver(entity, record, owner),
      handedOff: (entity) => this.router.handedOff(entity),
      contradicted: (why) => this.storeLost(why),
    });
    this.peers = new Peers(clock, config, network, view);
    const { ownership, peers } = this;
    network.onSuspect?.((incarnation, isSuspect) => {
      const serverId = view.serverIdOf(incarnation);
      trace.emit('peer-suspect', { incarnation, serverId, isSuspect });
    });
    const isDegraded = (): boolean => this.health.degraded;
    this.master = new Master({ clock, trace, config, store, network, membership, ownership, view, peers, isDegraded });
    const { master } = this;
    this.router = new Router({ clock, config, network, membership, ownership, replies, master, view, peers });
    const { router } = this;
    this.enqueuing = new Enqueue({
      ...{ clock, trace, config, directory, shapes, router, replies },
      admit: () => this.admit(),
      why: () => this.health.lastFailure,
    });
    replies.withdraw = (waiter, why) => this.enqueuing.withdraw(waiter, why);
    this.recovery = new Recovery({
      ...{ clock, trace, config, store, network, membership, ownership, replies, view, directory, shapes, master, router },
    });
  }

  /**
   * Connects, joins and reads the members; recovery then runs in the background. Rejects with STORE_UNAVAILABLE, STORE_LOST or
   * CONFIG_INVALID (live duplicate serverId, other schema), and the node is closed; with SHUTTING_DOWN if it is stopped meanwhile.
   */
  async start(): Promise<void> {
    if (this.state !== 'new') throw new AtomicQueuesError('CONFIG_INVALID', `a node starts once; this one is ${this.state}`);
    this.state = 'starting';
    this.joining = this.joinFirst();
    await this.joining;
  }

  private async joinFirst(): Promise<void> {
    const { store } = this.options;
    store.onReplaced((why) => this.noticeLoss(why));
    try {
      await store.open();
      await this.membership.join(false);
      // The first caller, and the first handler that sends, need to know which members handle which messages.
      await this.recovery.look(() => !this.is('starting'));
      if (!this.is('starting')) throw this.closedBy ?? new AtomicQueuesError('SHUTTING_DOWN', 'the node was stopped');
    } catch (error) {
      await this.startFailed(error);
    }
    this.openSession();
  }

  private async startFailed(error: unknown): Promise<never> {
    const isStopped = this.is('draining') || this.is('stopped');
    if (!isStopped) this.state = 'closed';
    this.closedBy ??= isStopped
      ? new AtomicQueuesError('SHUTTING_DOWN', 'the node was stopped while it started', { cause: error })
      : asError(error);
    // Errors of this cleanup are not why the start failed. A concurrent `stop` closes the heartbeats and the store itself.
    const ends = [
      () => this.membership.leave(0),
      ...(isStopped ? [] : [() => this.heartbeats.close(), () => this.options.store.close()]),
    ];
    for (const end of ends) await end().catch(() => undefined);
    throw this.closedBy;
  }

  /** Returns whether the node is in that state now. After an await the compiler still assumes the earlier state. */
  private is(state: NodeState): boolean {
    return this.state === state;
  }

  private openSession(): void {
    const { store, clock, random, network, trace, config } = this.options;
    const { incarnation, identity } = this.membership;
    const session = new StoreSession(store, clock, random, identity, {
      fenced: () => this.fenced('the store has evicted this incarnation'),
      lost: (why) => this.noticeLoss(why),
      health: (error) => this.noteHealth(error),
      full: (waiting, why) => trace.emit(waiting > 0 ? 'sends-wait' : 'sends-go-on', { why }),
    });
    this.session = session;
    this.joining = undefined;
    network.listen(incarnation, (message, from) => this.receive(message, from));
    this.ownership.open(session);
    this.recovery.start(session, this.former);
    this.master.start();
    this.state = 'running';
    trace.emit('joined', { incarnation, serverId: config.serverId });
    this.enqueuing.openSession(session);
    this.fenced(this.earlyEviction);
    this.earlyEviction = undefined;
  }

  // ---- calls ---------------------------------------------------------------------------------------------------

  /** Resolves when the message is durably logged. */
  enqueue(message: OutgoingMessage): Promise<Receipt> {
    return this.enqueuing.enqueue(message);
  }

  /** Resolves with the result as JSON text, '' for undefined. */
  async enqueueAndWait(message: OutgoingMessage, wait: WaitOptions): Promise<string> {
    return this.enqueuing.enqueueAndWait(message, wait);
  }

  /** Appends many messages at once; each has its own outcome. */
  enqueueBulk(messages: readonly OutgoingMessage[]): Promise<BulkOutcome[]> {
    return this.enqueuing.enqueueBulk(messages);
  }

  /** Throws if no new message may be logged: SHUTTING_DOWN, STORE_UNAVAILABLE, STORE_LOST. */
  admit(): void {
    const { state, health } = this;
    if (state === 'running' || state === 'rejoining') {
      health.check(state === 'running' ? 'the store does not answer' : 'the node was evicted and cannot rejoin');
      return;
    }
    // A handler that still runs may send follow-ups: they are logged, and run after the restart or on another node.
    if (state === 'draining' && EntityContext.currentOrNone() !== undefined) return;
    const { closedBy: cause } = this;
    if (state === 'closed' && cause?.code === 'STORE_LOST')
      throw new AtomicQueuesError('STORE_LOST', 'the node has closed; nothing was logged', { definite: true, cause });
    const text = state === 'new' || state === 'starting' ? 'the node has not started yet' : `the node is ${state}`;
    throw new AtomicQueuesError('SHUTTING_DOWN', `${text}; nothing was logged`, { cause });
  }

  /** Makes a transactional send. Its id is derived from the parent's, so a crash or a retry neither drops nor doubles it. */
  private readonly routeSend: ContextHost['routeSend'] = (parent, index, message, headers) =>
    this.enqueuing.toSend(this.options.route(message, headers), `${parent.id}${SENT}${index}`);

  private receive(message: PeerMessage, from: number): void {
    switch (message.kind) {
      case 'reply':
        this.replies.settle(message.entity, message.id, message.seq, message.state, message.detail);
        return;
      case 'wake':
        this.router.woken(message.entity, message.message);
        return;
      case 'placed':
        this.router.answered(message);
        return;
      default:
        this.master.receive(message, from);
    }
  }

  // ---- health and lease ----------------------------------------------------------------------------------------

  private noteHealth(error: Error | undefined): void {
    const change = this.health.note(error?.message);
    if (change === 'degraded') this.options.trace.emit('degraded', { why: this.health.why });
    else if (change === 'recovered') this.options.trace.emit('recovered', {});
    if (error === undefined) this.session?.storeAnswers();
  }

  private suspended(): void {
    if (this.state !== 'running' && this.state !== 'draining') return;
    this.options.trace.emit('suspended', { incarnation: this.membership.incarnation });
    const text = 'the lease has lapsed: another node may take over at any time';
    this.ownership.suspend(new AtomicQueuesError('INTERRUPTED', text));
  }

  private resumed(): void {
    this.options.trace.emit('resumed', { incarnation: this.membership.incarnation });
    this.ownership.resume();
  }

  /** Ends this incarnation, if `why` is given. The process rejoins as a new one; handlers that still run become zombies. */
  private fenced(why: string | undefined): void {
    const { incarnation } = this.membership;
    if (this.is('starting')) this.earlyEviction ??= why;
    if (why === undefined || incarnation === 0 || this.session?.incarnation !== incarnation) return;
    this.options.trace.emit('lease-lost', { incarnation, why });
    const error = new AtomicQueuesError('FENCED', `incarnation ${incarnation} was declared dead: ${why}`, { definite: false });
    this.endSession(incarnation, error);
    this.former = incarnation;
    if (this.state === 'draining') return;
    if (this.options.config.onLeaseLost === 'exit') {
      this.close(error);
      return;
    }
    this.state = 'rejoining';
    this.joining = this.rejoin();
  }

  private endSession(incarnation: number, error: AtomicQueuesError): void {
    const { session } = this;
    this.session = undefined;
    this.recovery.stop();
    this.master.stop();
    this.router.clear();
    this.enqueuing.closeSession();
    this.membership.forget(session?.lastAcknowledged ?? 0);
    session?.end(error, new AtomicQueuesError('FENCED', 'the session ended before this step left'));
    this.ownership.abandon(incarnation, error);
  }

  private async rejoin(): Promise<void> {
    try {
      await this.membership.join(true);
      if (this.state === 'rejoining') this.openSession();
    } catch (error) {
      const why = asError(error);
      if (why.code === 'STORE_LOST') this.noticeLoss(why.message);
      else if (this.is('rejoining')) this.close(why);
    }
  }

  /** Closes this node, and the store to every node. Only this node knows of the loss: no other may go on with what is left. */
  private noticeLoss(why: string): void {
    const { generation } = this.membership;
    this.storeLost(why);
    if (generation !== '') this.membership.closeStore(generation, () => this.state === 'stopped').catch(() => undefined);
  }

  /** Closes this node: the store lost acknowledged writes, and nothing is started on a guess. */
  private storeLost(why: string): void {
    if (this.state === 'closed' || this.state === 'stopped') return;
    this.options.trace.emit('store-lost', { why });
    const error = new AtomicQueuesError(
      'STORE_LOST',
      `the store lost acknowledged writes or was replaced (${why}); this node has closed`,
    );
    this.endSession(this.membership.incarnation, error);
    this.close(error);
  }

  private close(why: AtomicQueuesError): void {
    this.state = 'closed';
    this.closedBy = why;
    this.membership.endJoins();
    this.enqueuing.rejectAll(why.message, why, why);
    this.replies.rejectAll(why);
    this.options.onClosed?.(why);
  }

  // ---- stop ----------------------------------------------------------------------------------------------------

  /** Drains within `shutdownGraceMs`, hands over every entity, leaves the cluster, and only then closes the store. Idempotent. */
  stop(): Promise<void> {
    this.stopping ??= this.drain();
    return this.stopping;
  }

  /** Reports this node as not ready from now on. Calls are accepted as before, until `stop`. */
  becomeUnready(): void {
    this.isUnready = true;
  }

  /** Refuses new calls from now on. Handlers that still run may send. */
  refuseNew(): void {
    if (this.state !== 'closed' && this.state !== 'stopped') this.state = 'draining';
  }

  private async drain(): Promise<void> {
    const { store, network, trace, clock, config } = this.options;
    this.refuseNew();
    this.membership.endJoins();
    this.ownership.draining = true;
    this.view.leave(this.membership.incarnation);
    this.master.resign();
    const isDone = (): boolean => this.ownsNothing() && this.ownership.running.size === 0 && !this.owesAnswers();
    await drainWithinGrace({ clock, config, ownership: this.ownership, isOver: () => this.session === undefined, isDone });
    const running = this.ownership.running.size;
    this.recovery.stop();
    this.master.stop();
    if (this.joining !== undefined) await this.withinCallTimeout(this.joining, undefined);
    const { messages: pending } = this.session === undefined ? NONE : await this.withinCallTimeout(this.depth(), NONE);
    // Handlers that still run are not handed over: the lease lapses, and the take-over counts their messages as interrupted.
    const lastBatch = this.session?.lastAcknowledged ?? 0;
    if (this.ownsNothing()) await this.withinCallTimeout(this.membership.leave(lastBatch), false);
    else this.membership.forget(lastBatch);
    const unsent = new AtomicQueuesError('SHUTTING_DOWN', 'the node has stopped; nothing was sent');
    const unknown = new AtomicQueuesError('OUTCOME_UNKNOWN', 'the node has stopped; the message may have run, or may yet');
    this.session?.end(unknown, unsent);
    this.session = undefined;
    this.enqueuing.rejectAll('the node has stopped', unsent);
    this.replies.rejectAll(unknown);
    this.router.clear();
    this.ownership.dispose();
    await this.heartbeats.close();
    await network.close();
    await store.close().catch(() => undefined);
    this.state = 'stopped';
    this.membership.endJoins();
    trace.emit('stopped', { running, pending });
  }

  /** Returns whether callers here wait for replies of other nodes, which reach this node only as long as it is a member. */
  private owesAnswers(): boolean {
    return this.replies.size > 0 && this.view.othersTakeWork(this.membership.incarnation);
  }

  private ownsNothing(): boolean {
    return this.ownership.workers.size === 0 && this.session?.outstanding === 0;
  }

  private withinCallTimeout<T>(call: Promise<T>, otherwise: T): Promise<T> {
    return within(this.options.clock, this.options.config.storeCallTimeoutMs, call, otherwise);
  }

  /** True while a message is begun, awaited, or about to begin here; also while a retry waits for its backoff. */
  get isBusy(): boolean {
    const { workers, idle, running } = this.ownership;
    return workers.size > idle.size || running.size > 0 || this.replies.size > 0 || (this.session?.outstanding ?? 0) > 0;
  }

  status(): NodeStatus {
    const { state, health, membership, ownership } = this;
    const { clock, config } = this.options;
    const { incarnation } = membership;
    const suspended = state === 'running' && !membership.leaseValid();
    const blocked = blockedOf(ownership.running, clock.monotonicMs());
    const awaitingRoom = this.session?.awaitingRoom ?? 0;
    return {
      isReady: state === 'running' && !suspended && !health.degraded && !this.isUnready,
      ...{ state, serverId: config.serverId, serviceGroup: config.serviceGroup, incarnation },
      ...{ role: roleOf(ownership, this.master), epoch: this.master.highestEpoch, network: this.options.network.problem?.() },
      ...{ suspended, leaseLeftMs: membership.leaseLeftMs(), degraded: health.degraded ? health.why : undefined },
      ...{ owned: ownership.workers.size, running: ownership.running.size, waiting: this.replies.size, blocked, awaitingRoom },
      peers: incarnation === 0 ? [] : peersOf(this.view.members, incarnation, this.peers),
    };
  }

  /** Reads the depth from the store. Rejects with STORE_UNAVAILABLE. */
  depth(): Promise<LogDepth> {
    return depthOf(this.options.store);
  }
}
