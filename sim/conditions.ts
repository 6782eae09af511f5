import type { Stream } from './sim-random.js';

/** Faults that hit a share of the messages or calls. */
export type Share =
  | 'netLoss'
  | 'netDouble'
  | 'netReorder'
  | 'requestLost'
  | 'replyLost'
  | 'lateCopy'
  | 'scriptKilled'
  | 'storeReorder'
  | 'crashAfterApply'
  | 'crashBeforeApply'
  | 'pauseAfterApply';

/**
 * A hit of a fault. `name` holds the kind, the host of the sender, and the ordinal among the messages or calls made during such a
 * fault window.
 */
export interface Hit {
  readonly name: string;
  readonly atMs: number;
}

/** The fault conditions of the world now. Fault windows set them. The network and the store obey them. */
export class Conditions {
  readonly hits: Hit[] = [];
  private readonly passed = new Map<string, number>();
  /** Shares of messages between nodes that are hit, and the longest added delay in ms. */
  netLoss = 0;
  netDouble = 0;
  netReorder = 0;
  netDelayMs = 0;
  /** Shares of store calls that are hit. */
  requestLost = 0;
  replyLost = 0;
  lateCopy = 0;
  /** Share of batches whose script is killed before its first write, so that one of two batches in flight may be refused. */
  scriptKilled = 0;
  storeReorder = 0;
  /** Longest delay in ms that is added to each way of a store call. */
  storeDelayMs = 0;
  /** What the store refuses: 'oom' batches that make the log grow, 'readonly' every write, 'all' reads too. */
  refusing: 'none' | 'oom' | 'readonly' | 'all' = 'none';
  /**
   * The store has no memory: it refuses like 'oom' until a node's own expiry is applied. Neither time nor the heal of a run ends
   * it.
   */
  full = false;
  storeDown = false;
  /**
   * `crashAfterApply`: share of applied batches after which the caller's process is killed. `crashBeforeApply`: share of batches
   * that are lost because the process is killed before the store applies them.
   */
  crashAfterApply = 0;
  crashBeforeApply = 0;
  /** Share of applied batches after which the caller's process is paused. */
  pauseAfterApply = 0;
  /** Delay in ms that is added to each way of a store call, by host. */
  readonly slowStore = new Map<string, number>();
  /** Hosts that do not reach the store. */
  readonly cutFromStore = new Set<string>();
  /** Pairs 'from>to' between which no message arrives. */
  readonly cutPairs = new Set<string>();

  /** `pinned`: names of what is hit. Undefined: hits are drawn. */
  constructor(
    private readonly nowMs: () => number,
    private readonly pinned: ReadonlySet<string> | undefined,
  ) {}

  /** Returns whether the fault hits this message or call. */
  hit(kind: Share, host: string, chance: Stream): boolean {
    const share = this[kind];
    if (share <= 0) return false;
    // Drawn also for pinned hits, so that later draws of the stream stay the same.
    const drawn = chance.chance(share);
    const which = `${kind} ${host}`;
    const number = (this.passed.get(which) ?? 0) + 1;
    this.passed.set(which, number);
    if (this.pinned === undefined && !drawn) return false;
    const name = `${which} ${number}`;
    if (this.pinned?.has(name) === false) return false;
    this.hits.push({ name, atMs: this.nowMs() });
    return true;
  }

  reaches(from: string, to: string): boolean {
    return this.cutPairs.size === 0 || !this.cutPairs.has(`${from}>${to}`);
  }

  reachesStore(host: string): boolean {
    return !this.storeDown && !this.cutFromStore.has(host);
  }

  clear(): void {
    this.netLoss = this.netDouble = this.netReorder = this.netDelayMs = 0;
    this.requestLost = this.replyLost = this.lateCopy = this.scriptKilled = this.storeReorder = this.storeDelayMs = 0;
    this.refusing = 'none';
    this.storeDown = false;
    this.crashAfterApply = this.crashBeforeApply = this.pauseAfterApply = 0;
    this.slowStore.clear();
    this.cutFromStore.clear();
    this.cutPairs.clear();
  }
}
