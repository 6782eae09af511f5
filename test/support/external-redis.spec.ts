import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { openExternal } from './external-redis.js';
import { describeRedis, startRedis } from './redis-server.js';

describeRedis(
  'a server given by REDIS_URL',
  () => {
    it("gives each test an empty database and leaves its owner's data as it was, with a password too", async () => {
      const server = await startRedis({ extraArgs: ['--requirepass', 'p:w'] });
      const url = `redis://:${encodeURIComponent('p:w')}@127.0.0.1:${server.port}`;
      const owner = new Redis(url);
      await owner.set('theirs', '0');
      await owner.select(1);
      await owner.set('theirs', '1');

      const first = await openExternal(url);
      const second = await openExternal(url);
      const a = new Redis(first.port);
      const b = new Redis(second.port);
      await a.set('mine', 'a');
      await b.set('mine', 'b');
      expect([await a.get('mine'), await b.get('mine'), await a.get('theirs')]).toEqual(['a', 'b', null]);
      for (const client of [a, b]) client.disconnect();
      await first.release();
      await second.release();

      expect(await owner.get('theirs')).toBe('1');
      expect(await owner.info('keyspace')).toMatch(/db0:keys=1,.*\r\ndb1:keys=1,.*\r\n$/);
      owner.disconnect();
      await server.stop();
    });
  },
  { own: true },
);
