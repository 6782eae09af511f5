/**
 * Runs one part of workload `scale` in a process of its own: receives a `ScaleJob` over IPC, sends its samples back, and ends.
 */
import { type ScaleAnswer, type ScaleJob, samplesOf } from './plan.js';

// The parent has ended, so this process ends too.
process.once('disconnect', () => process.exit(1));

process.once('message', (job: ScaleJob) => {
  samplesOf(job)
    .then(
      (samples): ScaleAnswer => ({ samples }),
      (error: unknown): ScaleAnswer => ({ error: error instanceof Error ? error.message : String(error) }),
    )
    .then((answer) => process.send?.(answer, () => process.exit(0)));
});
