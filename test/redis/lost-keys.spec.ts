/** One key of ours is deleted, by hand or by an eviction, beneath a running node: it goes on, or says what is missing and closes. */
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import type { AtomicQueuesError } from '../../src/core/errors.js';
import { KEY_TYPES } from '../../src/redis/server-checks.js';
import { type Handle, msg, node, sleep, until, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, startRedis } from '../support/redis-server.js';
import { append, join, redisStore } from './support.js';

/** What nothing is lost with: it is made anew, or found elsewhere. */
const RECOVERS = ['ready', 'member', 'schema', 'leader'];
const CONFIG = fast({ nodeTTLMs: 2000, leaseMarginMs: 100 });

describeRedis(
  'a key that is gone',
  () => {
    it.each(Object.keys(KEY_TYPES))('%s', async (key) => {
      const server = await startRedis();
      const admin = new Redis(server.url).on('error', () => {});
      let closedBy: AtomicQueuesError | undefined;
      const handle: Handle = async (p, name) => {
        if (name === 'Query') throw new Error('a dead letter');
        await sleep((p as { ms?: number }).ms ?? 0);
        return 'done';
      };
      const n = node(
        { ...world(), store: redisStore(server.port, { storeCallTimeoutMs: 2000 }) },
        handle,
        CONFIG,
        undefined,
        undefined,
        { onClosed: (why) => (closedBy = why) },
      );
      await n.start();
      const call = (id: string, more: Parameters<typeof msg>[2] = {}, ms = 5) =>
        n.enqueueAndWait(msg(id, { ms }, more), { timeoutMs: 4000 });
      await call('first', { id: 'given' });
      await call('first', { name: 'Query' }).catch(() => undefined);
      // Under load: some run, some wait behind them.
      let stops = false;
      const load = Array.from({ length: 8 }, async (_, i) => {
        while (!stops && closedBy === undefined) {
          await Promise.allSettled([call(`e${i}`, {}, 100), call(`e${i}`), call(`e${i}`, { id: `g${Math.random()}` })]);
        }
      });
      await sleep(300);
      await admin.del(`aq:{0}:${key}`);
      if (RECOVERS.includes(key)) {
        await sleep(3000);
        await until(
          'it works',
          () =>
            Promise.all([call('e1'), call('new')]).then(
              () => true,
              () => false,
            ),
          20_000,
        );
        expect(closedBy).toBeUndefined();
      } else {
        await until('it has closed', () => closedBy !== undefined, 20_000);
        expect(closedBy?.code).toBe('STORE_LOST');
        // Without these the log contradicts an owner at once, and that is what is said then.
        if (!['meta', 'ent', 'msg'].includes(key)) expect(closedBy?.message).toMatch(new RegExp(`${key}|fails in the same way`));
      }
      stops = true;
      await Promise.all(load);
      await n.stop();
      admin.disconnect();
      await server.stop();
    });

    it('what the ready set has lost is found in the log', async () => {
      const server = await startRedis();
      const admin = new Redis(server.url).on('error', () => {});
      const store = redisStore(server.port, { storeCallTimeoutMs: 2000 });
      await store.open();
      const before = await join(store, 'g1', { leaseTtlMs: 300 });
      await before.apply(append('m1', { entity: 'account:orphan', begin: false }));
      await admin.del('aq:{0}:ready');
      const ran: string[] = [];
      const w = { ...world(), store: redisStore(server.port, { storeCallTimeoutMs: 2000 }) };
      const n = node(w, (_p, _name, id) => void ran.push(id), CONFIG, ['Deposit']);
      await n.start();
      await until('it has run', () => ran.includes('orphan'), 15_000);
      expect(n.status().state).toBe('running');
      await n.stop();
      await store.close();
      admin.disconnect();
      await server.stop();
    });
  },
  { own: true },
);
