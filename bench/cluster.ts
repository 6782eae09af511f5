/**
 * Workload `cluster`: sends messages to entities that another node owns, and the same messages on one node for comparison. The
 * entities are owned before the clock starts, so the workload measures a message's way to its owner and not the placement of
 * entities.
 */

import { perMessage } from './meter.js';
import { Outcome } from './plan.js';
import { Bench, Callers, latency, load, names, throughput } from './workloads.js';

const REPLY_ENTITIES = 1000;
/**
 * Number of calls before the measured ones. Calls get faster during the first thousands of them, while three processes compile:
 * from 1.7 to 1.0 ms, on one node from 0.57 to 0.38.
 */
const WARM_CALLS = 3000;
const WARM_MS = 8000;
const CALLS_MS = 25_000;

export async function clusterWork(bench: Bench): Promise<Outcome> {
  const { job, witness, meter } = bench;
  const entities = names('account:a', job.entities);
  await load(bench, entities, entities.length);
  globalThis.gc?.();
  let enqueueSeconds = 0;
  const metered = await meter.measure(async () => {
    enqueueSeconds = await load(bench, entities, job.messages, 1);
  });
  const rates = { ...perMessage(metered, job.messages), enqueuedPerSecond: job.messages / enqueueSeconds };
  return { counts: witness.counts, throughput: rates, one: await oneCaller(bench) };
}

/** Measures the throughput as workload `many` does, and then the latency of one caller. */
export async function oneNodeWork(bench: Bench): Promise<Outcome> {
  return { ...(await throughput(bench)), one: await oneCaller(bench) };
}

async function oneCaller(bench: Bench) {
  const { job, side, meter } = bench;
  const entities = names('account:r', REPLY_ENTITIES);
  await load(bench, entities, entities.length);
  const callers = new Callers(side, entities, 1);
  await latency(meter, callers, WARM_CALLS, 1, WARM_MS);
  return latency(meter, callers, job.sequentialCalls, 1, CALLS_MS);
}
