/** The workloads on one node, each against a side that has started. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Meter, percentile, perMessage } from './meter.js';
import { Gone, Job, Latency, Outcome, Owned } from './plan.js';
import { BenchMessage, Side } from './sides/side.js';
import { Witness } from './witness.js';

export interface Bench {
  readonly job: Job;
  readonly side: Side;
  readonly witness: Witness;
  readonly meter: Meter;
}

const CHUNK = 1000;
const LOAD_TIMEOUT_MS = 220_000;
export const WARM_ENTITIES = 2000;
const CALLERS = 100;

export const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

/**
 * Sends messages round robin over the entities, in chunks, a few of them in flight. The first message of each entity has the
 * number `first`.
 */
async function produce(side: Side, entities: readonly string[], count: number, first: number): Promise<void> {
  const flying = new Set<Promise<void>>();
  for (let from = 0; from < count; from += CHUNK) {
    const messages: BenchMessage[] = [];
    for (let at = from; at < Math.min(count, from + CHUNK); at++) {
      messages.push({ entity: entities[at % entities.length] ?? '', number: first + Math.floor(at / entities.length) });
    }
    if (flying.size >= side.window) await Promise.race(flying);
    const call = side.bulk(messages).finally(() => flying.delete(call));
    flying.add(call);
  }
  await Promise.all(flying);
}

/** Sends all messages and waits until all are handled. Resolves with the seconds until the last one was accepted. */
export async function load({ side, witness }: Bench, entities: readonly string[], count: number, first = 0): Promise<number> {
  const startMs = performance.now();
  let enqueueSeconds = 0;
  const produced = produce(side, entities, count, first).then(() => {
    enqueueSeconds = (performance.now() - startMs) / 1000;
  });
  await Promise.all([witness.more(count, LOAD_TIMEOUT_MS), produced]);
  return enqueueSeconds;
}

export async function throughput(bench: Bench): Promise<Outcome> {
  const { job, witness, meter } = bench;
  await load(
    bench,
    names('warm', Math.min(job.entities, WARM_ENTITIES)),
    Math.max(1, Math.min(4000, Math.ceil(job.messages / 5))),
  );
  globalThis.gc?.();
  const entities = names('account:a', job.entities);
  let enqueueSeconds = 0;
  const metered = await meter.measure(async () => {
    enqueueSeconds = await load(bench, entities, job.messages);
  });
  const rates = { ...perMessage(metered, job.messages), enqueuedPerSecond: job.messages / enqueueSeconds };
  return { counts: witness.counts, throughput: rates };
}

/** Makes calls to entities drawn at random, but never two at once to one entity, so that the order on no side is in question. */
export class Callers {
  private readonly numbers = new Map<string, number>();
  private readonly busy = new Set<string>();
  private state = 1;

  constructor(
    private readonly side: Side,
    private readonly entities: readonly string[],
    /** Number of the first message of each entity. */
    private readonly first = 0,
  ) {}

  /** Makes one call. Resolves with its duration in ms. */
  async call(): Promise<number> {
    let entity = this.draw();
    while (this.busy.has(entity)) entity = this.draw();
    this.busy.add(entity);
    const number = this.numbers.get(entity) ?? this.first;
    this.numbers.set(entity, number + 1);
    const startMs = performance.now();
    const answer = await this.side.call({ entity, number });
    const tookMs = performance.now() - startMs;
    this.busy.delete(entity);
    if (answer !== number) throw new Error(`the reply was ${answer}, not ${number}`);
    return tookMs;
  }

  private draw(): string {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return this.entities[Math.floor((this.state / 4294967296) * this.entities.length)] ?? '';
  }
}

export async function latency(meter: Meter, callers: Callers, calls: number, atOnce: number, limitMs: number): Promise<Latency> {
  const tookMs: number[] = [];
  let left = calls;
  const metered = await meter.measure(async () => {
    const endMs = performance.now() + limitMs;
    const caller = async (): Promise<void> => {
      while (left-- > 0 && performance.now() < endMs) tookMs.push(await callers.call());
    };
    await Promise.all(Array.from({ length: atOnce }, caller));
  });
  return { ...perMessage(metered, tookMs.length), p50Ms: percentile(tookMs, 0.5), p99Ms: percentile(tookMs, 0.99) };
}

export async function reply({ job, side, witness, meter }: Bench): Promise<Outcome> {
  const callers = new Callers(side, names('account:a', Math.max(job.entities, 2 * CALLERS)));
  await latency(meter, callers, 300, 1, 4000);
  const one = await latency(meter, callers, job.sequentialCalls, 1, 25_000);
  if (job.side === 'raw') return { counts: witness.counts, one };
  const hundred = await latency(meter, callers, job.concurrentCalls, CALLERS, 20_000);
  return { counts: witness.counts, one, hundred };
}

async function footprint(meter: Meter): Promise<Owned> {
  if (!globalThis.gc) throw new Error('needs node --expose-gc');
  for (let round = 0; round < 3; round++) {
    globalThis.gc();
    await sleep(50);
  }
  return { heapBytes: process.memoryUsage().heapUsed, redisBytes: await meter.redisDataBytes() };
}

/**
 * Sends the messages of workload `idle`: one per entity, with the number of its entity. They are created as they are sent, so
 * that none of them stays in memory.
 */
async function visit({ side, witness }: Bench, from: number, count: number): Promise<void> {
  const handled = witness.more(count, LOAD_TIMEOUT_MS);
  for (let start = from; start < from + count; start += CHUNK) {
    const length = Math.min(CHUNK, from + count - start);
    await side.bulk(Array.from({ length }, (_, index) => ({ entity: `account:a-${start + index}`, number: start + index })));
  }
  await handled;
}

const SETTLE_MS = 7000;
const BACK_TIMEOUT_MS = 45_000;
/** Within these limits heap and Redis count as back at their baseline. */
export const HEAP_BACK_RATIO_MAX = 1.05;
export const REDIS_BACK_BYTES_MAX = 100_000;

/**
 * Measures the memory of owned idle entities. The first WARM_ENTITIES come before the baseline, so that what a node needs once
 * does not count for the entities.
 */
export async function idleOwned(bench: Bench): Promise<Outcome> {
  const { job, meter } = bench;
  await visit(bench, 0, WARM_ENTITIES);
  await sleep(SETTLE_MS);
  const before = await footprint(meter);
  await visit(bench, WARM_ENTITIES, job.entities);
  await sleep(SETTLE_MS);
  const after = await footprint(meter);
  const each = (key: keyof Owned): number => (after[key] - before[key]) / job.entities;
  return { counts: bench.witness.counts, owned: { heapBytes: each('heapBytes'), redisBytes: each('redisBytes') } };
}

/**
 * Measures the memory after idle teardown, with a short idle timeout. Resolves with what is left when memory is back at the
 * baseline, or when the time for it is over.
 */
export async function idleGone(bench: Bench): Promise<Outcome> {
  const { job, meter } = bench;
  await visit(bench, 0, WARM_ENTITIES);
  await sleep(SETTLE_MS);
  const before = await footprint(meter);
  await visit(bench, WARM_ENTITIES, job.entities);
  const endMs = performance.now() + BACK_TIMEOUT_MS;
  for (;;) {
    await sleep(1000);
    const now = await footprint(meter);
    const gone: Gone = { heapBackRatio: now.heapBytes / before.heapBytes, redisBackBytes: now.redisBytes - before.redisBytes };
    const back = gone.heapBackRatio <= HEAP_BACK_RATIO_MAX && gone.redisBackBytes <= REDIS_BACK_BYTES_MAX;
    if (back || performance.now() > endMs) return { counts: bench.witness.counts, gone };
  }
}
