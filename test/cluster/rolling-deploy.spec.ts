import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../demo/machine.js';
import { Random } from '../../demo/random.js';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { type Transpiled, transpile } from '../support/transpiled.js';
import type { Answer, AppOptions, Handled } from './app.js';
import { AppProcess } from './process.js';

const NODES = 3;
const LANES = 12;
const ITEMS = 30;
const HANDLER_MS_MAX = 30;
/** Of load before, between and after the replacements. */
const STEADY_MS = 700;

describeRedis('a rolling deploy under load', () => {
  let redis: RedisServer;
  let program: Transpiled;
  const all: AppProcess[] = [];

  beforeAll(async () => {
    program = transpile('rolling-deploy', 'src', 'test/cluster');
    redis = await startRedis();
  });
  afterAll(async () => {
    for (const node of all) node.kill();
    await redis.stop();
    program.remove();
  });

  async function start(serverId: string, code: AppOptions['code']): Promise<AppProcess> {
    const address = `127.0.0.1:${await freePort()}`;
    const grpc = { enabled: true, listenAddress: address, advertisedAddress: address };
    const options = { redisUrl: redis.url, keyPrefix: 'rolling', serverId, grpc, code };
    const node = new AppProcess(`${program.dir}/test/cluster/app.js`, options);
    all.push(node);
    return node.ready();
  }

  it('costs no dead letter and no caller an error', async () => {
    const serving: AppProcess[] = [];
    const renewed = new Set<AppProcess>();
    for (let i = 0; i < NODES; i++) serving.push(await start(`node-${i}`, 'old'));

    const failures: Answer[] = [];
    const handled = new Map<string, Handled[]>();
    let isLoading = true;
    const lane = async (random: Random): Promise<void> => {
      while (isLoading) {
        const node = serving[random.between(0, serving.length - 1)] as AppProcess;
        const name = renewed.has(node) && random.chance(0.5) ? 'Inspect' : 'Visit';
        const id = `i${random.between(0, ITEMS - 1)}`;
        const answer = await node.call({ name, id, forMs: random.between(0, HANDLER_MS_MAX) });
        if (answer.ok) handled.set(id, [...(handled.get(id) ?? []), answer.handled]);
        else failures.push(answer);
      }
    };
    const lanes = Array.from({ length: LANES }, (_, i) => lane(new Random(1, `lane ${i}`)));

    try {
      await sleep(STEADY_MS);
      for (let i = 0; i < NODES; i++) {
        // What a load balancer does: nothing new for the one that leaves; what it has, it answers.
        const [old] = serving.splice(0, 1) as [AppProcess];
        expect(await old.terminate()).toBe(0);
        const node = await start(old.serverId, 'new');
        renewed.add(node);
        serving.push(node);
        await sleep(STEADY_MS);
      }
    } finally {
      isLoading = false;
    }
    await Promise.all(lanes);

    expect(failures).toEqual([]);
    const answers = [...handled.values()].flat();
    expect(answers.length).toBeGreaterThan(500);
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set(['old', 'new']));
    expect(new Set(answers.map(({ serverId }) => serverId)).size).toBe(NODES);
    for (const [id, ofItem] of handled) expect(new Set(ofItem.map(({ sequence }) => sequence)).size, id).toBe(ofItem.length);
    expect(await counts()).toMatchObject({ depth: 0, letters: 0 });
  });

  async function counts() {
    const connection = { host: '127.0.0.1', port: redis.port };
    const store = new RedisStore({ connection, keyPrefix: 'rolling', storeCallTimeoutMs: 5000, clock: new SystemClock() });
    await store.open();
    try {
      return await store.control({ op: 'counts' });
    } finally {
      await store.close();
    }
  }
});
