/**
 * A run as data: everything that was drawn before it began. A plan replays without the generator, and is shrunk by leaving parts
 * out. What is drawn during the run (latencies, which message a lossy window loses) comes from streams of the seed. The hits of
 * fault windows are recorded, so that a shrunk plan can name them.
 */
import type { EntityType, Job } from './job.js';

/** Maximum number of nodes, nodes that join late included. */
export const NODES_MAX = 9;
export const PLAN_VERSION = 1;

/** The store of a run: the core alone, or the scripts of the production adapter in lockstep with the core. */
export type StoreKind = 'machine' | 'lua';

export interface Plan {
  readonly version: typeof PLAN_VERSION;
  readonly seed: number;
  /** Default: 'machine'. */
  readonly store?: StoreKind;
  readonly nodes: readonly NodePlan[];
  readonly settings: Settings;
  readonly messages: readonly MessagePlan[];
  readonly faults: readonly FaultPlan[];
  /** All faults have ended by this time. The liveness invariants hold from then on. */
  readonly healAtMs: number;
  /** Names of the nodes that never come back once they are down. */
  readonly gone: readonly string[];
  /** Set if the plan was drawn without faults. The checkers then demand more (L4, L5). */
  readonly isCalm?: true;
  /** Left out: the links to the store carry any size at once. */
  readonly link?: LinkPlan;
  /** Joins the run after the heal. Left out: there is no crowd. */
  readonly crowd?: CrowdPlan;
  /** Names of what the fault windows hit (`Conditions.hit`). Left out: the hits are drawn during the run. */
  readonly hits?: readonly string[];
}

/** The capacity of each process's link to the store. */
export interface LinkPlan {
  /** In each direction. */
  readonly bytesPerMs: number;
  /** Set if no fault was drawn in addition. */
  readonly isAlone?: true;
  /** Time in ms in which the link carries all large texts of the run. Each text counts twice, as a request and as an answer. */
  readonly busyMs: number;
}

/** Entities whose messages no node declares until the relief node starts. */
export interface CrowdPlan {
  readonly entities: number;
  readonly relief: NodePlan;
}

export interface NodePlan {
  readonly name: string;
  readonly startMs: number;
  readonly group: string;
  /** Left out: `name`. Set for a node with a duplicate serverId. */
  readonly serverId?: string;
  /** The messages that the node's version declares. Left out: all. */
  readonly names?: readonly Job['op'][];
  /** The entity types that the node handles. Left out: all. */
  readonly types?: readonly EntityType[];
}

/** The drawn part of the configuration; durations in ms. */
export interface Settings {
  readonly heartbeatMs: number;
  readonly nodeTTLMs: number;
  readonly leaseMarginMs: number;
  readonly takeoverHoldMs: number;
  readonly reconcileIntervalMs: number;
  readonly leaderTTLMs: number;
  readonly leaderRenewalMs: number;
  readonly leaderDebounceMs: number;
  readonly forwardHopsMax: number;
  readonly petitionsMax: number;
  readonly storeCallTimeoutMs: number;
  readonly enqueueTimeoutMs: number;
  readonly replyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly handlerTimeoutMs: number;
  readonly shutdownGraceMs: number;
  readonly cleanupIntervalMs: number;
  /** As in the configuration, in seconds. */
  readonly entryTTL: number;
  readonly resultTTL: number;
  readonly maxAttempts: number;
  readonly backoffDelayMs: number;
  readonly onInterrupt: 'dead-letter' | 'retry';
  readonly depthMax: number;
  readonly depthMaxTotal: number;
  readonly workersMax: number;
  readonly concurrentHandlersMax: number;
  readonly onLeaseLost: 'rejoin' | 'exit';
  /** As in the configuration: `ttl` in seconds. Left out: unbounded. */
  readonly deadLetters?: { readonly max: number; readonly ttl: number };
}

export interface MessagePlan {
  readonly atMs: number;
  /** The client's node. If it is down, the next node that serves. */
  readonly node: string;
  readonly entity: string;
  readonly how: 'enqueue' | 'wait';
  readonly job: Job;
  /** The id that the caller gives. The caller sends the message again to another node while the outcome is unknown. */
  readonly id?: string;
  readonly onTimeout?: 'keep' | 'withdraw';
}

export interface FaultPlan {
  readonly atMs: number;
  /** Duration in ms. 0 for a fault that happens once. */
  readonly forMs: number;
  readonly kind: string;
  readonly node?: string;
  /** Set if the fault hits the node that runs most handlers at that time. `node` is hit only if no node runs any. */
  readonly aims?: boolean;
  readonly others?: readonly string[];
  /** A share, a rate or a jump in ms, depending on the kind. */
  readonly amount?: number;
}

/** Returns the configuration object that a user would give. */
export function configOf(settings: Settings, serverId: string, group: string): Record<string, unknown> {
  const { depthMax } = settings;
  const entity = {
    workerIdleTimeout: settings.idleTimeoutMs,
    workerMaxQueueDepth: depthMax,
    replyTimeout: settings.replyTimeoutMs,
    handlerTimeout: settings.handlerTimeoutMs,
  };
  const retry = { maxAttempts: settings.maxAttempts, backoffDelay: settings.backoffDelayMs };
  return {
    store: 'memory',
    serverId,
    serviceGroup: group,
    entities: {
      plain: entity,
      fenced: entity,
      retried: { ...entity, retry, onInterrupt: settings.onInterrupt },
    },
    maxTotalWorkers: settings.workersMax,
    maxTotalQueueDepth: settings.depthMaxTotal,
    maxConcurrentHandlers: settings.concurrentHandlersMax,
    onLeaseLost: settings.onLeaseLost,
    deadLetters: settings.deadLetters,
    shutdownGraceMs: settings.shutdownGraceMs,
    wal: { cleanupInterval: settings.cleanupIntervalMs, entryTTL: settings.entryTTL, resultTTL: settings.resultTTL },
    enqueueTimeoutMs: settings.enqueueTimeoutMs,
    storeCallTimeoutMs: settings.storeCallTimeoutMs,
    grpc: {
      heartbeatMs: settings.heartbeatMs,
      nodeTTLMs: settings.nodeTTLMs,
      leaseMarginMs: settings.leaseMarginMs,
      takeoverHoldMs: settings.takeoverHoldMs,
      reconcileIntervalMs: settings.reconcileIntervalMs,
      leaderTTLMs: settings.leaderTTLMs,
      leaderRenewalMs: settings.leaderRenewalMs,
      leaderDebounceMs: settings.leaderDebounceMs,
      maxForwardHops: settings.forwardHopsMax,
      maxConcurrentPetitions: settings.petitionsMax,
    },
  };
}
