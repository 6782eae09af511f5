/**
 * Computes medians over the rounds, and ratios between sides within a round, because the machine's noise affects all sides of a
 * round alike.
 */
import { median } from './meter.js';
import { Outcome, SideName, Store, Workload } from './plan.js';
import { Run } from './runner.js';

export interface Row {
  /**
   * Name of a workload. `reply` has one caller, `reply-100` a hundred, `cluster-reply` one caller of entities that another node
   * owns.
   */
  readonly name: string;
  readonly side: SideName;
  readonly store: Store;
  readonly fsync: string | null;
  readonly rounds: number;
  readonly messagesPerSecond?: number;
  /** CPU of Node and Redis together, in microseconds. */
  readonly cpuMicrosPerMessage?: number;
  readonly nodeMicrosPerMessage?: number;
  readonly redisMicrosPerMessage?: number;
  readonly enqueuedPerSecond?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly heapBytesPerEntity?: number;
  readonly redisBytesPerEntity?: number;
  readonly heapBackRatio?: number;
  readonly redisBackBytes?: number;
}

export type Metric = Exclude<keyof Row, 'name' | 'side' | 'store' | 'fsync' | 'rounds'>;
type Metrics = Partial<Record<Metric, number>>;

interface Speed {
  readonly perSecond: number;
  readonly nodeMicros: number;
  readonly redisMicros: number;
}

const speed = ({ perSecond, nodeMicros, redisMicros }: Speed): Metrics => ({
  messagesPerSecond: perSecond,
  cpuMicrosPerMessage: nodeMicros + redisMicros,
  nodeMicrosPerMessage: nodeMicros,
  redisMicrosPerMessage: redisMicros,
});

function metricsOf(name: string, outcome: Outcome): Metrics | undefined {
  const { throughput, one, hundred, owned, gone } = outcome;
  const latency = name === 'reply-100' ? hundred : one;
  if (name.includes('reply')) return latency && { ...speed(latency), p50Ms: latency.p50Ms, p99Ms: latency.p99Ms };
  if (throughput) return { ...speed(throughput), enqueuedPerSecond: throughput.enqueuedPerSecond };
  if (!owned || !gone) return undefined;
  return { heapBytesPerEntity: owned.heapBytes, redisBytesPerEntity: owned.redisBytes, ...gone };
}

function namesOf(workload: Workload): string[] {
  if (workload === 'reply') return ['reply', 'reply-100'];
  return workload === 'cluster' ? ['cluster', 'cluster-reply'] : [workload];
}

export class Summary {
  readonly rows: Row[] = [];
  private readonly metrics = new Map<string, Map<number, Metrics>>();

  constructor(runs: readonly Run[]) {
    const series = new Map<string, { readonly run: Run; readonly name: string }>();
    for (const run of runs) {
      for (const name of namesOf(run.series.workload)) {
        const metrics = run.outcome && metricsOf(name, run.outcome);
        if (!metrics) continue;
        const key = keyOf(name, run.series.side, run.series.store, run.series.fsync ?? null);
        const rounds = this.metrics.get(key) ?? new Map<number, Metrics>();
        this.metrics.set(key, rounds.set(run.round, metrics));
        series.set(key, { run, name });
      }
    }
    for (const [key, { run, name }] of series) {
      const { side, store, fsync } = run.series;
      const all = [...(this.metrics.get(key)?.values() ?? [])];
      this.rows.push({ name, side, store, fsync: fsync ?? null, rounds: all.length, ...medians(all) });
    }
  }

  row(name: string, side: SideName, store: Store, fsync: string | null): Row | undefined {
    return this.rows.find((row) => row.name === name && row.side === side && row.store === store && row.fsync === fsync);
  }

  /** Returns the median over the rounds of (the row's metric / the other side's metric of the same round). */
  ratio(
    row: Row,
    metric: Metric,
    side: SideName,
    store: Store = row.store,
    fsync: string | null = row.fsync,
  ): number | undefined {
    const mine = this.metrics.get(keyOf(row.name, row.side, row.store, row.fsync));
    const theirs = this.metrics.get(keyOf(row.name, side, store, fsync));
    const ratios: number[] = [];
    for (const [round, metrics] of mine ?? []) {
      const ratio = (metrics[metric] ?? Number.NaN) / (theirs?.get(round)?.[metric] ?? Number.NaN);
      if (Number.isFinite(ratio)) ratios.push(ratio);
    }
    return ratios.length === 0 ? undefined : median(ratios);
  }
}

const keyOf = (name: string, side: SideName, store: Store, fsync: string | null): string => `${name} ${side} ${store} ${fsync}`;

function medians(all: readonly Metrics[]): Metrics {
  const names = new Set(all.flatMap((metrics) => Object.keys(metrics) as Metric[]));
  return Object.fromEntries([...names].map((name) => [name, median(all.map((metrics) => metrics[name] ?? Number.NaN))]));
}
