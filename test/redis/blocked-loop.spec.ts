import { expect, it } from 'vitest';
import { Connection } from '../../src/redis/connection.js';
import { SystemClock } from '../../src/system/clock.js';
import { describeRedis, startRedis } from '../support/redis-server.js';

describeRedis('a loop that was blocked for longer than a call may take', () => {
  it('reads the answer that has come meanwhile, and keeps its connection', async () => {
    const server = await startRedis();
    const clock = new SystemClock();
    let reconnects = 0;
    const connection = new Connection(
      { connection: { host: '127.0.0.1', port: server.port, db: 0 }, storeCallTimeoutMs: 100, connectTimeoutMs: 2000, clock },
      () => {
        reconnects++;
      },
    );
    await connection.open();
    const before = reconnects;
    const answer = connection.call((client) => client.hget('nothing', 'there'));
    const until = performance.now() + 400;
    while (performance.now() < until);
    expect(await answer).toBeNull();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(reconnects).toBe(before);
    connection.close();
    await server.stop();
  });
});
