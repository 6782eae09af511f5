/** A worker thread: runs chunks of seeds as they come. */
import { parentPort } from 'node:worker_threads';
import { inMacrotask } from './ambient.js';
import { type Chunk, runChunk } from './campaign.js';
import { loadStore } from './store-adapter.js';

parentPort?.on('message', (chunk: Chunk) => {
  loadStore(chunk.store)
    .then(() => inMacrotask((drain) => runChunk(chunk, drain)))
    .then((totals) => parentPort?.postMessage(totals));
});
