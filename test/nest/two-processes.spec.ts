import { Inject } from '@nestjs/common';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { placeOf } from '../../src/core/placement/rendezvous.js';
import { AtomicQueuesModule, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { startApp } from './app.js';

const WHERE = Symbol('where');

@EntityType('account')
class WhoAndHowMany {
  constructor(@QueueEntityId() readonly id: string) {}
}

/** What the handlers of all applications saw, by entity: running at once, and how many. */
const entities = new Map<string, { running: number; runs: number }>();

@CommandHandler(WhoAndHowMany)
class WhoAndHowManyHandler implements ICommandHandler<WhoAndHowMany> {
  constructor(@Inject(WHERE) private readonly where: string) {}

  async execute({ id }: WhoAndHowMany): Promise<{ where: string; runs: number }> {
    const entity = entities.get(id) ?? { running: 0, runs: 0 };
    entities.set(id, entity);
    if (entity.running !== 0) throw new Error(`two handlers of ${id} at once`);
    entity.running++;
    await new Promise((resolve) => setTimeout(resolve, 1));
    entity.running--;
    return { where: this.where, runs: ++entity.runs };
  }
}

const CALLS = 20;
/** A call whose hints are lost takes as long as a sweep, which is far beyond what a loaded machine needs for one; so is the lease. */
const TIMING = { reconcileIntervalMs: 60_000, nodeTTLMs: 30_000 };
const WITHOUT_SWEEP_MS = 15_000;

/** An id of which that one of a and b is the preferred node, so that the entity stays there when it is idle. */
function idAt(serverId: string): string {
  const places = ['a', 'b'].map((name, i) => ({ incarnation: i + 1, serverId: name }));
  for (let i = 0; ; i++) if (placeOf(`account:of ${i}`, places)?.serverId === serverId) return `of ${i}`;
}

describeRedis('two applications on one Redis, without gRPC', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  beforeEach(() => entities.clear());

  async function startNode(serverId: string, keyPrefix: string): Promise<QueueBus> {
    const queues = [
      AtomicQueuesModule.forRoot({ redis: { host: '127.0.0.1', port: redis.port }, keyPrefix, serverId, grpc: TIMING }),
    ];
    const providers = [WhoAndHowManyHandler, { provide: WHERE, useValue: serverId }];
    return (await startApp({ queues, providers })).get(QueueBus);
  }

  async function medianMs(bus: QueueBus, id: string, where: string): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < CALLS; i++) {
      const startMs = performance.now();
      expect(await bus.enqueueAndWait(new WhoAndHowMany(id))).toMatchObject({ where });
      times.push(performance.now() - startMs);
    }
    return times.sort((a, b) => a - b)[CALLS / 2] as number;
  }

  test('a call for an entity that the other one owns is answered by that one, at once, in both directions', async () => {
    const [a, b] = [await startNode('a', 'two'), await startNode('b', 'two')];
    const [ofA, ofB] = [idAt('a'), idAt('b')];
    expect(await a.enqueueAndWait(new WhoAndHowMany(ofA))).toEqual({ where: 'a', runs: 1 });
    expect(await b.enqueueAndWait(new WhoAndHowMany(ofB))).toEqual({ where: 'b', runs: 1 });
    const medians = { fromB: await medianMs(b, ofA, 'a'), fromA: await medianMs(a, ofB, 'b') };
    process.stdout.write(`a call over pub/sub: ${JSON.stringify(medians)} ms (medians of ${CALLS})\n`);
    expect(medians.fromB).toBeLessThan(WITHOUT_SWEEP_MS / CALLS);
    expect(medians.fromA).toBeLessThan(WITHOUT_SWEEP_MS / CALLS);
  });

  test('both at once call the same entities: one at a time, and no call waits for a sweep', async () => {
    const buses = [await startNode('a', 'both'), await startNode('b', 'both')];
    const ids = ['x', 'y:{z}', '😀\n%'];
    const startMs = performance.now();
    const calls = ids.flatMap((id) =>
      buses.flatMap((bus) => Array.from({ length: CALLS }, () => bus.enqueueAndWait(new WhoAndHowMany(id)))),
    );
    const runs = (await Promise.all(calls)).map((answer) => (answer as { runs: number }).runs);
    expect(performance.now() - startMs).toBeLessThan(WITHOUT_SWEEP_MS);
    const each = Array.from({ length: 2 * CALLS }, (_, i) => i + 1);
    expect(runs.sort((a, b) => a - b)).toEqual(each.flatMap((n) => ids.map(() => n)));
  });

  test('an application that starts after the entity was taken is heard from its first call on', async () => {
    const id = idAt('a');
    const a = await startNode('a', 'late');
    await a.enqueueAndWait(new WhoAndHowMany(id));
    const b = await startNode('b', 'late');
    const startMs = performance.now();
    expect(await b.enqueueAndWait(new WhoAndHowMany(id))).toEqual({ where: 'a', runs: 2 });
    expect(performance.now() - startMs).toBeLessThan(WITHOUT_SWEEP_MS);
  });
});
