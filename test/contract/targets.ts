import assert from 'node:assert';
import { isDeepStrictEqual } from 'node:util';
import { Redis } from 'ioredis';
import RedisMock from 'ioredis-mock';
import { differenceOf, type Lines, storedIn, storedOf } from '../../sim/lua/stored.js';
import { applyBatch, applyControl } from '../../src/core/log/apply.js';
import type { ControlOp, LettersAnswer, LettersOp } from '../../src/core/log/control-operations.js';
import { PartitionState } from '../../src/core/log/state.js';
import { MemoryStore } from '../../src/memory/store.js';
import type { Clock } from '../../src/ports/clock.js';
import type { Store } from '../../src/ports/store.js';
import type { RedisClient } from '../../src/redis/connection.js';
import { KEY_TYPES } from '../../src/redis/server-checks.js';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { type Reply, START_MS, type Step } from './scenario.js';

/** A store whose time the test sets before each call. */
export interface Target {
  readonly store: Store;
  at(nowMs: number): void;
  /** All that it holds now. */
  stored?(): Promise<Lines>;
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
export async function redisTarget(port: number | undefined, strict?: StrictRedis): Promise<Target> {
  let nowMs = START_MS;
  const at = (ms: number): void => {
    nowMs = ms;
  };
  const store = new RedisStore({
    connection: strict !== undefined ? () => strict as unknown as RedisClient : port === undefined ? mock : { port },
    keyPrefix: `aq${++prefixes}`,
    storeCallTimeoutMs: 10_000,
    clock: new SystemClock(),
    storeNowMs: () => nowMs,
  });
  await store.open();
  return { store, at };
}

/** The same on a real server, with a look at all that it holds through a client of its own. */
export async function lookedAt(target: Target, admin: Redis): Promise<Target> {
  const base = `aq${prefixes}:{0}:`;
  const stored = async (): Promise<Lines> => {
    const names = Object.keys(KEY_TYPES);
    const commands = names.map((name) =>
      KEY_TYPES[name] === 'hash' ? ['hgetall', base + name] : ['zrange', base + name, '0', '-1', 'WITHSCORES'],
    );
    const replies = (await admin.pipeline(commands).exec()) ?? [];
    const held = new Map(replies.map(([, reply], i) => [base + names[i]!, reply]));
    return storedIn(
      {
        hash: (key) => held.get(key) as Record<string, string>,
        sortedSet: (key) => pairsOf(held.get(key) as string[]),
      },
      base,
    );
  };
  return { ...target, stored };
}

const pairsOf = (flat: readonly string[]): ReadonlyMap<string, string> =>
  new Map(flat.flatMap((member, i): [string, string][] => (i % 2 === 0 ? [[member, flat[i + 1]!]] : [])));

/** Lets a script touch only the keys that were declared with its call. */
const STRICT = `local redis = (function(real)
  local declared = {}
  for i = 1, #KEYS do declared[KEYS[i]] = true end
  local function call(command, key, ...)
    if command == 'TIME' then return real.call(command) end
    if not declared[key] then error('script tried accessing undeclared key ' .. tostring(key)) end
    return real.call(command, key, ...)
  end
  return setmetatable({ call = call }, { __index = real })
end)(redis)
`;

/** A client of a server that is strict about keys. */
export class StrictRedis extends Redis {
  /** How many keys the last script declared. */
  declared = 0;

  override evalsha(): Promise<never> {
    return Promise.reject(new Error('NOSCRIPT the script has to be sent whole, so that its server can be played'));
  }

  override eval(script: string | Buffer, keys: number | string, ...rest: unknown[]): Promise<unknown> {
    this.declared = Number(keys);
    return super.eval(STRICT + String(script), keys, ...(rest as string[]));
  }
}

/** Runs the steps; throws at the first answer that differs, and where the target shows what it holds, at the first line of that. */
export async function replay(steps: readonly Step[], target: Target): Promise<void> {
  const core = new PartitionState();
  for (const [i, { call, nowMs, reply }] of steps.entries()) {
    target.at(nowMs);
    const got = 'batch' in call ? await target.store.apply(call.batch) : await whole(target.store, call.control);
    const want = 'control' in call ? sorted(reply) : reply;
    const show = (value: unknown): string => JSON.stringify(value);
    const at = `step ${i} at ${nowMs}: ${show(call)}`;
    if (!isDeepStrictEqual(got, want)) throw new Error(`${at}\n  the core: ${show(want)}\n  this one: ${show(got)}`);
    if (target.stored === undefined) continue;
    if ('batch' in call) applyBatch(core, call.batch, nowMs);
    else applyControl(core, call.control, nowMs);
    const difference = differenceOf(storedOf(core), await target.stored());
    if (difference !== undefined) throw new Error(`${at}\n  ${difference}`);
  }
}

/** The answer; of what comes in pages that a store may cut where it wants, all pages together. */
async function whole(store: Store, op: ControlOp): Promise<Reply> {
  const first: Reply = await store.control(op);
  if (op.op === 'letters') return wholePage(store, op, first as LettersAnswer);
  if (!('cursor' in first)) return first;
  const lists: Record<string, unknown[]> = {};
  for (let page: Reply = first; ; page = await store.control({ ...op, cursor: page.cursor } as ControlOp)) {
    if (!('cursor' in page)) break;
    for (const [field, list] of Object.entries(page)) if (Array.isArray(list)) lists[field] = [...(lists[field] ?? []), ...list];
    if (page.cursor === '0') break;
  }
  return sorted({ ...first, ...lists, cursor: '0' } as Reply);
}

/** As many letters as one page of the core has, and whether there are more: not where the store cut it. */
async function wholePage(store: Store, op: LettersOp, first: LettersAnswer): Promise<Reply> {
  const letters = [...first.letters];
  let { next } = first;
  while (next !== '' && letters.length < op.max) {
    const page = await store.control({ ...op, after: next, max: op.max - letters.length });
    letters.push(...page.letters);
    next = page.next;
  }
  return sorted({ ok: true, letters, next });
}

const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

/** Without an order where the store promises none, and without the place where a page of letters ends. */
function sorted(reply: Reply): Reply {
  if ('letters' in reply && 'next' in reply) return { ...reply, next: '' };
  if (!('cursor' in reply)) return reply;
  const lists = Object.entries(reply).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
  return { ...reply, ...Object.fromEntries(lists.map(([field, list]) => [field, [...list].sort(byText)])) };
}
