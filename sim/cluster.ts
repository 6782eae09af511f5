/**
 * The simulated cluster and its verbs: start, stop, crash, restart, pause, resume, partition, partitionOneway, healLinks, hold,
 * release, cutStore, healStore, slowStore, heal, delay, step, run. Plans, scenarios and faults act on the world only through this
 * class.
 */
import type { PeerMessage } from '../src/ports/network.js';
import type { TraceEvents } from '../src/ports/trace.js';
import { groupsOf, ledGroups, liveIn, storeAtRest, unwillingIn } from './at-rest.js';
import { thinFacts } from './bandwidth.js';
import { Bank } from './bank.js';
import { type Call, type CallOptions, Client } from './client.js';
import { Conditions } from './conditions.js';
import { type FaultEvent, History } from './history.js';
import type { Job } from './job.js';
import type { Scripts } from './lua/lockstep.js';
import { MACHINE, type Machine } from './machine.js';
import { Observer } from './observer.js';
import { Operator } from './operator.js';
import type { LinkPlan, NodePlan, Settings } from './plan.js';
import type { RunFacts, TypeFacts } from './run-facts.js';
import type { Act } from './sim-handler.js';
import { Hub } from './sim-network.js';
import { SimNode, type Version } from './sim-node.js';
import { type StoreAdapter } from './store-adapter.js';
import { StoreServer } from './store-server.js';
import type { Life, World } from './world.js';

export interface ClusterOptions {
  readonly world: World;
  readonly settings: Settings;
  readonly machine?: Machine;
  /** The store keeps its applied steps, so that it can lose the last of them later. */
  readonly keepsLog?: boolean;
  /** The longest time in ms that the work of one run may take (see `longestWorkMs`). */
  readonly workMs?: number;
  /** How nodes reach the store. Left out: directly. */
  readonly adapter?: StoreAdapter | undefined;
  /** Scripts of the adapter that replace the shipped ones. */
  readonly scripts?: Scripts | undefined;
  /** The calls and messages that the fault windows hit, by name. Left out: they are drawn. */
  readonly hits?: readonly string[] | undefined;
  /** No fault is injected. */
  readonly isCalm?: boolean;
  /** How far the clock of the store is set back in all, in ms. What the store times by this clock takes that much longer. */
  readonly setBackMs?: number;
  /** The times in ms in which a fault may have an effect. Left out: any time. */
  readonly disturbedMs?: RunFacts['disturbedMs'] | undefined;
  /** What the links to the store carry. Left out: any size at once. */
  readonly link?: LinkPlan | undefined;
}

const RESTART_MS = 400;
/** The longest pause in the middle of a store call, in node TTLs. */
const PAUSE_TTLS_MAX = 5;

export function typeFactsOf(settings: Settings): Record<string, TypeFacts> {
  const { depthMax, maxAttempts, onInterrupt, backoffDelayMs: backoffMs } = settings;
  return {
    plain: { maxAttempts: 1, onInterrupt: 'dead-letter', depthMax, fenced: false },
    fenced: { maxAttempts: 1, onInterrupt: 'dead-letter', depthMax, fenced: true },
    retried: { maxAttempts, onInterrupt, depthMax, fenced: true, backoffMs },
  };
}

function factsOf(settings: Settings, workMs: number, isCalm: boolean, setBackMs: number): RunFacts {
  const { nodeTTLMs: leaseTtlMs, leaseMarginMs, takeoverHoldMs, depthMaxTotal, reconcileIntervalMs } = settings;
  return {
    ...{ leaseTtlMs, leaseMarginMs, takeoverHoldMs, depthMaxTotal, types: typeFactsOf(settings) },
    concurrentHandlersMax: settings.concurrentHandlersMax,
    leaderTtlMs: settings.leaderTTLMs,
    workersMax: settings.workersMax,
    deadLetters: { max: settings.deadLetters?.max ?? 0, ttlMs: 1000 * (settings.deadLetters?.ttl ?? 0) },
    blockedAfterMs: (settings.handlerTimeoutMs > 0 ? settings.handlerTimeoutMs : 30_000) + 2 * reconcileIntervalMs + 1000,
    settleMs: 15_000 + setBackMs + 2 * workMs + 4 * (leaseTtlMs + takeoverHoldMs + reconcileIntervalMs),
    independentMs: 2 * reconcileIntervalMs + leaseTtlMs + takeoverHoldMs + 1000,
    ...(isCalm && { calmAfterJoinMs: 2 * settings.heartbeatMs + settings.leaderDebounceMs + 100 }),
  };
}

export class Cluster {
  readonly world: World;
  readonly conditions: Conditions;
  readonly history: History;
  bank = new Bank();
  readonly server: StoreServer;
  readonly hub: Hub;
  readonly nodes = new Map<string, SimNode>();
  /** What handlers do in place of their work on an account, by call. */
  readonly acts = new Map<string, Act>();
  /** Is called with every event of the traces of all nodes. */
  traced: (node: string, event: keyof TraceEvents, data: object) => void = () => undefined;
  private readonly client: Client;
  readonly facts: RunFacts;
  /** Names of the nodes that are not started again once they are down. */
  readonly gone = new Set<string>();
  /** Set when the store has lost acknowledged writes. */
  storeLost = false;
  /** Process lives that joined the store before it was emptied and used again. */
  private readonly former = new Set<Life>();
  private readonly led = new Set<string>();
  /** Set when the scripts did something else than the core. The rest of the run is not worth waiting for. */
  private hasDiffered = false;
  /** Uses the store's clock. */
  readonly operator: Operator;
  private isPublished = false;
  private healedMs = Number.POSITIVE_INFINITY;
  private counter = 0;

  constructor(private readonly options: ClusterOptions) {
    const {
      world,
      settings,
      machine = MACHINE,
      keepsLog = false,
      workMs = 0,
      hits,
      adapter,
      scripts,
      isCalm = false,
      setBackMs = 0,
      link,
      disturbedMs,
    } = options;
    this.world = world;
    this.conditions = new Conditions(() => world.nowMs, hits === undefined ? undefined : new Set(hits));
    this.history = new History(() => world.nowMs);
    const facts = { ...factsOf(settings, workMs, isCalm, setBackMs), ...(disturbedMs && { disturbedMs }) };
    this.client = new Client(this.history, settings);
    this.facts = link === undefined ? facts : thinFacts(facts, settings, link);
    const observer = new Observer(this.history);
    const pauses = world.stream('pauses');
    const processes = {
      crash: (life: Life): void => this.crash(life.host),
      pause: (life: Life): void => this.pauseFor(life, pauses.logBetween(10, PAUSE_TTLS_MAX * settings.nodeTTLMs)),
    };
    const { conditions, history } = this;
    const differs = (what: string): void => {
      this.hasDiffered = true;
      history.add({ kind: 'differs', node: 'store', incarnation: 0, what });
    };
    const lockstepOf = adapter && ((nowMs: () => number) => adapter.lockstepOf(nowMs, scripts, differs));
    this.server = new StoreServer({
      world,
      conditions,
      observer,
      machine,
      processes,
      keepsLog,
      bytesPerMs: link?.bytesPerMs,
      ...(lockstepOf && { lockstepOf }),
    });
    this.operator = new Operator(this.server, history, world);
    this.hub = new Hub(world, this.conditions);
    this.hub.sent = (from, message) => {
      if (message.kind === 'assign' || message.kind === 'list-workers') this.commanded(from, message.epoch);
      else if (message.kind === 'petition') this.petitioned(from, message);
    };
    this.history.add({ kind: 'run', node: '', incarnation: 0, facts: this.facts });
  }

  // ---- nodes ---------------------------------------------------------------------------------------------------

  /** Adds a node. Throws CONFIG_INVALID, as a process with the configuration of that version would when it starts. */
  add(plan: NodePlan, version?: Version): SimNode {
    const { world, server, hub, history } = this;
    const { settings, adapter } = this.options;
    const typeFacts = this.facts.types;
    const ended = (node: SimNode, why: string): void => {
      if (why !== 'stopped') this.restartLater(node);
    };
    const actOf = (call: string): Act | undefined => this.acts.get(call);
    const heard = (name: string, event: keyof TraceEvents, data: object): void => this.traced(name, event, data);
    if (version?.shapes !== undefined) this.isPublished = true;
    const isFormer = (life: Life): boolean => this.former.has(life);
    const known = { isPublished: () => this.isPublished, bankOf: () => this.bank, isFormer, actOf, heard };
    const around = { world, server, hub, history, settings, typeFacts, ended, adapter, ...known };
    const node = new SimNode(around, plan, this.nodes.size + 1, version);
    this.nodes.set(plan.name, node);
    return node;
  }

  /** Starts a process that ended without a request of the run, as a supervisor does. */
  private restartLater(node: SimNode): void {
    this.world.after(RESTART_MS, undefined, () => {
      if (!this.gone.has(node.name)) this.boot(node);
    });
  }

  node(name: string): SimNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  /** Returns the node that runs most handlers; undefined if no node runs any. */
  busiest(): string | undefined {
    let most = 0;
    let busiest: string | undefined;
    for (const { name, node } of this.nodes.values()) {
      const running = node?.status().running ?? 0;
      if (running > most) [most, busiest] = [running, name];
    }
    return busiest;
  }

  /** Starts nodes. Adds those that do not exist yet. */
  start(...names: readonly string[]): void {
    for (const name of names) {
      const node = this.nodes.get(name) ?? this.add({ name, startMs: this.world.nowMs, group: 'default' });
      this.boot(node);
    }
  }

  /**
   * Starts the node if it is down. Does nothing after the store has lost writes: the group stays down until an operator has
   * looked at it.
   */
  private boot(node: SimNode): void {
    if (!node.isUp && !this.storeLost) node.start();
  }

  stop(name: string): void {
    this.node(name).stop();
  }

  crash(name: string): void {
    this.node(name).crash();
  }

  restart(name: string): void {
    this.crash(name);
    this.boot(this.node(name));
  }

  pause(name: string, suspended = false): void {
    const leaseLeftMs = this.node(name).pause(suspended);
    this.fault('pause', 'begin', name, { leaseLeftMs, ...(suspended ? { note: 'suspended' } : {}) });
  }

  private pauseFor(life: Life, ms: number): void {
    const { host } = life;
    this.pause(host);
    this.world.after(ms, undefined, () => {
      if (life.paused && this.node(host).life === life) this.resume(host);
    });
  }

  resume(name: string): void {
    this.node(name).resume();
    this.fault('pause', 'end', name, {});
  }

  /**
   * Plays an operator who empties the store and the user's database, and lets both be used again. The nodes of `former` live on,
   * and wake or reach the store later. Every other process has ended before. A process that starts now is the first member of a
   * new group.
   */
  reopen(former: readonly string[], isRestarted: boolean): void {
    for (const { name, life } of this.nodes.values()) {
      if (life === undefined) continue;
      if (former.includes(name)) this.former.add(life);
      else this.crash(name);
    }
    if (isRestarted) this.server.restartEmpty();
    else this.server.forgetTail(0);
    this.bank = new Bank();
    this.fault('reopened', 'once', 'store', { former });
  }

  /**
   * Records a command that a master sent after its term. A master must act only within its term, which its own clock counts from
   * an earlier moment than the store's clock does.
   */
  private commanded(life: Life, epoch: number): void {
    if (this.former.has(life)) return;
    const { group, incarnation } = this.node(life.host);
    const leader = this.server.state.leaders.get(group);
    if (leader?.epoch === epoch && leader.untilMs > this.server.nowMs()) return;
    this.history.add({ kind: 'epoch', node: life.host, incarnation, group, epoch, what: 'overdue' });
  }

  /**
   * Records a defect if a petition was passed on more than `forwardHopsMax` times, or if a node that passed it on did not count
   * that.
   */
  private petitioned({ host }: Life, { source, hops }: PeerMessage & { kind: 'petition' }): void {
    const { incarnation } = this.node(host);
    const least = source === incarnation ? 0 : 1;
    if (hops >= least && hops <= this.options.settings.forwardHopsMax) return;
    this.history.add({ kind: 'defect', node: host, incarnation, what: `sends a petition that was passed on ${hops} times` });
  }

  // ---- links ---------------------------------------------------------------------------------------------------

  partition(one: readonly string[], other: readonly string[]): void {
    for (const a of one) for (const b of other) this.partitionOneway(a, b).partitionOneway(b, a);
  }

  partitionOneway(from: string, to: string): this {
    this.conditions.cutPairs.add(`${from}>${to}`);
    return this;
  }

  healLinks(): void {
    this.conditions.cutPairs.clear();
  }

  /** Holds all messages from one node to the other until `release`. */
  hold(from: string, to: string): void {
    this.hub.hold(from, to);
  }

  release(from: string, to: string): void {
    this.hub.release(from, to);
  }

  cutStore(...names: readonly string[]): void {
    for (const name of names) this.conditions.cutFromStore.add(name);
  }

  healStore(...names: readonly string[]): void {
    for (const name of names) this.conditions.cutFromStore.delete(name);
  }

  /** Makes each way between that node and the store take `ms` longer. */
  slowStore(name: string, ms: number): void {
    if (ms > 0) this.conditions.slowStore.set(name, ms);
    else this.conditions.slowStore.delete(name);
  }

  /** Makes messages between nodes take up to `ms` longer, and calls to the store up to `storeMs`. */
  delay(ms: number, storeMs = 0): void {
    this.conditions.netDelayMs = ms;
    this.conditions.storeDelayMs = storeMs;
  }

  /** Heals all links, resumes every paused process, and starts every node that may come back. */
  heal(): void {
    this.conditions.clear();
    this.hub.heal();
    for (const node of this.nodes.values()) {
      if (node.life?.paused === true) this.resume(node.name);
      node.setRate(1);
      if (!this.gone.has(node.name)) this.boot(node);
    }
    this.healedMs = this.server.nowMs();
    this.history.add({ kind: 'healed', node: '', incarnation: 0 });
  }

  fault(
    fault: string,
    phase: 'begin' | 'end' | 'once',
    node: string,
    more: Partial<Pick<FaultEvent, 'leaseLeftMs' | 'rate' | 'jumpMs' | 'note' | 'rememberedBy' | 'former'>>,
  ): void {
    const { incarnation = 0 } = this.nodes.get(node) ?? {};
    this.history.add({ kind: 'fault', node, incarnation, fault, phase, ...more });
  }

  // ---- time ----------------------------------------------------------------------------------------------------

  /** Lets `ms` milliseconds pass. */
  run(ms: number): void {
    this.world.run(this.world.nowMs + ms);
  }

  step(): void {
    this.world.step();
  }

  /** Lets time pass until `holds` returns true, at most `withinMs`. Returns whether it did. */
  until(holds: () => boolean, withinMs: number, stepMs = 50): boolean {
    const endMs = this.world.nowMs + withinMs;
    while (!holds()) {
      if (this.world.nowMs >= endMs || this.hasDiffered) return false;
      this.run(stepMs);
    }
    return true;
  }

  // ---- calls ---------------------------------------------------------------------------------------------------

  /** Sends one message as a client of that node. */
  send(name: string, entity: string, job: Partial<Job>, options: CallOptions = {}): Call {
    const full: Job = { c: `s${++this.counter}`, op: 'deposit', amount: 1, ms: 5, how: 'ok', ...job };
    return this.call(name, entity, full, options);
  }

  call(name: string, entity: string, job: Job, options: CallOptions): Call {
    return this.client.call(this.node(name), entity, job, options);
  }

  // ---- the end -------------------------------------------------------------------------------------------------

  /** Number of messages in the log that are not terminal. */
  get depth(): number {
    return this.server.depth;
  }

  /**
   * Lets time pass until every group has had a master, no node is rebuilding, and no node is listed as taking no new work. Waits
   * at most as long as a change of masters may take. A late copy of a report stands until its node sees it in the next membership
   * snapshot.
   */
  waitForGroups(): void {
    const { leaderTTLMs, leaderDebounceMs, leaderRenewalMs, nodeTTLMs } = this.options.settings;
    const areWell = (): boolean => {
      const nowMs = this.server.nowMs();
      for (const group of ledGroups(this.server.state, nowMs)) this.led.add(group);
      const isRebuilding = [...this.nodes.values()].some(({ node }) => node?.status().role === 'rebuilding');
      if (isRebuilding || unwillingIn(this.server.state) > 0) return false;
      return groupsOf(this.nodes.values()).every((group) => this.led.has(group));
    };
    this.led.clear();
    const { setBackMs = 0 } = this.options;
    this.until(areWell, leaderTTLMs + leaderDebounceMs + 4 * leaderRenewalMs + 2 * nodeTTLMs + setBackMs);
  }

  /** Records what is left at the end, for the checkers of loss and of bounds. */
  finish(): void {
    const { state, lockstep } = this.server;
    lockstep?.compare(state);
    const nodes = [...this.nodes.values()].map((n) => n.atRest());
    const groups = groupsOf(this.nodes.values());
    const live = liveIn(state);
    const balances: Record<string, number> = {};
    for (const [entity, { balance }] of this.bank.accounts) balances[entity] = balance;
    const { depth, active } = state;
    const dueMs = this.server.nowMs() - 2 * this.options.settings.cleanupIntervalMs;
    // Before the heal, there may have been no node to clean up.
    const store = storeAtRest(state, this.healedMs < dueMs ? dueMs : 0, [...this.led]);
    const counts = { depth, active, ready: state.ready.size };
    this.history.add({ kind: 'final', node: '', incarnation: 0, live, ...counts, nodes, store, groups, balances });
  }
}
