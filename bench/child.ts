/** Runs one measurement in a process of its own: receives a `Job` over IPC, sends its `Outcome` back, and ends. */

import { clusterWork, oneNodeWork } from './cluster.js';
import { Meter } from './meter.js';
import { ChildAnswer, Job, Outcome, sideOf } from './plan.js';
import { Witness } from './witness.js';
import { Bench, idleGone, idleOwned, reply, throughput, WARM_ENTITIES } from './workloads.js';

const HELD_MS = 600_000;
const SHORT_MS = 1000;

function workOf({ workload, phase, side }: Job): (bench: Bench) => Promise<Outcome> {
  if (workload === 'cluster') return side === 'one-node' ? oneNodeWork : clusterWork;
  if (workload === 'idle') return phase === 'gone' ? idleGone : idleOwned;
  return workload === 'reply' ? reply : throughput;
}

async function run(job: Job): Promise<Outcome> {
  const { workload, redisPort, phase } = job;
  const witness = new Witness(workload === 'idle' ? job.entities + WARM_ENTITIES : 0);
  const side = await sideOf(job)({ workload, redisPort, idleTimeoutMs: phase === 'gone' ? SHORT_MS : HELD_MS, witness });
  const meter = new Meter(redisPort, side.othersCpuSeconds);
  try {
    return await workOf(job)({ job, side, witness, meter });
  } finally {
    meter.close();
    await side.close();
  }
}

// The parent has ended, so this process ends too.
process.once('disconnect', () => process.exit(1));

process.once('message', (job: Job) => {
  run(job)
    .then(
      (outcome): ChildAnswer => ({ outcome }),
      (error: unknown): ChildAnswer => ({ error: error instanceof Error ? error.message : String(error) }),
    )
    .then((answer) => process.send?.(answer, () => process.exit(0)));
});
