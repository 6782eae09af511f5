/** What a blocked or stopped process costs: real processes, real threads and a real Redis (field cases H1 and C6). */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { placeOf } from '../../src/core/placement/rendezvous.js';
import type { AtomicQueuesConfig } from '../../src/index.js';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { type Transpiled, transpile } from '../support/transpiled.js';

const TTL_MS = 800;
const TIMING = {
  ...{ heartbeatMs: 100, nodeTTLMs: TTL_MS, leaseMarginMs: 50, takeoverHoldMs: 200, reconcileIntervalMs: 200 },
  ...{ leaderTTLMs: 800, leaderRenewalMs: 100, redisHealthCheckMs: 100 },
};
/** What a loaded machine may take for anything that is to happen. */
// Only ends a test that hangs: a machine that runs other suites needs several times what a quiet one does.
const SOON_MS = 40_000;

type Job = [id: string, label: string, how: 'blocks' | 'waits', forMs: number];

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + SOON_MS;
  while (!(await probe())) {
    if (performance.now() > endMs) throw new Error(`timed out waiting until ${what}`);
    await sleep(10);
  }
}

class App {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;

  constructor(
    program: string,
    readonly name: string,
    config: AtomicQueuesConfig,
  ) {
    const options = { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] as ['ignore', 'pipe', 'inherit', 'ipc'], execArgv: [] };
    this.#child = fork(program, [JSON.stringify({ ...config, serverId: name })], options);
    let rest = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      const parts = (rest + part).split('\n');
      rest = parts.pop() ?? '';
      this.lines.push(...parts);
    });
  }

  send(...jobs: Job[]): void {
    this.#child.send(jobs);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  has(line: string | RegExp): boolean {
    return this.lines.some((l) => (typeof line === 'string' ? l === line : line.test(l)));
  }

  async says(line: string | RegExp): Promise<void> {
    await until(`${this.name} says ${line}; it said\n${this.lines.join('\n')}`, () => this.has(line));
  }

  /** What its handlers began, in order. */
  get began(): string[] {
    return this.lines.filter((l) => l.startsWith('began ')).map((l) => l.slice('began '.length));
  }

  /** Closes the application; it must end by itself then. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), SOON_MS);
    this.#child.kill('SIGCONT');
    if (this.#child.connected) this.#child.send('close');
    const [, signal] = await exited;
    clearTimeout(limit);
    if (signal !== null) throw new Error(`${this.name} did not end: ${signal}; it said\n${this.lines.join('\n')}`);
  }
}

/** What a node tells when anything happens to its lease. */
const LEASE_NEWS = /^(suspended|resumed|lease-lost|buried|dead-letter|interrupted|loop-failed|the lease has no thread)/;

describeRedis(
  'a process whose loop does not turn',
  () => {
    let code: Transpiled;
    let redis: RedisServer;
    let store: RedisStore;
    let apps: App[];

    beforeAll(() => {
      code = transpile('blocked-loop', 'src', 'test/nest/process');
    });
    afterAll(() => code.remove());
    beforeEach(async () => {
      apps = [];
      redis = await startRedis({ appendfsync: 'always' });
      store = new RedisStore({
        ...{ connection: { port: redis.port }, keyPrefix: 'blocked', storeCallTimeoutMs: 1000, clock: new SystemClock() },
      });
      await store.open();
    });
    afterEach(async () => {
      await Promise.all(apps.map((app) => app.close()));
      await store.close();
      await redis.stop();
    });

    /** Two nodes, and an entity that the ring gives to the first. */
    async function two(loopStallLimitMs: number, dir = code.dir): Promise<{ a: App; b: App; id: string }> {
      const config = {
        ...{ redis: { host: '127.0.0.1', port: redis.port }, keyPrefix: 'blocked', shutdownGraceMs: 2000 },
        grpc: { ...TIMING, loopStallLimitMs },
      };
      const [a, b] = ['a', 'b'].map((name) => new App(join(dir, 'test/nest/process/blocked.js'), name, config)) as [App, App];
      apps.push(a, b);
      await Promise.all(apps.map((app) => app.says('up')));
      const { members } = await store.control({ op: 'members' });
      const ids = Array.from({ length: 64 }, (_, i) => `e${i}`);
      const id = ids.find((one) => placeOf(`account:${one}`, members)?.serverId === 'a');
      if (id === undefined) throw new Error('the ring gives nothing to a');
      // Each has seen the other, or the first would hand over what it takes for its own.
      await sleep(5 * TIMING.heartbeatMs);
      return { a, b, id };
    }

    async function letters(): Promise<{ name: string; reason: string; late: string }[]> {
      const answer = await store.control({ op: 'letters', after: '', max: 100 });
      return answer.letters.map(({ message, reason, late }) => ({
        name: (JSON.parse(message.payload) as { label: string }).label,
        reason,
        late,
      }));
    }

    test('a handler that blocks the loop for four TTLs costs nothing', async () => {
      const { a, b, id } = await two(15_000);
      a.send([id, 'block', 'blocks', 4 * TTL_MS], [id, 'next', 'waits', 0]);
      await a.says('ended next');
      expect(a.began).toEqual(['block', 'next']);
      expect(a.has('ended block')).toBe(true);
      await sleep(2 * TTL_MS);
      expect([...a.lines, ...b.lines].filter((line) => LEASE_NEWS.test(line))).toEqual([]);
      expect(b.began).toEqual([]);
      expect(await letters()).toEqual([]);
    });

    test('without the thread, whose file a bundle does not hold, the node says so, and that handler costs the lease', async () => {
      const bundle = transpile('blocked-loop-bundle', 'src', 'test/nest/process');
      try {
        rmSync(join(bundle.dir, 'src/redis/heartbeat-worker.js'));
        const { a, b, id } = await two(15_000, bundle.dir);
        expect(a.has(/^the lease has no thread of its own \(there is no .*heartbeat-worker\.js: /)).toBe(true);
        a.send([id, 'block', 'blocks', 4 * TTL_MS], [id, 'next', 'waits', 0]);
        await b.says('ended next');
        await a.says(/^lease-lost/);
        expect(a.began).toEqual(['block']);
      } finally {
        bundle.remove();
      }
    });

    test('one that blocks it beyond loopStallLimitMs loses its entities, and its process starts nothing when it wakes', async () => {
      const { a, b, id } = await two(400);
      a.send([id, 'block', 'blocks', 8 * TTL_MS], [id, 'next', 'waits', 0]);
      await b.says('ended next');
      expect(a.has(/^ended block/)).toBe(false);
      expect(await letters()).toEqual([{ name: 'block', reason: 'interrupted', late: '' }]);
      await a.says('ended block aborted');
      await a.says(/^lease-lost/);
      await until('the note on the letter', async () => (await letters())[0]?.late === 'completed');
      expect(await letters()).toHaveLength(1);
      expect(a.began).toEqual(['block']);
      expect(b.began).toEqual(['next']);
      // It goes on as another incarnation.
      a.send([id, 'again', 'waits', 0]);
      await until('the next message ends', () => a.has('ended again') || b.has('ended again'));
    });

    test('a process that is stopped past its lease starts nothing when it wakes', async () => {
      const { a, b, id } = await two(15_000);
      a.send([id, 'slow', 'waits', 400], [id, 'next', 'waits', 0]);
      await a.says('began slow');
      a.signal('SIGSTOP');
      await b.says('ended next');
      expect(a.has(/^ended slow/)).toBe(false);
      a.signal('SIGCONT');
      await a.says('ended slow aborted');
      await a.says(/^lease-lost/);
      await until('the note on the letter', async () => (await letters())[0]?.late === 'completed');
      expect(await letters()).toEqual([{ name: 'slow', reason: 'interrupted', late: 'completed' }]);
      expect(a.began).toEqual(['slow']);
      expect(b.began).toEqual(['next']);
    });

    test('a Redis that is away for longer than the lease suspends the nodes, and they go on when it is back', async () => {
      const { a, b, id } = await two(15_000);
      a.send([id, 'slow', 'waits', 3000], [id, 'next', 'waits', 0]);
      await a.says('began slow');
      await redis.kill9();
      await sleep(2000);
      for (const app of [a, b]) await app.says(/^suspended/);
      expect(a.has(/^resumed/)).toBe(false);
      await redis.restart();
      for (const app of [a, b]) await app.says(/^resumed/);
      await a.says('ended next');
      expect(a.has('ended slow aborted')).toBe(true);
      expect([...a.lines, ...b.lines].filter((line) => /^(lease-lost|buried|store-lost)/.test(line))).toEqual([]);
      expect(a.began).toEqual(['slow', 'next']);
      expect(await letters()).toEqual([]);
    });
  },
  { own: true },
);
