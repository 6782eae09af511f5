/**
 * Async contexts of callers (AsyncLocalStorage and what is built on it): a handler starts in an empty one, a caller has its own
 * after the await, and nothing that outlives a call is created in it.
 */
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import { CommandBus, CommandHandler } from '@nestjs/cqrs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../demo/machine.js';
import { type AtomicQueuesConfig, DeadLetters, EntityContext, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { startApp } from './app.js';

const caller = new AsyncLocalStorage<string>();

@EntityType('account')
class Look {
  constructor(
    @QueueEntityId() readonly id: string,
    readonly then: 'end' | 'enter' | 'fail' | 'ask' | 'send' = 'end',
  ) {}
}

interface Seen {
  readonly id: string;
  readonly atStart: string | undefined;
  readonly later: string | undefined;
}

let seen: Seen[] = [];
let tried = new Map<string, number>();
beforeEach(() => {
  seen = [];
  tried = new Map();
});

@CommandHandler(Look)
class LookHandler {
  async execute({ id, then }: Look): Promise<string> {
    const atStart = caller.getStore();
    const attempt = EntityContext.current().attempt;
    tried.set(id, attempt);
    if (then === 'enter') caller.enterWith(`of the handler of ${id}`);
    await sleep(1);
    seen.push({ id, atStart, later: then === 'enter' ? undefined : caller.getStore() });
    if (then === 'fail') throw new Error('not today');
    if (then === 'send') EntityContext.current().enqueue(new Look(`${id}-sent`));
    return `${EntityContext.current().entityId} by ${caller.getStore() ?? 'nobody'}`;
  }
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `e${i}`);
const strangers = (): readonly Seen[] => seen.filter(({ atStart, later }) => atStart !== undefined || later !== undefined);

/** Kinds of async resources that `act` and what follows from it create in a caller's context, but for promises. */
async function createdIn(act: () => unknown): Promise<readonly string[]> {
  const kinds: string[] = [];
  const hook = createHook({
    init(_id, kind) {
      if (kind !== 'PROMISE' && caller.getStore() === 'watched') kinds.push(kind);
    },
  }).enable();
  await caller.run('watched', async () => {
    await Promise.allSettled([act()]);
  });
  await sleep(30);
  hook.disable();
  return kinds;
}

function suite(start: (config?: AtomicQueuesConfig) => Promise<INestApplicationContext>): void {
  test('50 callers of one tick: no handler sees one of them, and each has its own after its await', async () => {
    const bus = (await start()).get<QueueBus>(QueueBus);
    const own = await Promise.all(
      ids(50).map((id) =>
        caller.run(id, async () => {
          const reply = await bus.enqueueAndWait(new Look(id));
          return [reply, caller.getStore()];
        }),
      ),
    );
    expect(own).toEqual(ids(50).map((id) => [`${id} by nobody`, id]));
    expect(seen).toHaveLength(50);
    expect(strangers()).toEqual([]);
  });

  test.each<[string, (app: INestApplicationContext, id: string) => Promise<unknown>]>([
    ['enqueue', (app, id) => app.get(QueueBus).enqueue(new Look(id))],
    ['enqueueBulk', (app, id) => app.get(QueueBus).enqueueBulk([new Look(id), new Look(`${id}-2`)])],
    ['a routed command', (app, id) => app.get(CommandBus).execute(new Look(id))],
    ['a transactional send', (app, id) => app.get(QueueBus).enqueueAndWait(new Look(id, 'send'))],
    ['a message that fails and is tried again', (app, id) => app.get(QueueBus).enqueue(new Look(id, 'fail'))],
    [
      'a call that its caller aborts',
      (app, id) =>
        app
          .get(QueueBus)
          .enqueue(new Look(id))
          .finally(() => abortOne(app, id)),
    ],
  ])('the first call is %s: handlers start in an empty context', async (_, call) => {
    const app = await start({ entities: { account: { retry: { maxAttempts: 2, backoff: 'fixed', backoffDelay: 20 } } } });
    for (const id of ids(3)) {
      await caller.run(id, async () => {
        await call(app, id);
        expect(caller.getStore()).toBe(id);
      });
    }
    const isDone = (): boolean => app.get(QueueBus).health().running === 0 && seen.length >= 3;
    await expect.poll(isDone).toBe(true);
    await sleep(80);
    await expect.poll(isDone).toBe(true);
    expect(strangers()).toEqual([]);
  });

  test('a context that a handler enters is not that of the handlers beside it and after it', async () => {
    const bus = (await start()).get<QueueBus>(QueueBus);
    const enter = ids(20).map((id, i) => new Look(id, i % 2 === 0 ? 'enter' : 'end'));
    for (let round = 0; round < 3; round++) await Promise.all(enter.map((message) => bus.enqueueAndWait(message)));
    expect(seen).toHaveLength(60);
    expect(strangers()).toEqual([]);
  });

  test('a listener of dead letters runs in an empty context, and one that enters another keeps it to itself', async () => {
    const app = await start();
    const heard: unknown[] = [];
    caller.run('registrar', () =>
      app.get(DeadLetters).onDeadLetter(() => {
        heard.push(caller.getStore());
        caller.enterWith('of the listener');
      }),
    );
    const bus = app.get<QueueBus>(QueueBus);
    await Promise.allSettled(ids(10).map((id) => caller.run(id, () => bus.enqueueAndWait(new Look(id, 'fail')))));
    await Promise.all(ids(10).map((id) => bus.enqueueAndWait(new Look(id))));
    expect(heard).toEqual(new Array(10).fill(undefined));
    expect(strangers()).toEqual([]);
  });

  test('no timer, socket or thread is created in the context of a call', async () => {
    const app = await start();
    const bus = app.get<QueueBus>(QueueBus);
    // What a first use makes is made in the first of these.
    const calls: Readonly<Record<string, () => unknown>> = {
      depth: () => bus.depth(),
      enqueue: () => bus.enqueue(new Look('a')),
      enqueueAndWait: () => bus.enqueueAndWait(new Look('b')),
      enqueueBulk: () => bus.enqueueBulk([new Look('c'), new Look('d', 'fail')]),
      'an unknown message': () => bus.enqueue('account', 'Nothing', 'a', {}),
      'a wait that ends': () => bus.enqueueAndWait(new Look('e'), { timeoutMs: 1, onTimeout: 'withdraw' }),
      'an aborted wait': () => abortOne(app, 'f'),
      'dead letters': async () => {
        const letters = app.get(DeadLetters);
        await letters.count();
        await letters.list();
        await letters.replayAll({});
        await letters.purgeAll({});
      },
      stop: () => app.close(),
    };
    const created: Record<string, readonly string[]> = {};
    for (const [name, call] of Object.entries(calls)) created[name] = await createdIn(call);
    expect(created).toEqual(Object.fromEntries(Object.keys(calls).map((name) => [name, []])));
  });
}

/** Sends a message and ends the wait for it at once, with the wish to take it back. */
async function abortOne(app: INestApplicationContext, id: string): Promise<void> {
  const ending = new AbortController();
  const waiting = app.get(QueueBus).enqueueAndWait(new Look(id), { signal: ending.signal, onTimeout: 'withdraw' });
  await Promise.resolve();
  ending.abort();
  await waiting.catch(() => undefined);
}

describe('async contexts of callers, on memory', () => {
  suite((config) => startApp({ providers: [LookHandler], config: { ...config } }));
});

describeRedis('async contexts of callers, on Redis', () => {
  let redis: RedisServer;
  let prefixes = 0;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  suite((config) =>
    startApp({
      providers: [LookHandler],
      config: { ...config, store: 'redis', redis: { url: redis.url }, keyPrefix: `context-${++prefixes}` },
    }),
  );

  test('an application that is started and stopped in a context runs what it finds, and what it drains, outside of it', async () => {
    const keyPrefix = `context-${++prefixes}`;
    const config: AtomicQueuesConfig = { store: 'redis', redis: { url: redis.url }, keyPrefix };
    const start = (): Promise<INestApplicationContext> => startApp({ providers: [LookHandler], config });
    const messages = ids(40).map(() => new Look('a'));
    const first = await start();
    await first.get(QueueBus).enqueueBulk(messages);
    await first.close();
    const before = seen.length;
    const second = await caller.run('starter', start);
    await expect.poll(() => seen.length).toBe(messages.length);
    expect(before).toBeLessThan(messages.length);
    await second.get(QueueBus).enqueueBulk(messages);
    await caller.run('stopper', () => second.close());
    expect(seen.length).toBeGreaterThan(messages.length);
    expect(strangers()).toEqual([]);
  });

  test.each(['pub/sub', 'gRPC'])('between two nodes over %s: handlers on both start in an empty context', async (network) => {
    const keyPrefix = `context-${++prefixes}`;
    const node = async (serverId: string): Promise<INestApplicationContext> => {
      const address = `127.0.0.1:${await freePort()}`;
      const grpc = { enabled: network === 'gRPC', listenAddress: address, advertisedAddress: address, authToken: 't' };
      const config: AtomicQueuesConfig = { store: 'redis', redis: { url: redis.url }, keyPrefix, serverId, grpc };
      return caller.run(`starter of ${serverId}`, () => startApp({ providers: [LookHandler], config }));
    };
    const apps = [await node('a'), await node('b')];
    for (let round = 0; round < 2; round++) {
      const calls = ids(40).map((id, i) =>
        caller.run(id, async () => {
          await apps[i % 2]!.get(QueueBus).enqueueAndWait(new Look(id, i % 3 === 0 ? 'send' : 'end'));
          return caller.getStore();
        }),
      );
      expect(await Promise.all(calls)).toEqual(ids(40));
    }
    expect(await createdIn(() => apps[0]!.get(QueueBus).enqueueAndWait(new Look('last', 'send')))).toEqual([]);
    expect(apps.map((app) => app.get(QueueBus).health().owned > 0)).toEqual([true, true]);
    expect(strangers()).toEqual([]);
  });
});
