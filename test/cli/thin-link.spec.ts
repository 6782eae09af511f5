/** The command line over a link on which a page takes longer than a call may stand still. */
import { createServer, connect as dial } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { connect } from '../../src/cli/connect.js';
import { append, ENTITY, join, message, redisStore } from '../redis/support.js';
import { describeRedis, startRedis } from '../support/redis-server.js';

const CHUNK_BYTES = 10_000;
const CHUNK_EVERY_MS = 100;
/** Takes some 6 s at that rate. */
const PAYLOAD = JSON.stringify('x'.repeat(600_000));

/** A proxy whose way back carries a chunk at a time. Returns its port. */
async function thinLink(target: number): Promise<number> {
  const server = createServer((client) => {
    const upstream = dial(target, '127.0.0.1');
    let waiting = Buffer.alloc(0);
    upstream.on('data', (data) => {
      waiting = Buffer.concat([waiting, data]);
    });
    const timer = setInterval(() => {
      if (waiting.length > 0) client.write(waiting.subarray(0, CHUNK_BYTES));
      waiting = waiting.subarray(CHUNK_BYTES);
    }, CHUNK_EVERY_MS);
    const drop = (): void => {
      clearInterval(timer);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', drop).on('close', drop);
    client.pipe(upstream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

describeRedis(
  'a thin link to Redis',
  () => {
    it('carries a large page, which takes longer than one call may stand still', async () => {
      const server = await startRedis();
      const store = redisStore(server.port, { keyPrefix: 'shop', storeCallTimeoutMs: 5000 });
      await store.open();
      const session = await join(store);
      await session.apply({ op: 'claim', entity: ENTITY });
      await session.apply(append('m1', { message: message('m1', { payload: PAYLOAD }) }));
      const connected = await connect({ url: `redis://127.0.0.1:${await thinLink(server.port)}`, prefix: 'shop' }, false);
      const shown = await connected.store.control({ op: 'entity', entity: ENTITY, max: 1 });
      expect(shown).toMatchObject({ ok: true, running: { payload: PAYLOAD } });
      await connected.close();
      await store.close();
      await server.stop();
    });
  },
  { own: true },
);
