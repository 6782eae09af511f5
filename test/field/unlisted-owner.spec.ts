import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import type { Node } from '../../src/runtime/node.js';
import { redisStore } from '../redis/support.js';
import { msg, node, sleep, until, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, startRedis } from '../support/redis-server.js';

// A lease that lasts on a busy machine: only the removal may end a membership here.
const FAST = fast({ nodeTTLMs: 2000, leaseMarginMs: 100 }, 1000);

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
      const callAll = () => Array.from({ length: 12 }, (_, i) => first.enqueueAndWait(msg(`x${i}`), { timeoutMs: 5000 }));
      const owners = await Promise.all(callAll());
      expect(owners).toContain('"n2"');
      const removed = second.status().incarnation;
      await admin.hdel('aq:{0}:member', String(removed));
      // What had begun when the owner read that it is no member any more is lost with it, and is said to be; nothing else is.
      const ends = await Promise.allSettled(callAll());
      const faults = ends.map((end, i) => (end.status === 'rejected' ? [owners[i], end.reason.code] : undefined));
      for (const fault of faults) expect([undefined, ['"n2"', 'INTERRUPTED']]).toContainEqual(fault);
      await until('it is a member again', () => second.status().incarnation > removed && second.status().isReady);
      expect(await Promise.all(callAll())).toHaveLength(12);
      await Promise.all(nodes.map((n) => n.stop()));
      admin.disconnect();
      await server.stop();
    });
  },
  { own: true },
);
