/**
 * What must hold: ratios within one run, never bare numbers, because machines differ and minutes differ. A floor is judged when
 * the run has both of its sides.
 */
import { SideName } from './plan.js';
import { Metric, Row, Summary } from './summary.js';
import { HEAP_BACK_RATIO_MAX, REDIS_BACK_BYTES_MAX } from './workloads.js';

export interface Floor {
  readonly name: string;
  readonly value: number;
  readonly floor: number;
  /** Whether the value must be at least or at most the floor. */
  readonly must: '>=' | '<=';
  readonly held: boolean;
}

interface RatioFloor {
  readonly row: string;
  readonly metric: Metric;
  readonly against: SideName;
  readonly must: '>=' | '<=';
  readonly everysec: number;
  readonly always: number;
}

const atLeast = (row: string, against: SideName, everysec: number, always: number): RatioFloor => ({
  row,
  metric: 'messagesPerSecond',
  against,
  must: '>=',
  everysec,
  always,
});

const atMost = (row: string, metric: Metric, against: SideName, everysec: number, always: number): RatioFloor => ({
  row,
  metric,
  against,
  must: '<=',
  everysec,
  always,
});

const RATIOS: readonly RatioFloor[] = [
  atLeast('many', 'groupmq', 4, 4.5),
  atLeast('many', 'bullmq', 3.5, 3.5),
  atLeast('many', 'raw', 0.15, 0.17),
  atMost('many', 'cpuMicrosPerMessage', 'groupmq', 1 / 3.5, 1 / 3.5),
  atLeast('hot', 'groupmq', 1.7, 1.2),
  atLeast('hot', 'raw', 0.5, 0.65),
  atMost('reply', 'p50Ms', 'groupmq', 0.8, 0.75),
  atMost('reply', 'p50Ms', 'bullmq', 0.7, 0.6),
  atMost('reply', 'p50Ms', 'raw', 4.2, 3),
  atLeast('reply-100', 'groupmq', 6, 8),
  atLeast('reply-100', 'bullmq', 9, 8),
  atLeast('cluster', 'one-node', 0.5, 0.5),
  atMost('cluster', 'nodeMicrosPerMessage', 'one-node', 2.5, 2.5),
  atMost('cluster-reply', 'p50Ms', 'one-node', 3.2, 2.5),
];

/**
 * Smallest ratio of the memory store's throughput to groupmq's (everysec): 100,000 messages a second on a machine where groupmq
 * does 9,000.
 */
const MEMORY_MANY_MIN = 100_000 / 9_000;
const HEAP_BYTES_MAX = 500;
const REDIS_BYTES_MAX = 200;

function judged(name: string, value: number | undefined, must: '>=' | '<=', floor: number): Floor[] {
  if (value === undefined) return [];
  return [{ name, value, floor, must, held: must === '>=' ? value >= floor : value <= floor }];
}

export function judge(summary: Summary): Floor[] {
  return summary.rows
    .filter((row) => row.side === 'atomic-queues')
    .flatMap((row) => [...ratios(summary, row), ...footprints(row)]);
}

function ratios(summary: Summary, row: Row): Floor[] {
  if (row.store === 'memory') {
    if (row.name !== 'many') return [];
    const value = summary.ratio(row, 'messagesPerSecond', 'groupmq', 'redis', 'everysec');
    return judged('many memory: messagesPerSecond against groupmq everysec', value, '>=', MEMORY_MANY_MIN);
  }
  return RATIOS.filter((ratio) => ratio.row === row.name).flatMap((ratio) => {
    const name = `${row.name} ${row.fsync}: ${ratio.metric} against ${ratio.against}`;
    return judged(
      name,
      summary.ratio(row, ratio.metric, ratio.against),
      ratio.must,
      row.fsync === 'always' ? ratio.always : ratio.everysec,
    );
  });
}

/**
 * Judges the memory of an entity. The memory store is part of the node's heap, so there an entity may use as many bytes as the
 * heap and Redis together.
 */
function footprints(row: Row): Floor[] {
  if (row.name !== 'idle') return [];
  const where = row.store === 'memory' ? 'memory' : row.fsync;
  const heapMax = row.store === 'memory' ? HEAP_BYTES_MAX + REDIS_BYTES_MAX : HEAP_BYTES_MAX;
  const floors = [
    ...judged(`idle ${where}: heap bytes of an owned entity`, row.heapBytesPerEntity, '<=', heapMax),
    ...judged(`idle ${where}: heap after teardown against before`, row.heapBackRatio, '<=', HEAP_BACK_RATIO_MAX),
  ];
  if (row.store === 'memory') return floors;
  return [
    ...floors,
    ...judged(`idle ${where}: Redis bytes of an owned entity`, row.redisBytesPerEntity, '<=', REDIS_BYTES_MAX),
    ...judged(`idle ${where}: Redis bytes left after teardown`, row.redisBackBytes, '<=', REDIS_BACK_BYTES_MAX),
  ];
}
