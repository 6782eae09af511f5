import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import type { Node } from '../../src/runtime/node.js';
import { redisStore } from '../redis/support.js';
import { msg, node, sleep, until, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, startRedis } from '../support/redis-server.js';

const FAST = fast({}, 1000);

describeRedis(
  'an owner that the store no longer lists',
  () => {
    it('B7: what a member owned whose record was removed is found again', async () => {
      const server = await startRedis();
      const admin = new Redis(server.url);
      const w = world();
      const nodes: Node[] = [];
      for (const serverId of ['n1', 'n2']) {
        const n = node({ ...w, store: redisStore(server.port) }, () => serverId, { ...FAST, serverId });
        nodes.push(n);
        await n.start();
      }
      const [first, second] = nodes as [Node, Node];
      await until('one is master', () => nodes.some((n) => n.status().role === 'master'));
      await sleep(200);
      for (let i = 0; i < 12; i++) await first.enqueueAndWait(msg(`x${i}`), { timeoutMs: 2000 });
      expect(second.status().owned).toBeGreaterThan(0);
      await admin.hdel('aq:{0}:member', String(second.status().incarnation));
      const calls = Array.from({ length: 12 }, (_, i) => first.enqueueAndWait(msg(`x${i}`), { timeoutMs: 5000 }));
      const results = await Promise.allSettled(calls);
      expect(results.filter((r) => r.status === 'rejected')).toEqual([]);
      await Promise.all(nodes.map((n) => n.stop()));
      admin.disconnect();
      await server.stop();
    });
  },
  { own: true },
);
