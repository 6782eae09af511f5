import type { Stream } from './sim-random.js';

/** Of what passes, a share is hit. */
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

/** What was hit: the kind, the host that sent it, and the how-manieth of those that passed in such weather. */
export interface Hit {
  readonly name: string;
  readonly atMs: number;
}

/** What is wrong with the world right now: fault windows set it, network and store obey it. */
export class Weather {
  readonly hits: Hit[] = [];
  private readonly passed = new Map<string, number>();
  /** Shares of messages between nodes, and how much longer than usual they take. */
  netLoss = 0;
  netDouble = 0;
  netReorder = 0;
  netDelayMs = 0;
  /** Shares of store calls. */
  requestLost = 0;
  replyLost = 0;
  lateCopy = 0;
  /** Share of batches whose script somebody ends before its first write, so that of two on their way one may be refused. */
  scriptKilled = 0;
  storeReorder = 0;
  /** Added to each way of a store call. */
  storeDelayMs = 0;
  /** Refused by the store: 'oom' batches that make the log grow, 'readonly' every write, 'all' reads too. */
  refusing: 'none' | 'oom' | 'readonly' | 'all' = 'none';
  /** No memory: refuses like 'oom', until a node's own expiry is applied. Neither time nor the heal of a run ends it. */
  full = false;
  storeDown = false;
  /** Shares of applied batches after which, and of leaving ones before which, the caller's process is killed. */
  crashAfterApply = 0;
  crashBeforeApply = 0;
  /** Share of applied batches after which the caller's process is paused. */
  pauseAfterApply = 0;
  /** Hosts whose calls to the store take so many ms longer, each way. */
  readonly slowStore = new Map<string, number>();
  /** Hosts that do not reach the store. */
  readonly cutFromStore = new Set<string>();
  /** Pairs 'from>to' that do not reach each other. */
  readonly cutPairs = new Set<string>();

  /** `pinned`: what is hit, by name, instead of what is drawn. */
  constructor(
    private readonly nowMs: () => number,
    private readonly pinned: ReadonlySet<string> | undefined,
  ) {}

  /** Whether what passes now is hit. */
  hit(kind: Share, host: string, chance: Stream): boolean {
    const share = this[kind];
    if (share <= 0) return false;
    // Drawn also where it is pinned: all that is drawn later stays what it was.
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
