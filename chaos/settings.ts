/**
 * The configuration of every node, and the part of it that the checkers need. It uses the library's defaults as far as possible.
 */

import { typeFactsOf } from '../sim/cluster.js';
import type { Settings } from '../sim/plan.js';
import type { RunFacts } from '../sim/run-facts.js';

export const SETTINGS: Settings = {
  heartbeatMs: 400,
  nodeTTLMs: 1500,
  leaseMarginMs: 150,
  takeoverHoldMs: 1500,
  reconcileIntervalMs: 2000,
  leaderTTLMs: 2000,
  leaderRenewalMs: 400,
  leaderDebounceMs: 800,
  forwardHopsMax: 3,
  petitionsMax: 50,
  storeCallTimeoutMs: 1000,
  enqueueTimeoutMs: 5000,
  replyTimeoutMs: 5000,
  // Short, so that idle workers are torn down and created again within a run.
  idleTimeoutMs: 2000,
  handlerTimeoutMs: 0,
  shutdownGraceMs: 5000,
  cleanupIntervalMs: 5000,
  entryTTL: 86_400,
  resultTTL: 60,
  maxAttempts: 3,
  backoffDelayMs: 100,
  onInterrupt: 'retry',
  depthMax: 0,
  depthMaxTotal: 100_000,
  workersMax: 10_000,
  concurrentHandlersMax: 1000,
  onLeaseLost: 'rejoin',
};

/** Time in ms after the heal within which the cluster must have recovered. */
export const RECOVERY_MS_MAX = SETTINGS.nodeTTLMs + SETTINGS.takeoverHoldMs + 5000;

export function factsOf(settings: Settings): RunFacts {
  const { nodeTTLMs: leaseTtlMs, leaseMarginMs, takeoverHoldMs, depthMaxTotal, reconcileIntervalMs } = settings;
  return {
    ...{ leaseTtlMs, leaseMarginMs, takeoverHoldMs, depthMaxTotal, types: typeFactsOf(settings) },
    concurrentHandlersMax: settings.concurrentHandlersMax,
    blockedAfterMs: 30_000 + 2 * reconcileIntervalMs + 1000,
    settleMs: RECOVERY_MS_MAX,
    independentMs: 2 * reconcileIntervalMs + leaseTtlMs + takeoverHoldMs + 1000,
  };
}
