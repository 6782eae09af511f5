import assert from 'node:assert';
import { isDeepStrictEqual } from 'node:util';
import RedisMock from 'ioredis-mock';
import type { OwnedOp } from '../../src/core/log/control-operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import type { Clock } from '../../src/ports/clock.js';
import type { Store } from '../../src/ports/store.js';
import type { RedisClient } from '../../src/redis/connection.js';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { type Reply, START_MS, type Step } from './scenario.js';

/** A store whose time the test sets before each call. */
export interface Target {
  readonly store: Store;
  at(nowMs: number): void;
}

export function memoryTarget(): Target {
  let nowMs = START_MS;
  const never = (): never => assert.fail('the memory store waits for nothing');
  const clock: Clock = { monotonicMs: () => nowMs, wallMs: () => nowMs, setTimer: never, defer: never };
  const at = (ms: number): void => {
    nowMs = ms;
  };
  return { store: new MemoryStore(clock), at };
}

let prefixes = 0;
const mock = (): RedisClient => new RedisMock() as unknown as RedisClient;

/** On a fresh key prefix of the given server, or of ioredis-mock. */
export async function redisTarget(port: number | undefined): Promise<Target> {
  let nowMs = START_MS;
  const at = (ms: number): void => {
    nowMs = ms;
  };
  const store = new RedisStore({
    connection: port === undefined ? mock : { port },
    keyPrefix: `aq${++prefixes}`,
    storeCallTimeoutMs: 10_000,
    clock: new SystemClock(),
    storeNowMs: () => nowMs,
  });
  await store.open();
  return { store, at };
}

/** Runs the steps; throws at the first answer that differs. */
export async function replay(steps: readonly Step[], target: Target): Promise<void> {
  for (const [i, { call, nowMs, reply }] of steps.entries()) {
    target.at(nowMs);
    let got: Reply;
    if ('batch' in call) got = await target.store.apply(call.batch);
    else if (call.control.op === 'owned') got = await allOwned(target.store, call.control);
    else got = await target.store.control(call.control);
    const want = 'control' in call && call.control.op === 'owned' ? sorted(reply) : reply;
    if (isDeepStrictEqual(got, want)) continue;
    const show = (value: unknown): string => JSON.stringify(value);
    throw new Error(`step ${i} at ${nowMs}: ${show(call)}\n  the core: ${show(want)}\n  this one: ${show(got)}`);
  }
}

async function allOwned(store: Store, op: OwnedOp): Promise<Reply> {
  const entities = new Set<string>();
  let cursor = op.cursor;
  do {
    const page = await store.control({ ...op, cursor });
    for (const entity of page.entities) entities.add(entity);
    cursor = page.cursor;
  } while (cursor !== '0');
  return sorted({ ok: true, cursor, entities: [...entities] });
}

const sorted = (reply: Reply): Reply =>
  'entities' in reply && 'cursor' in reply ? { ...reply, entities: [...reply.entities].sort() } : reply;
