/**
 * A store on Redis with n of everything, and the cost of one script call on it. The cost is the server's own time for a call,
 * from its slow log, so neither the network nor this process counts. Each call is another instance of its operation. The median
 * stands for all calls, because other processes of the machine interrupt a few of them. The mean CPU time of the server is an
 * upper bound: it limits what an interruption adds if there is only one call.
 */
import { Redis } from 'ioredis';
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Answer, AppendOp, SessionOp } from '../../src/core/log/operations.js';
import type { RedisStore } from '../../src/redis/store.js';
import { append, joinOf, message, redisStore, Session } from '../../test/redis/support.js';

/** Number of measured calls, and of session operations in each of them. */
export const CALLS = 15;
export const OPS = 10;

export const START_MS = 1_700_000_000_000;
export const HOLD_MS = 1000;
export const RESULT_TTL_MS = 5000;
export const ENTRY_TTL_MS = 50_000;
const BATCH = 1000;

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Makes the server record the time of every call in its slow log, and turns its append-only file off. */
export async function logEveryCall(admin: Redis): Promise<void> {
  await admin.config('SET', 'appendonly', 'no');
  await admin.config('SET', 'slowlog-log-slower-than', '0');
  await admin.config('SET', 'slowlog-max-len', '1024');
}

/** Empties the server and undoes `logEveryCall`. */
export async function writeFileAgain(admin: Redis): Promise<void> {
  await admin.flushall();
  await admin.config('SET', 'slowlog-log-slower-than', '-1');
  await admin.config('SET', 'appendonly', 'yes');
}

export class ScriptWorld {
  /** Microseconds of Redis for one item, by the name of what was measured. */
  readonly costs = new Map<string, number>();
  nowMs = START_MS;
  readonly store: RedisStore;
  #members = 0;

  constructor(
    port: number,
    readonly admin: Redis,
    readonly n: number,
  ) {
    this.store = redisStore(port, { keyPrefix: `aq${n}`, storeCallTimeoutMs: 30_000, storeNowMs: () => this.nowMs });
  }

  async join(leaseTtlMs = 1e9): Promise<Session> {
    const token = `t${++this.#members}`;
    const op = joinOf('g1', { leaseTtlMs, takeoverHoldMs: HOLD_MS, entryTtlMs: ENTRY_TTL_MS, resultTtlMs: RESULT_TTL_MS });
    const joined = await this.store.control({ ...op, serverId: `s${this.#members}`, token });
    if (!joined.ok) throw new Error(joined.code);
    return new Session(this.store, joined, token);
  }

  /** Applies any number of operations, in batches of `size`. Throws unless each succeeds. */
  async all(session: Session, ops: readonly SessionOp[], size = BATCH): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let i = 0; i < ops.length; i += size) {
      const reply = await session.apply(...ops.slice(i, i + size));
      if (reply.status !== 'applied') throw new Error(reply.status);
      answers.push(...reply.answers);
    }
    const refused = answers.find(({ ok }) => !ok);
    if (refused !== undefined) throw new Error(JSON.stringify(refused));
    return answers;
  }

  /** Measures the script calls of `run`. Records the microseconds of one call, divided by the `items` in it. */
  async measure<T>(name: string, items: number, run: () => Promise<T>): Promise<T> {
    // Start with a new Lua state: filling the store left garbage, and the next call that allocates would pay for its collection.
    await this.admin.script('FLUSH');
    await this.store.control({ op: 'counts' });
    await this.store.apply({ generation: 'none', incarnation: 1, token: '', n: 1, ops: [] });
    await this.admin.slowlog('RESET');
    const before = await this.cpuUs();
    const result = await run();
    const cpuUs = (await this.cpuUs()) - before;
    const log = (await this.admin.slowlog('GET', -1)) as [number, number, number, string[]][];
    const us = log.filter(([, , , [command]]) => command?.startsWith('eval')).map(([, , took]) => took);
    us.sort((a, b) => a - b);
    this.costs.set(name, Math.min(us[us.length >> 1]!, cpuUs / us.length) / items);
    return result;
  }

  /** Returns the microseconds of CPU that the server has used. */
  private async cpuUs(): Promise<number> {
    const info = await this.admin.info('cpu');
    return [...info.matchAll(/used_cpu_(?:sys|user):([\d.]+)/g)].reduce((sum, [, seconds]) => sum + 1e6 * Number(seconds), 0);
  }

  /** Measures session operations: `CALLS` batches of `OPS` operations each. */
  ops(name: string, session: Session, op: (i: number) => SessionOp): Promise<Answer[]> {
    return this.measure(name, OPS, () => this.all(session, range(CALLS * OPS).map(op), OPS));
  }

  /** Measures control operations, one per call. `itemsOf` returns the number of the page's items in one answer. */
  async control<O extends ControlOp>(
    name: string,
    op: (i: number) => O,
    itemsOf: (answer: ControlAnswerOf[O['op']]) => number = () => 1,
  ): Promise<void> {
    let items = 0;
    await this.measure(name, 1, async () => {
      for (const i of range(CALLS)) {
        const answer = await this.store.control(op(i));
        if (!answer.ok) throw new Error(`${name}: ${JSON.stringify(answer)}`);
        items = Math.max(items, itemsOf(answer));
      }
    });
    this.costs.set(name, this.costs.get(name)! / Math.max(items, 1));
  }
}

export const given = (id: string, entity: string, more: Partial<AppendOp> = {}): AppendOp =>
  append(id, { entity, message: message(id, { given: true, digest: 'd' }), begin: false, ...more });

export const seqs = (answers: readonly Answer[]): number[] => answers.map((answer) => ('seq' in answer ? answer.seq : 0));
export const fences = (answers: readonly Answer[]): number[] => answers.map((answer) => ('fence' in answer ? answer.fence : 0));

export const done = { state: 'completed', result: '"done"', error: '' } as const;
export const failed = { state: 'failed', result: '', error: '{"name":"Error"}' } as const;
