/** A worker thread: runs the chunks of seeds that it receives. */
import { parentPort } from 'node:worker_threads';
import { inMacrotask } from './ambient.js';
import { type Chunk, runChunk } from './campaign.js';
import { loadStore } from './store-adapter.js';

parentPort?.on('message', (chunk: Chunk) => {
  loadStore(chunk.store)
    .then(() => inMacrotask((drain) => runChunk(chunk, drain)))
    .then((totals) => parentPort?.postMessage(totals));
});
