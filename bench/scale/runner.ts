/**
 * Runs the parts of workload `scale` one after the other, in rounds, so that a slow minute of the machine affects one round of a
 * part.
 */
import { forked } from '../forked.js';
import { BenchOptions } from '../options.js';
import { startServer, versionOfServer } from '../runner.js';
import { jobsOf, nameOf, type Sample, type ScaleAnswer, type ScaleJob } from './plan.js';

export interface Measured {
  readonly samples: readonly Sample[];
  readonly errors: readonly string[];
  readonly redisVersion: string | undefined;
}

/**
 * Runs all rounds on one server, with the first of the given fsync settings: the cost of a flush to disk does not depend on n.
 */
export async function runScale({ stores, fsyncs, sizes, rounds }: BenchOptions, say: (line: string) => void): Promise<Measured> {
  const server = stores.includes('redis') ? await startServer(fsyncs[0] ?? 'everysec') : undefined;
  const samples: Sample[] = [];
  const errors: string[] = [];
  try {
    const redisVersion = server && (await versionOfServer(server));
    for (let round = 1; round <= rounds; round++) {
      for (const job of jobsOf(sizes, stores, server?.port)) {
        const startMs = performance.now();
        const answer = await forked<ScaleJob, ScaleAnswer>(new URL('./child.js', import.meta.url), job);
        const took = `${((performance.now() - startMs) / 1000).toFixed(0)} s`;
        if ('error' in answer) errors.push(`scale, ${nameOf(job)}: ${answer.error}`);
        else samples.push(...answer.samples);
        say(`${round} scale ${nameOf(job)}: ${'error' in answer ? `FAILED: ${answer.error}` : took}`);
      }
    }
    return { samples, errors, redisVersion };
  } finally {
    await server?.stop();
  }
}
