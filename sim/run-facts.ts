import type { LetterLimits } from '../src/core/log/control-operations.js';

/** The facts of the run's configuration that the checkers need. */
export interface RunFacts {
  readonly leaseTtlMs: number;
  readonly leaseMarginMs: number;
  readonly takeoverHoldMs: number;
  /** In ms. Left out: not known. */
  readonly leaderTtlMs?: number;
  readonly types: Readonly<Record<string, TypeFacts>>;
  readonly depthMaxTotal: number;
  /** `deadLetters` of the configuration; left out: unbounded. */
  readonly deadLetters?: LetterLimits;
  readonly concurrentHandlersMax: number;
  /** Entities with live messages that one node allows. Left out: not known. */
  readonly workersMax?: number;
  /** A handler that runs longer than this, in ms, is reported as blocking its entity. */
  readonly blockedAfterMs: number;
  /** Once the last fault has healed, every accepted message is terminal within this time, in ms. */
  readonly settleMs: number;
  /** A message to an idle entity of a healed cluster is done within this time, in ms, whatever other entities do. */
  readonly independentMs: number;
  /**
   * Set if no fault is injected. From this many ms after the last join, no work waits for a sweep and no call is refused without
   * need.
   */
  readonly calmAfterJoinMs?: number;
  /** The times in ms in which a fault may have an effect, in order. Left out: any time. */
  readonly disturbedMs?: readonly (readonly [fromMs: number, toMs: number])[];
  /** Set if the links to the store are thin and no fault is injected. No node may lose its lease then. */
  readonly keepsLeases?: true;
}

export interface TypeFacts {
  readonly maxAttempts: number;
  readonly onInterrupt: 'dead-letter' | 'retry';
  readonly depthMax: number;
  /** Set if effects carry the fence. The resource then refuses a lower fence. */
  readonly fenced: boolean;
  /** Shortest wait before the second attempt, in ms. Each further attempt doubles the wait. Left out: not known. */
  readonly backoffMs?: number;
}
