/**
 * A run as data: everything that was drawn before it began. It replays without the generator, and shrinks by leaving parts
 * out. What is drawn during the run (latencies, which message a lossy window loses) comes from streams of the seed; what is hit
 * is recorded, so that a shrunk plan can name it.
 */
import type { EntityType, Job } from './job.js';

/** So many nodes at the most, late ones included. */
export const NODES_MAX = 9;
export const PLAN_VERSION = 1;

/** What the store of a run is: the core alone, or the scripts of the production adapter beside it. */
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
  /** All faults have ended by then; liveness is owed from there. */
  readonly healAtMs: number;
  /** Nodes that, once down, never come back. */
  readonly gone: readonly string[];
  /** It was drawn without faults, so that the checkers may demand more (L4, L5). */
  readonly isCalm?: true;
  /** Left out: the links to the store carry any size at once. */
  readonly link?: LinkPlan;
  /** Comes after the heal. Left out: there is none. */
  readonly crowd?: CrowdPlan;
  /** What windows of bad weather hit, by name (`Weather.hit`). Without it that is drawn in the run. */
  readonly hits?: readonly string[];
}

/** What the link of each process to the store carries. */
export interface LinkPlan {
  /** In each direction. */
  readonly bytesPerMs: number;
  /** Nothing else is wrong: no fault was drawn beside it. */
  readonly isAlone?: true;
  /** Time in which it carries all large texts of the run: each twice, as a request and as an answer. */
  readonly busyMs: number;
}

/** Entities whose messages no node declares, until the relief comes. */
export interface CrowdPlan {
  readonly entities: number;
  readonly relief: NodePlan;
}

export interface NodePlan {
  readonly name: string;
  readonly startMs: number;
  readonly group: string;
  /** Its name, unless it is the twin of another. */
  readonly serverId?: string;
  /** The messages that its version declares; default: all. */
  readonly names?: readonly Job['op'][];
  /** The entity types that it handles; all, if left out. */
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
  /** The client's node; if it is down, the next living one. */
  readonly node: string;
  readonly entity: string;
  readonly how: 'enqueue' | 'wait';
  readonly job: Job;
  /** The caller's own id; it sends again, elsewhere, while the outcome is unknown. */
  readonly id?: string;
  readonly onTimeout?: 'keep' | 'withdraw';
}

export interface FaultPlan {
  readonly atMs: number;
  /** 0 for what happens once. */
  readonly forMs: number;
  readonly kind: string;
  readonly node?: string;
  /** It strikes the node that runs most handlers then, `node` only if none runs any. */
  readonly aims?: boolean;
  readonly others?: readonly string[];
  /** What the kind makes of it: a share, a rate, a jump in ms. */
  readonly amount?: number;
}

/** The configuration object that a user would give. */
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
