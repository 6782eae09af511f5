import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject } from '@nestjs/common';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../demo/machine.js';
import { AtomicQueuesModule, EntityType, type IGrpcConfig, QueueBus, QueueEntityId } from '../../src/index.js';
import { LineLogger, startApp } from '../nest/app.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { type Transpiled, transpile } from '../support/transpiled.js';

const WHERE = Symbol('where');

@EntityType('account')
class Who {
  constructor(@QueueEntityId() readonly id: string) {}
}

@CommandHandler(Who)
class WhoHandler implements ICommandHandler<Who> {
  constructor(@Inject(WHERE) private readonly where: string) {}

  async execute(): Promise<string> {
    return this.where;
  }
}

/** The wait for a port is three TTLs. */
const QUICK: IGrpcConfig = { heartbeatMs: 100, nodeTTLMs: 500, leaderTTLMs: 1000, leaderRenewalMs: 200 };
const CALLS = 40;
const SERIES = 3;
const MEDIAN_MS_MAX = 20;

describeRedis('two applications on one Redis, over gRPC', () => {
  let redis: RedisServer;
  /** As JavaScript: only there is the file that the thread of the lease runs. */
  let compiled: Transpiled;
  let Compiled: typeof AtomicQueuesModule;
  beforeAll(async () => {
    redis = await startRedis();
    compiled = transpile('grpc-apps', 'src');
    // By Node itself: the test runner would transform every file of it once more.
    const load = createRequire(import.meta.url) as (path: string) => typeof import('../../src/index.js');
    Compiled = load(join(compiled.dir, 'src/index.js')).AtomicQueuesModule;
  });
  afterAll(async () => {
    compiled.remove();
    await redis.stop();
  });

  async function start(serverId: string, keyPrefix: string, grpc: IGrpcConfig = {}, logger = new LineLogger()) {
    const address = `127.0.0.1:${await freePort()}`;
    const addresses = { listenAddress: address, advertisedAddress: address };
    const config = { redis: { host: '127.0.0.1', port: redis.port }, keyPrefix, serverId };
    const queues = [AtomicQueuesModule.forRoot({ ...config, grpc: { enabled: true, ...addresses, ...grpc } })];
    const app = await startApp({ queues, providers: [WhoHandler, { provide: WHERE, useValue: serverId }], logger });
    const bus: QueueBus = app.get(QueueBus);
    return { bus, address, app, logger };
  }

  /** The least of several: what else runs on the machine makes some of them larger, and none smaller. */
  async function leastMs(bus: QueueBus, id: string, where: string): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < SERIES; i++) least = Math.min(least, await medianMs(bus, id, where));
    return least;
  }

  async function medianMs(bus: QueueBus, id: string, where: string): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < CALLS; i++) {
      const startMs = performance.now();
      expect(await bus.enqueueAndWait(new Who(id))).toBe(where);
      times.push(performance.now() - startMs);
    }
    return times.sort((a, b) => a - b)[CALLS / 2] as number;
  }

  /** An id that the ring gives to that application. */
  async function idOf(bus: QueueBus, where: string): Promise<string> {
    for (let i = 0; i < 100; i++) if ((await bus.enqueueAndWait(new Who(`e${i}`))) === where) return `e${i}`;
    throw new Error(`${where} owns nothing`);
  }

  test('a call for an entity that the other one owns is answered by that one, at once, in both directions', async () => {
    const [a, b] = [await start('a', 'two', { authToken: 't' }), await start('b', 'two', { authToken: 't' })];
    const [ofA, ofB] = [await idOf(b.bus, 'a'), await idOf(a.bus, 'b')];
    const medians = { fromB: await leastMs(b.bus, ofA, 'a'), fromA: await leastMs(a.bus, ofB, 'b') };
    const localMs = await leastMs(a.bus, ofA, 'a');
    process.stdout.write(
      `a call over gRPC: ${JSON.stringify(medians)} ms, local ${localMs} ms (least median of ${CALLS} in ${SERIES})\n`,
    );
    expect(medians.fromB).toBeLessThan(MEDIAN_MS_MAX);
    expect(medians.fromA).toBeLessThan(MEDIAN_MS_MAX);
    for (const { logger } of [a, b]) expect(logger.lines.filter((line) => line.includes('gRPC'))).toEqual([]);
  });

  test('an application that starts later is served from its first call on, and one that leaves is not waited for', async () => {
    const a = await start('a', 'late');
    const b = await start('b', 'late');
    const startMs = performance.now();
    await Promise.all(Array.from({ length: 20 }, (_, i) => b.bus.enqueueAndWait(new Who(`e${i}`))));
    await Promise.all(Array.from({ length: 20 }, (_, i) => a.bus.enqueueAndWait(new Who(`e${i}`))));
    expect(performance.now() - startMs).toBeLessThan(1000);
    const closingMs = performance.now();
    await a.app.close();
    expect(performance.now() - closingMs).toBeLessThan(2000);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => b.bus.enqueueAndWait(new Who(`e${i}`))));
    expect(new Set(answers)).toEqual(new Set(['b']));
  });

  test('without the same token they are no less safe: slower, and said once', async () => {
    const [a, b] = [await start('a', 'token', { authToken: 'one' }), await start('b', 'token', { authToken: 'other' })];
    const answers = await Promise.all(
      [a, b].flatMap(({ bus }) => Array.from({ length: 6 }, (_, i) => bus.enqueueAndWait(new Who(`e${i}`)))),
    );
    expect(answers.slice(0, 6)).toEqual(answers.slice(6));
    const refusals = (lines: string[]): string[] => lines.filter((line) => line.includes('its token is wrong'));
    await expect.poll(() => refusals(a.logger.lines).length + refusals(b.logger.lines).length).toBeGreaterThan(0);
    expect(refusals(a.logger.lines).length).toBeLessThan(2);
  });

  test('a taken port fails the start with a line that says so, and leaves nothing behind', async () => {
    const a = await start('a', 'taken');
    const admin = new Redis({ port: redis.port });
    const connections = async (): Promise<number> =>
      String(await admin.client('LIST'))
        .trim()
        .split('\n').length;
    const before = await connections();
    const logger = new LineLogger();
    for (let i = 0; i < 2; i++) {
      const grpc = { ...QUICK, enabled: true, listenAddress: a.address, advertisedAddress: a.address };
      const config = { redis: { host: '127.0.0.1', port: redis.port }, keyPrefix: 'taken', serverId: 'b', grpc };
      const message = `grpc.listenAddress ${a.address}: cannot listen there, the port is taken`;
      await expect(startApp({ queues: [Compiled.forRoot(config)], logger })).rejects.toThrow(message);
    }
    const other = `127.0.0.1:${await freePort()}`;
    const grpc = { enabled: true, listenAddress: other, advertisedAddress: other };
    const config = { redis: { host: '127.0.0.1', port: redis.port }, keyPrefix: 'taken', serverId: 'c', grpc };
    await startApp({ queues: [Compiled.forRoot(config)], logger });
    // Its store's connection, and that of its thread; a thread of the starts before would have connected by then.
    await expect.poll(connections, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + 2);
    await sleep(500);
    expect(await connections()).toBe(before + 2);
    expect(logger.lines.filter((line) => line.includes('no thread'))).toEqual([]);
    admin.disconnect();
    // It never joined, so its name is free at once.
    const startMs = performance.now();
    await start('b', 'taken');
    expect(performance.now() - startMs).toBeLessThan(1400);
  });

  test('a start on the port of a predecessor that drains waits for it', async () => {
    const a = await start('a', 'successor');
    const closing = sleep(400).then(() => a.app.close());
    const next = await start('a', 'successor', { listenAddress: a.address, advertisedAddress: a.address });
    await closing;
    expect(await next.bus.enqueueAndWait(new Who('x'))).toBe('a');
  });

  test('an advertised address that leads nowhere is warned about', async () => {
    const { logger } = await start('a', 'nowhere', { advertisedAddress: `127.0.0.1:${await freePort()}` });
    await expect.poll(() => logger.lines.filter((line) => line.includes('does not lead to this node'))).toHaveLength(1);
  });
});
