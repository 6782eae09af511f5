import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { beforeEach, describe, expect, it } from 'vitest';
import { type DeadLetterEvent, DeadLetters, EntityContext, EntityType, QueueBus, QueueEntityId } from '../../src/index.js';
import { errorOf, LineLogger, startApp } from './app.js';

@EntityType('account')
class Charge {
  constructor(
    @QueueEntityId() readonly accountId: string,
    readonly amount: number,
  ) {}
}

@EntityType('order')
class Ship {
  constructor(@QueueEntityId() readonly orderId: string) {}
}

let isBroken = true;
const ran: string[] = [];

@CommandHandler(Charge)
class ChargeHandler implements ICommandHandler<Charge> {
  async execute({ accountId, amount }: Charge): Promise<void> {
    ran.push(`${accountId} ${amount} ${EntityContext.current().attempt}`);
    if (isBroken) throw new TypeError(`no connection for ${amount}`);
  }
}

@CommandHandler(Ship)
class ShipHandler implements ICommandHandler<Ship> {
  async execute(): Promise<void> {
    throw new Error('out of stock');
  }
}

async function start(logger?: LineLogger) {
  // A replay is found by the sweep.
  const config = { grpc: { reconcileIntervalMs: 100 }, entities: { account: { retry: { maxAttempts: 2, backoffDelay: 1 } } } };
  const app = await startApp({ config, providers: [ChargeHandler, ShipHandler], ...(logger === undefined ? {} : { logger }) });
  return { app, bus: app.get<QueueBus>(QueueBus), dead: app.get(DeadLetters) };
}

const failed = (bus: QueueBus, message: object) => errorOf('HANDLER_FAILED', bus.enqueueAndWait(message));

/** Waits until it holds; the last failure is thrown after five seconds. */
async function eventually(check: () => unknown): Promise<void> {
  const deadlineMs = Date.now() + 5000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

beforeEach(() => {
  isBroken = true;
  ran.length = 0;
});

describe('a dead letter', () => {
  it('keeps what died, why, when, and its trace', async () => {
    const { bus, dead } = await start();
    const startMs = Date.now();
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Charge('a:1 {x}', 5), { id: 'k%1', headers: { traceparent } }));
    const [letter] = (await dead.list()).letters;
    expect(letter).toMatchObject({
      ...{ id: '1', entityType: 'account', entityId: 'a:1 {x}', name: 'Charge', payload: { accountId: 'a:1 {x}', amount: 5 } },
      ...{ messageId: 'k%1', sequence: 1, attempts: 2, reason: 'failed', traceId: '4bf92f3577b34da6a3ce929d0e0e4736' },
      error: { name: 'TypeError', message: 'no connection for 5' },
      ...{ headers: { traceparent }, late: null, replayOf: null, replayedAs: null },
    });
    expect(letter?.enqueuedAtMs).toBeGreaterThanOrEqual(startMs - 1000);
    expect(letter?.diedAtMs).toBeGreaterThanOrEqual(letter?.enqueuedAtMs ?? 0);
    expect(await dead.show('1')).toEqual(letter);
    for (const id of ['2', '0', '', 'x', '1e3', '-1', '99999999999999999999']) expect(await dead.show(id)).toBeUndefined();
  });

  it('is told to the listeners, once for each; one that throws hinders nobody and is logged', async () => {
    const logger = new LineLogger();
    const { bus, dead } = await start(logger);
    const told: DeadLetterEvent[] = [];
    dead.onDeadLetter(() => {
      throw new Error('listener broke');
    });
    dead.onDeadLetter(() => Promise.reject(new Error('listener rejected')));
    const end = dead.onDeadLetter((event) => told.push(event));
    await errorOf('HANDLER_FAILED', bus.enqueueAndWait(new Charge('a\n1', 5), { id: 'k%1' }));
    await failed(bus, new Ship('o'));
    end();
    await failed(bus, new Ship('o'));
    expect(told).toEqual([
      { entityType: 'account', entityId: 'a\n1', messageId: 'k%1', name: 'Charge', reason: 'failed' },
      { entityType: 'order', entityId: 'o', messageId: expect.any(String), name: 'Ship', reason: 'failed' },
    ]);
    for (const fault of ['listener broke', 'listener rejected'])
      expect(logger.lines.filter((line) => line.includes(fault))).toHaveLength(3);
  });
});

it.each([
  ['cause, code and fields', () => Object.assign(new Error('outer', { cause: new TypeError('inner') }), { code: 'E1', row: 7 })],
  ['an object', () => ({ code: 'E1', row: 7, why: 'caused by' })],
  ['an object without a text', () => Object.assign(Object.create(null), { code: 'E1', row: 7, why: 'caused by' })],
])('what a listener throws is logged whole: %s', async (_, thrown) => {
  const logger = new LineLogger();
  const { bus, dead } = await start(logger);
  dead.onDeadLetter(() => {
    throw thrown();
  });
  await failed(bus, new Ship('o'));
  await eventually(async () => expect(logger.lines.join('\n')).toContain('a listener of onDeadLetter threw'));
  const line = logger.lines.find((text) => text.includes('a listener of onDeadLetter threw'));
  expect(line).toMatch(/"code":"E1"[\s\S]*"row":7[\s\S]*/);
  expect(line).toContain('caused by');
});

describe('a replay', () => {
  it('runs the message once more under another id, is refused a second time, and both name each other', async () => {
    const { bus, dead } = await start();
    await failed(bus, new Charge('a', 5));
    const outcome = await dead.replay('1');
    expect(outcome).toMatchObject({ ok: true, sequence: 2 });
    expect(await dead.replay('1')).toMatchObject({ ok: false, why: 'replayed', message: 'dead letter 1 was replayed already' });
    expect(await dead.replay('1', { force: true })).toMatchObject({ ok: false, why: 'replayed' });
    expect(await dead.replay('7')).toMatchObject({ ok: false, why: 'absent' });
    await eventually(async () => expect(await dead.count()).toBe(2));
    expect(ran).toEqual(['a 5 1', 'a 5 2', 'a 5 1', 'a 5 2']);
    const { letters } = await dead.list();
    expect(letters[0]?.replayedAs).toBe(outcome.ok && outcome.messageId);
    expect(letters[1]).toMatchObject({ messageId: letters[0]?.replayedAs, replayOf: '1', replayedAs: null });
  });

  it('of all that match takes each once, and none that died since it began', async () => {
    const { bus, dead } = await start();
    for (const id of ['a', 'b', 'c']) await failed(bus, new Charge(id, 1));
    await failed(bus, new Ship('o'));
    await dead.replay('2');
    await eventually(async () => expect(await dead.count()).toBe(5));
    const before = ran.length;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await dead.replayAll({ entityType: 'account' }, { dryRun: true })).toEqual({
      done: 3,
      refused: {},
      stopped: undefined,
      lastLetter: '5',
    });
    expect(ran).toHaveLength(before);
    const seen: number[] = [];
    const startMs = performance.now();
    const onProgress = ({ done }: { done: number }) => void seen.push(done);
    const result = await dead.replayAll({ entityType: 'account' }, { perSecond: 20, onProgress });
    expect(result).toEqual({ done: 3, refused: {}, stopped: undefined, lastLetter: '5' });
    expect(performance.now() - startMs).toBeGreaterThan(95);
    expect(seen).toEqual([1, 2, 3]);
    await eventually(async () => expect(await dead.count()).toBe(8));
    expect(
      ran
        .slice(before)
        .map((line) => line[0])
        .sort(),
    ).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
  });

  it('of more than a page ends, though each dies again while it goes on', async () => {
    const { bus, dead } = await start();
    const many = Array.from({ length: 260 }, (_, i) => new Ship(`o${i}`));
    await bus.enqueueBulk(many);
    await eventually(async () => expect(await dead.count()).toBe(260));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await dead.replayAll({}, { perSecond: 400 })).toEqual({
      done: 260,
      refused: {},
      stopped: undefined,
      lastLetter: '260',
    });
    await eventually(async () => expect(await dead.count()).toBe(520));
  });

  it('ends between two letters when it is told to', async () => {
    const { bus, dead } = await start();
    for (const id of ['a', 'b', 'c']) await failed(bus, new Ship(id));
    const stop = new AbortController();
    const result = await dead.replayAll({}, { signal: stop.signal, onProgress: ({ done }) => done === 2 && stop.abort() });
    expect(result).toEqual({ done: 2, refused: {}, stopped: 'aborted', lastLetter: '3' });
    expect((await dead.list({ replayed: true })).letters.map(({ id }) => id)).toEqual(['1', '2']);
  });
});

describe('the list', () => {
  it('comes in pages, and by what is asked for', async () => {
    const { bus, dead } = await start();
    for (const id of ['a', 'b', 'a']) await failed(bus, new Charge(id, 1));
    await failed(bus, new Ship('a'));
    const ids = async (options: Parameters<typeof dead.list>[0]) => (await dead.list(options)).letters.map(({ id }) => id);
    const first = await dead.list({ limit: 3 });
    expect(first.letters.map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(await dead.list({ limit: 3, after: first.next })).toMatchObject({ letters: [{ id: '4' }], next: undefined });
    expect(await ids({ entityType: 'account', entityId: 'a' })).toEqual(['1', '3']);
    expect(await ids({ reason: 'interrupted' })).toEqual([]);
    const since = (await dead.show('3'))?.diedAtMs;
    expect(await ids({ sinceMs: since, entityType: 'order' })).toEqual(['4']);
    expect(await ids({ sinceMs: Date.now() + 60_000 })).toEqual([]);
    await dead.replay('2');
    expect(await ids({ replayed: true })).toEqual(['2']);
  });

  it('refuses what it cannot mean', async () => {
    const { dead } = await start();
    for (const wrong of [{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { after: 'x' }, { entityId: 'a' }]) {
      await errorOf('CONFIG_INVALID', dead.list(wrong));
    }
    await errorOf('INVALID_ENTITY_ID', dead.list({ entityType: 'account', entityId: '' }));
    await errorOf('CONFIG_INVALID', dead.replayAll({}, { perSecond: 0 }));
  });

  it('takes no filter for "all" that cannot match anything', async () => {
    const { bus, dead } = await start();
    await failed(bus, new Ship('o'));
    for (const wrong of [{ sinceMs: Number.NaN }, { entityType: '' }, { entityType: 'no:type' }, { reason: '' as 'failed' }])
      await errorOf('CONFIG_INVALID', dead.purgeAll(wrong));
    await errorOf('CONFIG_INVALID', dead.purgeAll({}, { throughLetter: 'all' }));
    expect(await dead.count()).toBe(1);
  });

  it('is not there before the start and after the stop', async () => {
    const { app, dead } = await start();
    await app.close();
    await errorOf('SHUTTING_DOWN', dead.list());
  });
});

describe('a purge', () => {
  it('deletes one, or all that match, for good', async () => {
    const { bus, dead } = await start();
    for (const id of ['a', 'b', 'c']) await failed(bus, new Charge(id, 1));
    await failed(bus, new Ship('o'));
    expect(await dead.purge('2')).toBe(true);
    expect(await dead.purge('2')).toBe(false);
    expect(await dead.purgeAll({ entityType: 'account' }, { dryRun: true })).toMatchObject({ done: 2 });
    expect(await dead.count()).toBe(3);
    const all = { done: 2, refused: {}, stopped: undefined, lastLetter: '4' };
    expect(await dead.purgeAll({ entityType: 'account' })).toEqual(all);
    expect((await dead.list()).letters).toMatchObject([{ id: '4', name: 'Ship' }]);
  });

  it('of what was counted leaves what died meanwhile', async () => {
    const { bus, dead } = await start();
    await failed(bus, new Ship('a'));
    const { done, lastLetter } = await dead.purgeAll({}, { dryRun: true });
    await failed(bus, new Ship('b'));
    expect(await dead.purgeAll({}, { throughLetter: lastLetter })).toMatchObject({ done });
    expect((await dead.list()).letters).toMatchObject([{ id: '2' }]);
  });
});
