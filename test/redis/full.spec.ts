/** A Redis that has no memory left, beneath a running node: what has to heal by itself, and what must not grow. */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EntityContext } from '../../src/runtime/context.js';
import type { Node } from '../../src/runtime/node.js';
import { type Handle, msg, node, sleep, until, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { redisStore } from './support.js';

// Some sixty fill the server, so that it is full long before the first of them may go, also on a busy machine.
const RESULT = 'x'.repeat(300_000);
const SENT = 'x'.repeat(100_000);

describeRedis(
  'a Redis without memory',
  () => {
    let server: RedisServer;
    let admin: Redis;
    let live: Node | undefined;

    beforeEach(async () => {
      server = await startRedis({ extraArgs: ['--maxmemory', '20mb'] });
      admin = new Redis(server.url).on('error', () => {});
    });

    afterEach(async () => {
      await live?.stop();
      admin.disconnect();
      await server.stop();
    });

    async function start(handle: Handle, wal: Record<string, number>, onEvent?: (event: string) => void): Promise<Node> {
      const w = world();
      const n = node(
        { ...w, store: redisStore(server.port, { storeCallTimeoutMs: 3000 }) },
        handle,
        {
          ...fast({ nodeTTLMs: 3000, leaseMarginMs: 100 }),
          wal: { cleanupInterval: 500, ...wal },
        },
        undefined,
        undefined,
        onEvent && { trace: { verbose: false, emit: onEvent } },
      );
      live = n;
      await n.start();
      return n;
    }

    /** Calls from so many callers at once until one is refused. */
    async function fill(n: Node, tag: string): Promise<void> {
      let refused = false;
      let calls = 0;
      const caller = async (): Promise<void> => {
        while (!refused && calls < 1000) {
          const i = calls++;
          await n.enqueueAndWait(msg(`e${i % 16}`, {}, { id: `${tag}-${i}` }), { timeoutMs: 3000 }).catch((error) => {
            if (error.code !== 'STORE_UNAVAILABLE') throw error;
            refused = true;
          });
        }
      };
      await Promise.all(Array.from({ length: 16 }, caller));
      expect(refused, 'it was filled').toBe(true);
    }

    it.each([
      ['what is known by an id goes after entryTTL', { entryTTL: 4 }],
      ['results go after resultTTL', { resultTTL: 4 }],
    ])('heals by its own expiry: %s', async (_, wal) => {
      const n = await start(() => RESULT, wal);
      await fill(n, 'first');
      // Callers go on as before.
      let ok = 0;
      let stops = false;
      const codes = new Set<string>();
      const callers = Array.from({ length: 8 }, async (_, c) => {
        for (let i = 0; !stops; i++) {
          await n.enqueueAndWait(msg(`e${c}`, {}, { id: `on-${c}-${i}` }), { timeoutMs: 3000 }).then(
            () => ok++,
            (error) => codes.add(error.code),
          );
          await sleep(20);
        }
      });
      try {
        await until('calls pass again', () => ok > 100, 30_000);
      } finally {
        stops = true;
        await Promise.all(callers);
      }
      expect([...codes].filter((code) => code !== 'STORE_UNAVAILABLE')).toEqual([]);
      expect((await n.depth()).messages).toBe(0);
      // What was completed by its id is still known, and does not run again; only its result may be gone.
      await admin.config('SET', 'maxmemory', '0');
      const again = n.enqueueAndWait(msg('e1', {}, { id: 'first-1' }), { timeoutMs: 3000 });
      if ('entryTTL' in wal) expect(await again).toBe(JSON.stringify(RESULT));
      else await expect(again).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { state: 'completed' } });
    });

    it('does not let the log grow by what handlers send; their entities wait, others go on, and nothing is lost', {
      timeout: 60_000,
    }, async () => {
      await admin.config('SET', 'maxmemory', '4mb');
      const events: string[] = [];
      let sunk = 0;
      const handle: Handle = (_p, name, id) => {
        if (name === 'Send') EntityContext.current().enqueue(msg(`sink-${id}`, { text: SENT }));
        if (id.startsWith('sink')) sunk++;
        return id;
      };
      const n = await start(handle, {}, (event) => events.push(event));
      // All wait in the log when the first one is run.
      const calls = Array.from({ length: 200 }, (_, i) => n.enqueue(msg(`s${i % 100}`, {}, { name: 'Send' })));
      const accepted = (await Promise.allSettled(calls)).filter((c) => c.status === 'fulfilled').length;
      await until('handlers wait for room', () => n.status().awaitingRoom > 10);
      let highest = 0;
      for (let i = 0; i < 20; i++) {
        const info = await admin.info('memory');
        highest = Math.max(highest, Number(/used_memory:(\d+)/.exec(info)?.[1]));
        await sleep(50);
      }
      expect(highest).toBeLessThan(9_000_000);
      expect(events).toContain('sends-wait');
      expect((await n.depth()).messages).toBeGreaterThan(0);
      await admin.config('SET', 'maxmemory', '200mb');
      await until('all have run', async () => (await n.depth()).messages === 0, 30_000);
      expect(sunk).toBe(accepted);
      expect(n.status().awaitingRoom).toBe(0);
      expect(events).toContain('sends-go-on');
    });
  },
  { own: true },
);
