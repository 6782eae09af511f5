/** Formats lines and tables for people (standard error), and one JSON object for programs (standard output). */
import os from 'node:os';
import { Floor } from './floors.js';
import { SideName } from './plan.js';
import { Run } from './runner.js';
import { peerVersion, root, versionOf } from './sides/peers.js';
import { Metric, Row, Summary } from './summary.js';

const OTHERS: readonly SideName[] = ['groupmq', 'bullmq', 'raw', 'one-node'];

const shown = (value: number | undefined, digits = 0): string =>
  value === undefined ? '-' : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const label = ({ store, fsync, workload, side }: Run['series']): string => `${workload} ${side} ${fsync ?? store}`;

export function runLine({ series, round, outcome, error }: Run): string {
  const parts = [`${round + 1}`, label(series).padEnd(32)];
  if (!outcome) return [...parts, `FAILED: ${error}`].join(' ');
  const { throughput, one, hundred, owned, gone, counts } = outcome;
  if (throughput) {
    const { perSecond, nodeMicros, redisMicros } = throughput;
    parts.push(`${shown(perSecond)}/s, Node ${shown(nodeMicros, 1)} us, Redis ${shown(redisMicros, 1)} us a message`);
  }
  if (one) parts.push(`1 caller p50 ${shown(one.p50Ms, 3)} p99 ${shown(one.p99Ms, 3)} ms`);
  if (hundred)
    parts.push(`100 callers ${shown(hundred.perSecond)}/s p50 ${shown(hundred.p50Ms, 2)} p99 ${shown(hundred.p99Ms, 2)} ms`);
  if (owned) parts.push(`owned: heap ${shown(owned.heapBytes)} B, Redis ${shown(owned.redisBytes)} B an entity`);
  if (gone) parts.push(`gone: heap ${shown(gone.heapBackRatio, 3)} of before, Redis ${shown(gone.redisBackBytes)} B more`);
  const { disorder, repeats, overlap } = counts;
  if (disorder + repeats + overlap > 0) parts.push(`(${disorder} out of order, ${repeats} repeated, ${overlap} overlapping)`);
  return parts.join(' ');
}

export function table(rows: readonly Row[]): string[] {
  const head = [
    'workload',
    'side',
    'store',
    'messages/s',
    'Node us',
    'Redis us',
    'p50 ms',
    'p99 ms',
    'heap B',
    'Redis B',
    'heap back',
    'Redis back',
  ];
  const lines = rows.map((row) => [
    row.name,
    row.side,
    row.fsync ?? row.store,
    shown(row.messagesPerSecond),
    shown(row.nodeMicrosPerMessage, 1),
    shown(row.redisMicrosPerMessage, 1),
    shown(row.p50Ms, 3),
    shown(row.p99Ms, 3),
    shown(row.heapBytesPerEntity),
    shown(row.redisBytesPerEntity),
    shown(row.heapBackRatio, 3),
    shown(row.redisBackBytes),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ');
  return [line(head), ...lines.map(line)];
}

export const floorLine = ({ name, value, floor, must, held }: Floor): string =>
  `${held ? 'held  ' : 'FAILED'} ${name}: ${shown(value, 2)} (must be ${must} ${shown(floor, 2)})`;

const rounded = (value: number): number => Number(value.toPrecision(4));

function ratiosTo(summary: Summary, row: Row, metric: Metric): Partial<Record<SideName, number>> {
  const ratios: Partial<Record<SideName, number>> = {};
  for (const side of OTHERS) {
    const ratio = summary.ratio(row, metric, side);
    if (ratio !== undefined) ratios[side] = rounded(ratio);
  }
  return ratios;
}

/** The metrics that every row has. Null: the workload does not measure it. */
const ALWAYS = { messagesPerSecond: null, cpuMicrosPerMessage: null, p50Ms: null, p99Ms: null };

function jsonRow(row: Row): Record<string, unknown> {
  const given = Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, typeof value === 'number' ? rounded(value) : value]),
  );
  return { ...ALWAYS, ...given };
}

export function machine(): Record<string, unknown> {
  const cores = os.cpus();
  return {
    cpu: cores[0]?.model ?? 'unknown',
    cores: cores.length,
    memoryBytes: os.totalmem(),
    kernel: os.release(),
    platform: os.platform(),
  };
}

export function versions(redis: string | undefined, peers: boolean): Record<string, string> {
  const found: Record<string, string | undefined> = {
    node: process.version,
    redis,
    ioredis: versionOf(root, 'ioredis'),
    '@nestjs/core': versionOf(root, '@nestjs/core'),
    groupmq: peers ? peerVersion('groupmq') : undefined,
    bullmq: peers ? peerVersion('bullmq') : undefined,
  };
  return Object.fromEntries(Object.entries(found).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/**
 * Returns the rows for the JSON object. `ratioTo` compares messages/s, `p50RatioTo` the p50, `cpuRatioTo` the CPU per message;
 * each is the library's value over that of the other side.
 */
export function workloadsJson(summary: Summary): { workloads: unknown[]; peers: unknown[] } {
  const ours = summary.rows.filter((row) => row.side === 'atomic-queues');
  return {
    workloads: ours.map((row) => ({
      ...jsonRow(row),
      ratioTo: ratiosTo(summary, row, 'messagesPerSecond'),
      p50RatioTo: ratiosTo(summary, row, 'p50Ms'),
      cpuRatioTo: ratiosTo(summary, row, 'cpuMicrosPerMessage'),
    })),
    peers: summary.rows.filter((row) => row.side !== 'atomic-queues').map(jsonRow),
  };
}
