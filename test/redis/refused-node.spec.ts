/** Redis refuses writes, in each way that it has, for longer than a lease, while a node is at work. Each caller's error is true, and the node recovers. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AtomicQueuesError } from '../../src/core/errors.js';
import type { Node } from '../../src/runtime/node.js';
import { msg, node, sleep, until, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { redisStore } from './support.js';

interface Refusal {
  /** What an error that it causes says. */
  readonly says: RegExp;
  begin(admin: Redis, server: RedisServer): Promise<unknown>;
  end(admin: Redis, server: RedisServer): Promise<unknown>;
}

const LEASE_MS = 2000;

const saves = (admin: Redis, status: 'ok' | 'err'): Promise<void> =>
  until(`a save ends as ${status}`, async () => {
    await admin.bgsave().catch(() => undefined);
    await sleep(50);
    return (await admin.info('persistence')).includes(`rdb_last_bgsave_status:${status}`);
  });

const REFUSALS: Record<string, Refusal> = {
  OOM: {
    says: /out of memory/,
    begin: (admin) => admin.config('SET', 'maxmemory', '1'),
    end: (admin) => admin.config('SET', 'maxmemory', '0'),
  },
  MISCONF: {
    says: /MISCONF/,
    // A save cannot take the place of a folder that is not empty.
    begin: async (admin, { dir }) => {
      mkdirSync(join(dir, 'dump.rdb', 'in-the-way'), { recursive: true });
      await admin.config('SET', 'save', '3600 1000000');
      await saves(admin, 'err');
    },
    end: async (admin, { dir }) => {
      rmSync(join(dir, 'dump.rdb'), { recursive: true });
      await saves(admin, 'ok');
    },
  },
  NOREPLICAS: {
    says: /min-replicas-to-write/,
    begin: (admin) => admin.config('SET', 'min-replicas-to-write', '1'),
    end: (admin) => admin.config('SET', 'min-replicas-to-write', '0'),
  },
  READONLY: {
    says: /read-only replica|no connection/,
    begin: (admin) => admin.replicaof('127.0.0.1', 1),
    end: (admin) => admin.replicaof('NO', 'ONE'),
  },
  BUSY: {
    says: /BUSY/,
    begin: async (admin) => {
      await admin.config('SET', 'lua-time-limit', '20');
      const stranger = admin.duplicate().on('error', () => {});
      stranger.eval('while true do end', 0).then(
        () => stranger.disconnect(),
        () => stranger.disconnect(),
      );
      await until('the script is long', () =>
        admin.ping().then(
          () => false,
          (error: Error) => error.message.startsWith('BUSY'),
        ),
      );
    },
    end: (admin) => admin.script('KILL'),
  },
};

describeRedis(
  'a node whose Redis refuses writes for longer than a lease, with two batches in flight',
  () => {
    let server: RedisServer;
    let admin: Redis;
    let live: Node | undefined;

    beforeEach(async () => {
      server = await startRedis();
      admin = new Redis(server.url).on('error', () => {});
    });

    afterEach(async () => {
      await live?.stop();
      admin.disconnect();
      await server.stop();
    });

    it.each(Object.entries(REFUSALS))('%s', async (kind, refusal) => {
      const ran = new Map<string, number>();
      const n = node(
        { ...world(), store: redisStore(server.port, { storeCallTimeoutMs: 500 }) },
        async (payload) => {
          const { tag } = payload as { tag: string };
          ran.set(tag, (ran.get(tag) ?? 0) + 1);
          await sleep(1);
          return tag;
        },
        { ...fast({ nodeTTLMs: LEASE_MS, leaseMarginMs: 100 }), enqueueTimeoutMs: 1000 },
      );
      live = n;
      await n.start();

      const accepted: string[] = [];
      const failures: { tag: string; error: AtomicQueuesError }[] = [];
      let stops = false;
      // One waits for no answer of another's batch, so that there is always a second one to send.
      const callers = Array.from({ length: 8 }, async (_, c) => {
        for (let i = 0; !stops; i++) {
          const tag = `${c}-${i}`;
          await n.enqueue(msg(`e${c}`, { tag })).then(
            () => accepted.push(tag),
            (error) => failures.push({ tag, error }),
          );
          await sleep(5 + c);
        }
      });
      try {
        await until('calls pass', () => accepted.length > 100);
        await refusal.begin(admin, server);
        await sleep(2 * LEASE_MS);
        await refusal.end(admin, server);
        const before = accepted.length;
        await until('calls pass again', () => accepted.length > before + 100, 20_000);
      } finally {
        stops = true;
        await Promise.all(callers);
      }
      await until('all have run', async () => (await n.depth()).messages === 0, 20_000);

      expect(failures.length, 'calls were refused').toBeGreaterThan(0);
      expect(failures.map(({ error }) => error.message).some((text) => refusal.says.test(text))).toBe(true);
      expect(new Set(failures.map(({ error }) => error.code))).toSatisfy((codes: Set<string>) =>
        [...codes].every((code) => ['STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN'].includes(code)),
      );
      // Only what was on its way when the connection broke may be unknown, and only a replica breaks it.
      const unknown = failures.filter(({ error }) => error.code === 'OUTCOME_UNKNOWN');
      expect(unknown.length).toBeLessThanOrEqual(kind === 'READONLY' ? 8 : 0);
      expect(accepted.filter((tag) => ran.get(tag) !== 1)).toEqual([]);
      const refused = failures.filter(({ error }) => error.definite).map(({ tag }) => tag);
      expect(refused.filter((tag) => ran.has(tag))).toEqual([]);
      expect([...ran.values()].every((times) => times === 1)).toBe(true);
    });
  },
  { own: true },
);
