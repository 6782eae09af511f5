/** Spreads chunks of seeds over worker threads, or runs them in this thread if there is only one worker. */
import { Worker } from 'node:worker_threads';
import { breathe, inMacrotask } from './ambient.js';
import { type Chunk, runChunk, type Totals } from './campaign.js';

export interface Work {
  /** Returns the next chunk; undefined when there is none left. */
  next(): Chunk | undefined;
  done(totals: Totals): void;
}

export async function runAll(work: Work, workers: number): Promise<void> {
  if (workers === 1) {
    for (let chunk = work.next(); chunk !== undefined; chunk = work.next()) {
      const now = chunk;
      work.done(await inMacrotask((drain) => runChunk(now, drain)));
      await breathe();
    }
    return;
  }
  await Promise.all(Array.from({ length: workers }, () => oneWorker(work)));
}

function oneWorker(work: Work): Promise<void> {
  const worker = new Worker(new URL('./worker.js', import.meta.url));
  return new Promise((resolve, reject) => {
    const give = (): void => {
      const chunk = work.next();
      if (chunk === undefined) void worker.terminate().then(() => resolve());
      else worker.postMessage(chunk);
    };
    worker.on('message', (totals: Totals) => {
      work.done(totals);
      give();
    });
    worker.on('error', reject);
    give();
  });
}
