/** SIGTERM to applications with an HTTP server, under load: the recipe of docs/guide.md, and what happens without it. */
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import type { Transpiled } from '../support/transpiled.js';
import type { AppOptions } from './app.js';
import { Balancer } from './balancer.js';
import { ask, Clients } from './clients.js';
import { AppProcess, program } from './process.js';

/** Twenty polls of the balancer: the machine may be busy with other tests. */
const BALANCER_MS = 2000;
/** Handlers end in 0.3 s; the rest is for a busy machine. */
const REQUESTS_MS = 20_000;
/** Of load before and after each replacement. */
const STEADY_MS = 300;

describeRedis('two nodes behind a load balancer, under load', () => {
  let made: Transpiled;
  let redis: RedisServer;
  let balancer: Balancer;
  let clients: Clients;
  let nodes: AppProcess[] = [];
  const apps: AppProcess[] = [];

  beforeAll(async () => {
    made = program('http-load');
    redis = await startRedis();
    balancer = new Balancer();
    nodes = await Promise.all([startNode('node-0', 'hooks'), startNode('node-1', 'in order')]);
    clients = new Clients(await balancer.listen());
  });
  afterAll(async () => {
    await clients.stop();
    balancer.close();
    for (const app of apps) app.kill();
    await redis.stop();
    made.remove();
  });

  async function startNode(serverId: string, how: AppOptions['how']): Promise<AppProcess> {
    const entities = { item: { replyTimeout: REQUESTS_MS } };
    const redisOptions = { host: '127.0.0.1', port: redis.port };
    // A busy machine must not cost a lease, by which a node would not be ready.
    const grpc = { nodeTTLMs: 10_000, leaderTTLMs: 10_000, redisHealthFailureThreshold: 10 };
    const config = { redis: redisOptions, keyPrefix: 'http', serverId, shutdownGraceMs: 15_000, entities, grpc };
    const app = await AppProcess.start(made, { how, balancerMs: BALANCER_MS, requestsMs: REQUESTS_MS, config });
    apps.push(app);
    balancer.add(app.url);
    return app;
  }

  const served = async (): Promise<void> => {
    const { length } = clients.visits;
    const servers = () => new Set(clients.visits.slice(length).map(({ visited }) => visited.serverId));
    await expect.poll(() => servers().size, { timeout: 15_000 }).toBe(2);
    await sleep(STEADY_MS);
  };

  /** Ends it by SIGTERM, and starts another one under its name that closes in order. Resolves with how it ended. */
  async function replace(old: AppProcess): Promise<number | string | null> {
    await served();
    old.signal('SIGTERM');
    const ended = await old.ended();
    balancer.remove(old.url);
    nodes[nodes.indexOf(old)] = await startNode(old.serverId, 'in order');
    return ended;
  }

  it('requests fail where a node is ended by the shutdown hooks alone', async () => {
    expect(await replace(nodes[0] as AppProcess)).toBe('SIGTERM');
    expect(clients.failures.map(({ status }) => status)).toContain(500);
  });

  it('no request fails where both are replaced by the recipe of the guide', async () => {
    clients.failures.length = 0;
    for (const old of [...nodes].reverse()) {
      expect(await replace(old)).toBe(0);
      expect(old.stderr).toBe('');
    }
    await served();
    await clients.stop();

    expect(clients.failures).toEqual([]);
    expect(clients.visits.length).toBeGreaterThan(200);
    const sequences = clients.visits.flatMap(({ id, visited }) => visited.sequences.map((sequence) => `${id} ${sequence}`));
    expect(new Set(sequences).size).toBe(sequences.length);
    expect(await counts()).toMatchObject({ depth: 0, letters: 0 });
  });

  it('a node is not ready from the signal on, still serves, and answers all that it has accepted', async () => {
    const [app] = nodes as [AppProcess];
    const agents = Array.from({ length: 5 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    const [agent] = agents;
    const brief = () => ask(`${app.url}/items/brief?times=1&ms=0`, { agent });
    const ready = () => ask(`${app.url}/ready`, { method: 'GET' });
    expect((await ready()).status).toBe(200);

    // Of one entity, so they take 2.8 s: each makes its last call when the server has closed.
    const slow = agents.slice(1).map((kept) => ask(`${app.url}/items/slow?times=2&ms=350`, { agent: kept }));
    expect(await brief()).toMatchObject({ status: 201, connection: 'keep-alive' });
    app.signal('SIGTERM');
    await expect.poll(async () => (await ready()).status).toBe(503);
    expect(await brief()).toMatchObject({ status: 201, connection: 'close' });

    const answers = await Promise.all(slow);
    expect(answers.map(({ status, connection }) => [status, connection])).toEqual(slow.map(() => [201, 'close']));
    expect(await app.ended()).toBe(0);
    expect((await ready()).status).toBe(0);
    for (const kept of agents) kept.destroy();
  });

  async function counts() {
    const connection = { host: '127.0.0.1', port: redis.port };
    const store = new RedisStore({ connection, keyPrefix: 'http', storeCallTimeoutMs: 5000, clock: new SystemClock() });
    await store.open();
    try {
      return await store.control({ op: 'counts' });
    } finally {
      await store.close();
    }
  }
});
