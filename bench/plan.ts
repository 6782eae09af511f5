/** Defines what is measured: workloads, sides, sizes. One `Job` is one measurement, in a process of its own. */
import { startBullMq } from './sides/bullmq.js';
import { startCluster } from './sides/cluster.js';
import { startGroupMq } from './sides/groupmq.js';
import { startLibrary } from './sides/library.js';
import { startRaw } from './sides/raw.js';
import { StartSide } from './sides/side.js';
import { Counts } from './witness.js';

export const WORKLOADS = ['many', 'hot', 'reply', 'idle', 'cluster'] as const;
export type Workload = (typeof WORKLOADS)[number];
export type Store = 'memory' | 'redis';
export type Fsync = 'everysec' | 'always';
export type SideName = 'atomic-queues' | 'groupmq' | 'bullmq' | 'raw' | 'one-node';

const SIDES: Record<SideName, StartSide> = {
  'atomic-queues': startLibrary,
  groupmq: startGroupMq,
  bullmq: startBullMq,
  raw: startRaw,
  'one-node': startLibrary,
};

export const sideOf = ({ side, workload }: Job): StartSide =>
  workload === 'cluster' && side === 'atomic-queues' ? startCluster : SIDES[side];

export interface Job {
  readonly side: SideName;
  readonly workload: Workload;
  /** undefined: the memory store. */
  readonly redisPort: number | undefined;
  readonly entities: number;
  readonly messages: number;
  readonly sequentialCalls: number;
  readonly concurrentCalls: number;
  /** For workload `idle`: whether it measures memory while the entities are owned, or after their idle teardown. */
  readonly phase: 'owned' | 'gone' | undefined;
}

export interface Latency {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly nodeMicros: number;
  readonly redisMicros: number;
}

export interface Throughput {
  readonly perSecond: number;
  readonly enqueuedPerSecond: number;
  readonly nodeMicros: number;
  readonly redisMicros: number;
}

/** Bytes of one owned idle entity, without those of an empty node. */
export interface Owned {
  readonly heapBytes: number;
  readonly redisBytes: number;
}

/**
 * Memory after idle teardown: the ratio of the heap to the heap before the measured entities, and the bytes that Redis has beyond
 * that moment.
 */
export interface Gone {
  readonly heapBackRatio: number;
  readonly redisBackBytes: number;
}

/** The result of one measurement. Its workload determines which parts it has. */
export interface Outcome {
  readonly counts: Counts;
  readonly throughput?: Throughput;
  readonly one?: Latency;
  readonly hundred?: Latency;
  readonly owned?: Owned;
  readonly gone?: Gone;
}

export type ChildAnswer = { readonly outcome: Outcome } | { readonly error: string };

const IDLE_ENTITIES = 100_000;

/**
 * Returns the measurements of one side. All sides get the same number of messages and entities, because some sides are faster
 * when several messages of an entity wait.
 */
export function jobsOf(side: SideName, workload: Workload, redisPort: number | undefined, scale: number): Job[] {
  const scaled = (count: number): number => Math.max(1, Math.round(count * scale));
  const entities = workload === 'hot' ? 1 : scaled(workload === 'idle' ? IDLE_ENTITIES : 10_000);
  const messages = scaled({ many: 100_000, hot: 20_000, reply: 0, idle: IDLE_ENTITIES, cluster: 100_000 }[workload]);
  const calls = { sequentialCalls: scaled(2000), concurrentCalls: scaled(20_000) };
  const phases = workload === 'idle' ? (['owned', 'gone'] as const) : [undefined];
  return phases.map((phase) => ({ side, workload, redisPort, entities, messages, ...calls, phase }));
}

export interface Series {
  readonly store: Store;
  /** undefined: the memory store. */
  readonly fsync: Fsync | undefined;
  readonly workload: Workload;
  readonly side: SideName;
}

/**
 * Returns the series of a round in their order. Series that are compared are next to each other, so that they are measured at
 * nearly the same time.
 */
export function seriesOf(workloads: readonly Workload[], store: Store, fsync: Fsync | undefined, peers: boolean): Series[] {
  const list: Series[] = [];
  for (const workload of workloads) {
    if (workload === 'cluster') {
      // Several processes need Redis. For comparison one process does the same work.
      if (store === 'redis')
        for (const side of ['one-node', 'atomic-queues'] as const) list.push({ store, fsync, workload, side });
      continue;
    }
    const sides: SideName[] = ['atomic-queues'];
    if (store === 'redis' && peers && workload !== 'idle') sides.push('groupmq', 'bullmq');
    if (store === 'redis' && workload !== 'idle') sides.push('raw');
    for (const side of sides) list.push({ store, fsync, workload, side });
  }
  return list;
}
