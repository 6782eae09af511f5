/** Runs one plan: the cluster grows, faults begin and end, everything heals, and from then on liveness must hold. */

import type { EntityRecord } from '../src/core/log/state.js';
import { retryDelayMs } from '../src/core/retry.js';
import { watchRejections } from './ambient.js';
import { membersIn } from './at-rest.js';
import { check, type Verdict } from './checkers/check.js';
import { Cluster } from './cluster.js';
import type { Hit } from './conditions.js';
import { disperse, gather, relieve } from './crowd.js';
import { FAULTS, faultOf } from './faults/faults.js';
import type { HistoryEvent } from './history.js';
import { type Job, neverEnds, type Target, typeOf } from './job.js';
import type { Scripts } from './lua/lockstep.js';
import type { Machine } from './machine.js';
import { disturbedBy } from './nearby.js';
import type { FaultPlan, MessagePlan, Plan } from './plan.js';
import { adapterOf } from './store-adapter.js';
import { World } from './world.js';

export interface RunResult {
  readonly plan: Plan;
  readonly history: readonly HistoryEvent[];
  readonly verdict: Verdict;
  /** Number of hits per kind of fault. */
  readonly faults: Readonly<Record<string, number>>;
  readonly events: number;
  readonly simMs: number;
  readonly messages: number;
  readonly hash: string;
  /** The calls and messages that fault windows hit. */
  readonly hits: readonly Hit[];
}

export interface RunOptions {
  readonly drain: () => void;
  readonly machine?: Machine;
  /** Scripts for the store 'lua' that replace the shipped ones. */
  readonly scripts?: Scripts;
}

const POLL_MS = 250;
/** An operator looks at the log at these shares of the time until the heal, and once at the end. */
const LOOKS = [0.4, 0.8];
const PROBES_MAX = 10;
/** The bounds allow for a store clock that is set back by up to this many ms in all. */
const SET_BACK_MS = 3000;
/** Time in ms between the end of the work and the check of what is left, beyond the idle time of workers. */
const REST_MS = 1500;

/** Returns how far the clock of the store is set back in all, in ms; 0 if the usual bounds allow for it. */
const setBackMs = ({ faults }: Plan): number => {
  const allMs = faults.reduce((sum, { kind, amount = 0 }) => sum + (kind === 'storeJumpBack' ? -amount : 0), 0);
  return allMs > SET_BACK_MS ? allMs : 0;
};

/** Runs the plan. A plan with the store 'lua' needs `loadStore` first. */
export function runPlan(plan: Plan, { drain, machine, scripts }: RunOptions): RunResult {
  const world = new World(plan.seed, drain);
  const keepsLog = plan.faults.some((f) => f.kind === 'storeTail' || f.kind === 'storeBeforeJoin');
  const workMs = longestWorkMs(plan);
  const cluster = new Cluster({
    world,
    settings: plan.settings,
    keepsLog,
    workMs,
    hits: plan.hits,
    adapter: adapterOf(plan.store),
    scripts,
    isCalm: plan.isCalm === true,
    setBackMs: setBackMs(plan),
    link: plan.link,
    // A thin link is a condition of the whole run.
    disturbedMs: plan.link === undefined ? disturbedBy(plan) : undefined,
    ...(machine === undefined ? {} : { machine }),
  });
  for (const name of plan.gone) cluster.gone.add(name);
  const run = new PlanRun(cluster, plan);
  const thrown = thrownBy(() =>
    watched(cluster, () => {
      run.schedule();
      run.play();
    }),
  );
  const { events } = cluster.history;
  for (const event of events) world.mixText(JSON.stringify(event));
  return {
    plan,
    history: events,
    verdict: thrown === undefined ? check(events) : cutShort(thrown, events.length - 1),
    faults: { ...run.faults, ...hitsOf(cluster) },
    events: world.events,
    simMs: world.nowMs,
    messages: events.reduce((n, e) => n + (e.kind === 'append' ? 1 : 0), 0),
    hash: (world.hash >>> 0).toString(16).padStart(8, '0'),
    hits: cluster.conditions.hits,
  };
}

/** Returns a description of what `body` threw; undefined if it returned. */
function thrownBy(body: () => void): string | undefined {
  try {
    body();
    return undefined;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}

/**
 * The verdict on a run that an exception ended. Its history is not the history of a cluster that healed, so it is not checked.
 */
const cutShort = (thrown: string, index: number): Verdict => ({
  violations: [{ invariant: 'defect', what: `the run was ended by an exception: ${thrown}`, index }],
  excused: {},
  unknown: 0,
  rescued: 0,
});

/** Runs `body`, and records every rejection that stays unhandled meanwhile. */
export function watched(cluster: Cluster, body: () => void): void {
  const unwatch = watchRejections((reason) => {
    const what = `unhandled rejection: ${reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason)}`;
    cluster.history.add({ kind: 'defect', node: cluster.world.current?.host ?? '', incarnation: 0, what });
  });
  try {
    body();
  } finally {
    unwatch();
  }
}

/**
 * Returns an upper bound of the work of the plan, in ms: the handler time of the busiest entity, with all attempts and the waits
 * between them, plus the handler time of all entities when one node owns them and has `concurrentHandlersMax` slots.
 */
function longestWorkMs({ messages, settings }: Plan): number {
  const byEntity = new Map<string, number>();
  const { maxAttempts, backoffDelayMs } = settings;
  const retry = { maxAttempts, backoffDelayMs, backoff: 'exponential', maxDelayMs: 30_000 } as const;
  let backoffMs = 0;
  for (let attempt = 1; attempt < maxAttempts; attempt++) backoffMs += retryDelayMs(retry, attempt);
  const add = ({ entity, job }: Target): void => {
    const onceMs = job.ms + (job.lagMs ?? 0);
    // A throw, handlerTimeout or a lost lease may end each attempt early, and the waits come on top.
    const longestMs = typeOf(entity) === 'retried' ? onceMs * maxAttempts + backoffMs : onceMs;
    byEntity.set(entity, (byEntity.get(entity) ?? 0) + longestMs);
    for (const sent of job.sends ?? []) add(sent);
    if (job.ask !== undefined) add(job.ask);
  };
  for (const message of messages) add(message);
  const all = [...byEntity.values()];
  return Math.max(0, ...all) + all.reduce((sum, ms) => sum + ms, 0) / settings.concurrentHandlersMax;
}

/** Returns the longest work of one handler, in ms. A handler that ignores its signal may outlive its message by that time. */
function longestHandlerMs({ messages }: Plan): number {
  const longestOf = ({ ms, lagMs = 0, sends = [], ask }: Job): number =>
    Math.max(ms + lagMs, ...[...sends, ...(ask === undefined ? [] : [ask])].map(({ job }) => longestOf(job)));
  return Math.max(0, ...messages.map(({ job }) => longestOf(job)));
}

/** Returns the longest delay of a message between nodes that a window of slow links adds, in ms. */
const longestDelayMs = ({ faults }: Plan): number =>
  Math.max(0, ...faults.map(({ kind, amount = 0 }) => (kind === 'netDelayMsWindow' ? amount : 0)));

const hitsOf = ({ server, hub }: Cluster): Record<string, number> => ({ ...server.hits, ...hub.hits });

class PlanRun {
  readonly faults: Record<string, number> = {};
  private readonly ends = new Set<() => void>();
  /** Set if some handlers never end. */
  private readonly isEndless: boolean;

  constructor(
    private readonly cluster: Cluster,
    private readonly plan: Plan,
  ) {
    for (const { kind } of FAULTS) this.faults[kind] = 0;
    this.isEndless = plan.messages.some(({ job }) => neverEnds(job));
  }

  schedule(): void {
    const { cluster, plan } = this;
    for (const node of plan.nodes) {
      cluster.add(node);
      cluster.world.after(node.startMs, undefined, () => cluster.start(node.name));
    }
    for (const message of plan.messages) cluster.world.after(message.atMs, undefined, () => this.send(message, 0));
    for (const fault of plan.faults) cluster.world.after(fault.atMs, undefined, () => this.begin(fault));
    for (const share of LOOKS) this.lookAfter(plan.healAtMs * share);
  }

  /** Schedules a look of the operator. The look is one event, so nothing else happens during it. */
  private lookAfter(ms: number): void {
    const { world, operator } = this.cluster;
    world.after(ms, undefined, () => operator.look());
  }

  private begin(planned: FaultPlan): void {
    const { cluster } = this;
    const target = planned.aims === true ? cluster.busiest() : undefined;
    const fault = target === undefined ? planned : { ...planned, node: target };
    const ending = faultOf(fault.kind).begin(cluster, fault);
    if (ending === undefined) return;
    this.faults[fault.kind] = (this.faults[fault.kind] ?? 0) + 1;
    if (fault.forMs === 0) return;
    const end = (): void => {
      if (this.ends.delete(end)) ending();
    };
    this.ends.add(end);
    cluster.world.after(fault.forMs, undefined, end);
  }

  /**
   * Sends the message to the client's node, or to the next node that serves. Sends it again to another node while the outcome of
   * an id that the caller gave is unknown.
   */
  private send(message: MessagePlan, tries: number): void {
    const { cluster } = this;
    const names = [...cluster.nodes.keys()];
    const first = Math.max(0, names.indexOf(message.node)) + tries;
    for (let i = 0; i < names.length; i++) {
      const name = names[(first + i) % names.length] as string;
      if (!cluster.node(name).isServing) continue;
      const { how, id, onTimeout, job } = message;
      const call = cluster.call(name, message.entity, job, { how, id, onTimeout });
      const again = (): void => {
        if (call.outcome === 'unknown' && id !== undefined && tries < 3)
          cluster.world.after(200, undefined, () => this.send(message, tries + 1));
      };
      if (call.outcome !== 'open') again();
      else call.settled = again;
      return;
    }
  }

  play(): void {
    const { cluster, plan } = this;
    cluster.run(plan.healAtMs);
    for (const end of [...this.ends]) end();
    cluster.heal();
    const healedMs = cluster.world.nowMs;
    const { settleMs, independentMs } = cluster.facts;
    const backMs = setBackMs(plan);
    const { replyTimeoutMs, storeCallTimeoutMs, idleTimeoutMs, heartbeatMs, resultTTL, reconcileIntervalMs } = plan.settings;
    // A call that left before the heal has its reply by then, or is past its deadline. A heartbeat that a fault swallowed may
    // still cost a lease.
    cluster.run(Math.max(POLL_MS * 2, storeCallTimeoutMs + heartbeatMs));
    // Nodes look for a missing key in the background, and report it once two looks have missed it.
    if (cluster.server.lockstep?.isApart === true) cluster.run(4 * (reconcileIntervalMs + plan.settings.nodeTTLMs));
    const isDone = (): boolean => this.isHeldUp() || (cluster.depth === 0 && this.hasCrossed());
    cluster.until(() => isDone() && this.isWell() && !cluster.conditions.full, settleMs, POLL_MS);
    // A reply queues behind messages that were delayed before the heal. A result that is kept for less than two sweeps may be
    // gone before a sweep reads it.
    const isKept = resultTTL * 1000 > 2 * reconcileIntervalMs;
    if (!isKept) cluster.run(Math.max(0, healedMs + longestDelayMs(plan) - cluster.world.nowMs));
    // Until then an entity may be placed on a process that has ended.
    if (backMs > 0) cluster.until(() => this.hasOnlyLivingMembers(), backMs, POLL_MS);
    const waiting = plan.crowd === undefined ? 0 : gather(cluster, plan.crowd, plan.settings);
    this.probe();
    cluster.run(POLL_MS);
    cluster.until(() => cluster.depth <= waiting || this.isHeldUp(), 2 * independentMs, POLL_MS);
    if (plan.crowd !== undefined) {
      relieve(cluster, plan.crowd);
      cluster.until(() => cluster.depth === 0, settleMs, POLL_MS);
      disperse(cluster, plan.settings);
    }
    cluster.until(() => this.nobodyWaits(), replyTimeoutMs + storeCallTimeoutMs + independentMs, POLL_MS);
    this.lookAfter(0);
    cluster.until(() => this.runsNothing(), longestHandlerMs(plan), POLL_MS);
    // The next sweep reports the end of a handler that outlived its message.
    cluster.run(Math.max(idleTimeoutMs + REST_MS, 2 * reconcileIntervalMs));
    // A late hint may still make an owner look at an entity that has no messages.
    cluster.run(Math.max(0, healedMs + longestDelayMs(plan) - cluster.world.nowMs));
    // The entity of a message that was withdrawn during its backoff is released when the backoff ends by the store's clock.
    const isAtRest = (): boolean => this.ownsNothing() && (backMs === 0 || this.hasOnlyLivingMembers());
    cluster.until(isAtRest, idleTimeoutMs + REST_MS + backMs, POLL_MS);
    cluster.waitForGroups();
    cluster.finish();
  }

  /**
   * Returns whether all remaining messages wait behind handlers that never end and that their nodes have reported, or for slots
   * that such handlers hold. More time would change nothing.
   */
  private isHeldUp(): boolean {
    if (!this.isEndless) return false;
    const { nodes, server } = this.cluster;
    const reported = new Set<string>();
    for (const { node } of nodes.values()) for (const { id } of node?.status().blocked ?? []) reported.add(id);
    const left = [...server.state.entities.values()].filter(
      ({ running, pending }) => running !== undefined || pending.length > 0,
    );
    const isEndless = ({ running }: EntityRecord): boolean =>
      running !== undefined && reported.has(running.id) && (JSON.parse(running.payload) as Job).how === 'dead';
    const slots = this.plan.settings.concurrentHandlersMax;
    const isOutOfSlots = ({ owner, running }: EntityRecord): boolean =>
      running === undefined && slots > 0 && left.filter((rec) => rec.owner === owner && isEndless(rec)).length >= slots;
    return left.every((rec) => isEndless(rec) || isOutOfSlots(rec));
  }

  private runsNothing(): boolean {
    for (const { node } of this.cluster.nodes.values()) if ((node?.status().running ?? 0) > 0) return false;
    return true;
  }

  private ownsNothing(): boolean {
    for (const { node } of this.cluster.nodes.values()) if ((node?.status().owned ?? 0) > 0) return false;
    return true;
  }

  /**
   * Returns false while an ended process is still a member, which it is until its last heartbeat is a TTL old by the store's
   * clock.
   */
  private hasOnlyLivingMembers(): boolean {
    const { nodes, server } = this.cluster;
    const running = [...nodes.values()].filter(({ node }) => node?.status().state === 'running').length;
    return membersIn(server.state) <= running;
  }

  /** Returns whether no caller waits. A lost reply is read back from the log later, at the caller's deadline at the latest. */
  private nobodyWaits(): boolean {
    for (const { node } of this.cluster.nodes.values()) if ((node?.status().waiting ?? 0) > 0) return false;
    return true;
  }

  /** Returns whether every node that may be up is up and running, and is neither degraded nor suspended. */
  private isWell(): boolean {
    const { nodes, gone, storeLost } = this.cluster;
    for (const node of nodes.values()) {
      if (!node.isUp && (gone.has(node.name) || storeLost)) continue;
      const status = node.node?.status();
      if (status?.state !== 'running' || status.degraded !== undefined || status.suspended) return false;
    }
    return true;
  }

  /** With thin links, returns whether no work waits for them and no copies of it hold up what comes next. */
  private hasCrossed(): boolean {
    const { cluster, plan } = this;
    if (plan.link === undefined) return true;
    for (const { node } of cluster.nodes.values()) if (node?.isBusy === true) return false;
    return cluster.world.nowMs > cluster.server.linksBusyUntilMs;
  }

  /** Sends new work to every node. Each must accept it and finish it, whatever other messages still do. */
  private probe(): void {
    let i = 0;
    for (const node of this.cluster.nodes.values())
      if (node.isServing && node.node?.status().state === 'running') this.probeNode(node.name, ++i, 1);
  }

  /** Probes one node. Retries, since a node may report an outage for a moment after it ended. */
  private probeNode(name: string, i: number, tries: number): void {
    const { cluster } = this;
    if (!cluster.node(name).isServing) return;
    const job = { c: `p${i}-${tries}`, op: 'deposit', amount: 1, ms: 5, how: 'ok' } as const;
    const { independentMs: timeoutMs } = cluster.facts;
    const call = cluster.call(name, `plain:probe-${i}`, job, { how: 'wait', probe: true, timeoutMs });
    call.settled = () => {
      if ((call.code === 'STORE_UNAVAILABLE' || call.code === 'OUTCOME_UNKNOWN') && tries < PROBES_MAX)
        cluster.world.after(300, undefined, () => this.probeNode(name, i, tries + 1));
    };
  }
}
