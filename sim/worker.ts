/** A worker thread: runs chunks of seeds as they come. */
import { parentPort } from 'node:worker_threads';
import { inMacrotask } from './ambient.js';
import { type Chunk, runChunk } from './campaign.js';

parentPort?.on('message', (chunk: Chunk) => {
  inMacrotask((drain) => runChunk(chunk, drain)).then((totals) => parentPort?.postMessage(totals));
});
