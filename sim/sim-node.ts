/** One host of the simulated cluster: a machine that runs one process at a time, with the real runtime in it. */
import { publish, type Shapes } from '../src/core/catalog.js';
import { type ResolvedConfig, resolveConfig } from '../src/core/config.js';
import { AtomicQueuesError } from '../src/core/errors.js';
import type { Contract, PublishedSchemas } from '../src/core/log/control-operations.js';
import type { Network } from '../src/ports/network.js';
import { type Store, StoreCallError } from '../src/ports/store.js';
import type { TraceEvents } from '../src/ports/trace.js';
import { DeadLetterBox } from '../src/runtime/dead-letters.js';
import type { OutgoingMessage } from '../src/runtime/enqueue.js';
import { Node } from '../src/runtime/node.js';
import type { Bank } from './bank.js';
import { FramedNetwork, type FrameFacts } from './framed-network.js';
import { heldBy } from './held.js';
import type { History, NodeAtRest, NodeChange } from './history.js';
import { idOf, NAMES, payloadOf, QUERIES, type Target, TYPES, typeOf } from './job.js';
import { configOf, type NodePlan, type Settings } from './plan.js';
import type { TypeFacts } from './run-facts.js';
import { HostClock, SimClock, UserClock } from './sim-clock.js';
import { type Act, SimHandler } from './sim-handler.js';
import { type Hub, SimNetwork } from './sim-network.js';
import { SimRandom, type Stream } from './sim-random.js';
import { SimStore } from './sim-store.js';
import type { StoreAdapter } from './store-adapter.js';
import type { StoreServer } from './store-server.js';
import { TraceOrder } from './trace-order.js';
import { Life, type World } from './world.js';

export interface NodeSurroundings {
  readonly world: World;
  readonly server: StoreServer;
  readonly hub: Hub;
  /** Returns the user's current database. */
  bankOf(): Bank;
  readonly history: History;
  readonly settings: Settings;
  readonly typeFacts: Readonly<Record<string, TypeFacts>>;
  /** How the node reaches the store. Left out: directly. */
  readonly adapter: StoreAdapter | undefined;
  /** Returns what the handler of that call does in place of its work on an account. */
  actOf(call: string): Act | undefined;
  /** Returns whether some node publishes schemas. Other nodes keep them while that node lives, and longer. */
  isPublished(): boolean;
  /**
   * Returns whether the store was emptied and used again while this process ran. The supervisor starts such a process again, as
   * there is nothing left to look at.
   */
  isFormer(life: Life): boolean;
  /** Is called with every event of the trace. */
  heard(node: string, event: keyof TraceEvents, data: object): void;
  /** Is called when the process has ended without a crash. */
  ended(node: SimNode, why: 'start-failed' | 'closed' | 'stopped'): void;
}

/** What the version that runs on a node adds to the node's plan. */
export interface Version {
  /** Fields of the configuration. They override those of the settings. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Messages that the version declares for each type, in place of those of the plan. */
  readonly names?: readonly string[];
  /** Schemas that the version publishes, the same for each type. */
  readonly shapes?: Shapes;
  /** The node sends its hints in frames. Left out: each hint alone. */
  readonly frames?: FrameFacts;
}

/** Places where nodes keep what members declare and publish. */
const PUBLISHED = ['PublishedShapes', 'Membership.schemas', 'Object.names'];

/** How long a process lives on after its node has stopped, in ms. */
const AFTER_STOP_MS = 3000;
/**
 * How long a process lives on after it noticed that its store was emptied and used again, in ms. Meanwhile it still reports the
 * loss to that store.
 */
const CLOSED_MS = 1500;
const WALL_START_MS = 1_690_000_000_000;

export const outgoingOf = ({ entity, job }: Target, id: string | undefined): OutgoingMessage => ({
  type: typeOf(entity),
  entityId: idOf(entity),
  name: job.op,
  payload: payloadOf(job),
  id,
});

export class SimNode {
  readonly host: HostClock;
  readonly name: string;
  life: Life | undefined;
  node: Node | undefined;
  incarnation = 0;
  private clock: SimClock | undefined;
  private lives = 0;
  private pausedAtMs = 0;
  private pausedMs = 0;
  private readonly config: ResolvedConfig;
  private readonly contracts: readonly Contract[];
  private readonly schemas: readonly PublishedSchemas[];
  private readonly frames: FrameFacts | undefined;
  private store: Store | undefined;
  private readonly lateness: Stream;
  private readonly storeChance: Stream;
  private readonly netChance: Stream;
  private readonly random: SimRandom;

  constructor(
    private readonly around: NodeSurroundings,
    plan: NodePlan,
    readonly number: number,
    version: Version = {},
  ) {
    const { world, settings } = around;
    this.name = plan.name;
    this.host = new HostClock(world, WALL_START_MS + number * 1000);
    const given = configOf(settings, plan.serverId ?? plan.name, plan.group);
    this.config = resolveConfig(version.config === undefined ? given : { ...given, ...version.config }, {
      nodeEnv: 'simulation',
      hostname: plan.name,
      generateServerId: () => plan.name,
    });
    const types = plan.types ?? TYPES;
    const { names = plan.names ?? NAMES, shapes } = version;
    const published = shapes === undefined ? [] : types.map((type) => publish(type, shapes));
    this.schemas = published;
    this.frames = version.frames;
    this.contracts = types.map((type, i) => {
      const { retry, onInterrupt, workerMaxQueueDepth: depthMax } = this.config.entitySettings(type);
      const contract = { type, maxAttempts: retry.maxAttempts, onInterrupt, names, queries: QUERIES, depthMax };
      const { version: schemaVersion } = published[i] ?? {};
      return schemaVersion === undefined ? contract : { ...contract, version: schemaVersion };
    });
    this.lateness = world.stream(`lateness ${plan.name}`);
    this.storeChance = world.stream(`store ${plan.name}`);
    this.netChance = world.stream(`net ${plan.name}`);
    this.random = new SimRandom(world.stream(`random ${plan.name}`));
  }

  /** Returns what is left in the node at the end of a run. The collections of a node that runs handlers are left out. */
  atRest(): NodeAtRest {
    const { state = 'down', running = 0, waiting = 0, owned = 0 } = this.node?.status() ?? {};
    const holds =
      this.node !== undefined && running === 0 ? { holds: heldBy(this.node, this.around.isPublished() ? PUBLISHED : []) } : {};
    return { node: this.name, state, running, waiting, owned, timers: this.life?.timers ?? 0, ...holds };
  }

  get group(): string {
    return this.config.serviceGroup;
  }

  get handles(): boolean {
    return this.contracts.length > 0;
  }

  get isUp(): boolean {
    return this.life !== undefined;
  }

  /** Whether the node is up, has joined, and is neither paused nor stopping. */
  get isServing(): boolean {
    return this.life?.paused === false && this.incarnation !== 0;
  }

  setRate(rate: number): void {
    if (this.host.rate === rate) return;
    this.host.setRate(rate);
    this.clock?.rateChanged();
  }

  /** Returns the running time of the process in ms, without pauses. */
  runningMs(): number {
    return this.clockMs() - this.pausedMs;
  }

  /** Returns the time of the process's monotonic clock, in ms. */
  clockMs(): number {
    return this.clock?.monotonicMs() ?? 0;
  }

  start(): void {
    if (this.life !== undefined) throw new Error(`${this.name} runs already`);
    const { world, server, bankOf, history, typeFacts, adapter, actOf } = this.around;
    const life = new Life(this.name, this.number);
    const clock = new SimClock(world, this.host, life, this.lateness);
    this.life = life;
    this.clock = clock;
    this.lives++;
    this.pausedMs = 0;
    this.note('starting', { why: `life ${this.lives}` });
    const order = new TraceOrder(this.config.onLeaseLost === 'exit');
    const store =
      adapter?.storeOf(server, life, this.storeChance, this.config.storeCallTimeoutMs, clock) ??
      new SimStore(server, life, this.storeChance, this.config.storeCallTimeoutMs);
    this.store = store;
    const node: Node = new Node({
      config: this.config,
      clock,
      random: this.random,
      store,
      network: this.networkOf(life, clock),
      handler: new SimHandler(new UserClock(clock, life), bankOf(), history, {
        node: this.name,
        incarnation: () => this.incarnation,
        facts: (type) => typeFacts[type] as TypeFacts,
        ask: (target, signal) => node.enqueueAndWait(outgoingOf(target, undefined), { timeoutMs: 2000, signal }),
        actOf,
      }),
      trace: { verbose: false, emit: (event, data) => this.traced(event, data, order) },
      contracts: this.contracts,
      schemas: this.schemas,
      route: (message) => outgoingOf(message as Target, undefined),
      onClosed: (why) => this.closed(life, why),
    });
    this.node = node;
    world.after(0, life, () => {
      node.start().catch((error: unknown) => {
        this.note('start-failed', { why: String(error) });
        this.end(life, 'start-failed');
      });
    });
  }

  private networkOf(life: Life, clock: SimClock): Network {
    const network = new SimNetwork(this.around.hub, life, this.netChance);
    return this.frames === undefined ? network : new FramedNetwork(network, clock, this.frames);
  }

  /** Returns the dead letters, as code of that process sees them. */
  deadLetters(): DeadLetterBox {
    const { store, clock, node } = this;
    if (store === undefined || clock === undefined || node === undefined) throw new Error(`${this.name} is down`);
    return new DeadLetterBox(store, clock, () => node.admit());
  }

  private traced<K extends keyof TraceEvents>(event: K, data: TraceEvents[K], order: TraceOrder): void {
    this.around.heard(this.name, event, data);
    const wrong = order.take(event, data);
    if (wrong !== undefined)
      this.around.history.add({ kind: 'defect', node: this.name, incarnation: this.incarnation, what: `the node ${wrong}` });
    if (event === 'joined') {
      this.incarnation = (data as TraceEvents['joined']).incarnation;
      this.note('joined', {});
    } else if (event === 'lease-lost' || event === 'store-lost') this.note(event, { why: (data as { why: string }).why });
    else if (event === 'suspended' || event === 'resumed' || event === 'degraded' || event === 'recovered' || event === 'stopped')
      this.note(event, {});
    else if (event === 'leading' || event === 'stepped-down')
      this.note(event, { why: `epoch ${(data as TraceEvents['leading']).epoch}` });
    else if (event === 'rebuilt') {
      const { epoch, entities } = data as TraceEvents['rebuilt'];
      this.note(event, { why: `epoch ${epoch}, entities: ${entities}` });
    } else if (event === 'blocked') {
      const { entity } = data as TraceEvents['blocked'];
      this.around.history.add({ kind: 'blocked', node: this.name, incarnation: this.incarnation, entity });
      this.abortedBefore(entity);
    } else if (event === 'commanded') {
      const { epoch, accepted } = data as TraceEvents['commanded'];
      const where = { node: this.name, incarnation: this.incarnation };
      const what = accepted ? 'accept' : 'refuse';
      this.around.history.add({ kind: 'epoch', ...where, group: this.config.serviceGroup, epoch, what });
    } else if (event === 'dead-letter') this.reportedLetter(data as TraceEvents['dead-letter']);
    else if (event === 'dropping-dead-letter') {
      const { entity, id, letter } = data as TraceEvents['dropping-dead-letter'];
      this.around.history.add({ kind: 'reported', node: this.name, incarnation: this.incarnation, event, entity, id, letter });
    } else if (event === 'loop-failed') {
      const { loop, error } = data as TraceEvents['loop-failed'];
      // When a key of the store is lost, some scripts fail, and a loop reports the error of its call.
      if (this.around.server.lockstep?.isApart === true && error instanceof StoreCallError) return;
      const what = `${loop}: ${error instanceof Error ? error.message : String(error)}`;
      this.around.history.add({ kind: 'defect', node: this.name, incarnation: this.incarnation, what });
    }
  }

  /** Records a defect if a handler with a timeout is reported as blocked before its signal aborted. */
  private abortedBefore(entity: string): void {
    if (this.config.entitySettings(typeOf(entity)).handlerTimeoutMs === 0) return;
    const { history } = this.around;
    const last = history.events.findLast(
      (e) => (e.kind === 'start' || e.kind === 'abort') && e.node === this.name && e.entity === entity,
    );
    if (last?.kind === 'abort') return;
    const what = `the handler of ${entity} is reported as blocked, and its signal was not aborted`;
    history.add({ kind: 'defect', node: this.name, incarnation: this.incarnation, what });
  }

  /** Records a report of a dead letter, and a defect if the log does not have it yet. */
  private reportedLetter({ entity, id }: TraceEvents['dead-letter']): void {
    const { history, server } = this.around;
    history.add({ kind: 'reported', node: this.name, incarnation: this.incarnation, event: 'dead-letter', entity, id });
    // The history has no dead letters of steps that the scripts apply without the core.
    if (server.lockstep?.isApart === true) return;
    if (history.events.findLast((e) => e.kind === 'letter' && e.entity === entity && e.id === id) !== undefined) return;
    const what = `the node reports a dead letter of ${entity} that is not in the log`;
    history.add({ kind: 'defect', node: this.name, incarnation: this.incarnation, what });
  }

  private note(state: NodeChange, more: { why?: string }): void {
    this.around.history.add({ kind: 'node', node: this.name, incarnation: this.incarnation, state, ...more });
  }

  private closed(life: Life, why: AtomicQueuesError): void {
    this.note('closed', { why: why.code });
    const { world, isFormer } = this.around;
    if (why.code !== 'STORE_LOST') world.after(0, life, () => this.end(life, 'closed'));
    else if (isFormer(life)) world.after(CLOSED_MS, life, () => this.end(life, 'closed'));
  }

  private end(life: Life, why: 'start-failed' | 'closed'): void {
    if (this.life !== life) return;
    this.note('exited', {});
    this.kill();
    this.around.ended(this, why);
  }

  private kill(): void {
    if (this.life !== undefined) this.around.world.kill(this.life);
    this.forget();
  }

  private forget(): void {
    this.life = undefined;
    this.node = undefined;
    this.clock = undefined;
    this.incarnation = 0;
  }

  /** Ends the process as kill -9 does. */
  crash(): void {
    if (this.life === undefined) return;
    if (this.life.paused) this.host.proceed();
    this.note('crashed', {});
    this.kill();
  }

  /** Stops the node as SIGTERM does: it drains, leaves and ends. */
  stop(): void {
    const { life, node } = this;
    if (life === undefined || node === undefined) return;
    this.note('draining', {});
    node.stop().then(() => this.stopped(life));
  }

  /**
   * Marks the process as stopped. It may live on, as a test runner or a larger application does. Its runtime must be silent and
   * no member.
   */
  private stopped(life: Life): void {
    if (this.life !== life) return;
    const { world, hub, ended } = this.around;
    const { incarnation } = this;
    const defect = (what: string): void =>
      this.around.history.add({
        kind: 'defect',
        node: this.name,
        incarnation,
        what: `after stop() has resolved, the node ${what}`,
      });
    if (life.timers > 0) defect(`still has ${life.timers} timers`);
    if (hub.listens(life)) defect('still receives messages');
    life.isStopped = true;
    life.onLateAct = defect;
    this.note('exited', {});
    this.forget();
    world.after(AFTER_STOP_MS, undefined, () => world.kill(life));
    ended(this, 'stopped');
  }

  /**
   * Pauses the process as SIGSTOP does. With `suspended` the whole machine stops, and its monotonic clock stands still too.
   * Returns the rest of the lease in ms.
   */
  pause(suspended: boolean): number {
    const { life, node } = this;
    if (life === undefined || node === undefined || life.paused) return 0;
    const leaseLeftMs = node.status().leaseLeftMs;
    this.pausedAtMs = this.clock?.monotonicMs() ?? 0;
    this.around.world.pause(life);
    if (suspended) this.host.suspend();
    return leaseLeftMs;
  }

  resume(): void {
    const { life } = this;
    if (life === undefined || !life.paused) return;
    this.host.proceed();
    this.pausedMs += (this.clock?.monotonicMs() ?? 0) - this.pausedAtMs;
    this.around.world.resume(life);
  }
}

export const errorCodeOf = (error: unknown): AtomicQueuesError['code'] | 'OTHER' =>
  error instanceof AtomicQueuesError ? error.code : 'OTHER';
