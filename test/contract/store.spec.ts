import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type AppendAnswer, REFUSALS, type SessionOp } from '../../src/core/log/operations.js';
import { KEY_TYPES } from '../../src/redis/server-checks.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { knownResults, manySends, replayOfKeptId, sendsIntoDepthOfOne, sendsOfLastWorker } from './directed.js';
import { type Scenario, scenarioArb } from './draws.js';
import { Oracle } from './oracle.js';
import { Driver, type Step } from './scenario.js';
import { lookedAt, memoryTarget, redisTarget, replay, StrictRedis, type Target } from './targets.js';

/** AQ_CONTRACT_RUNS: runs per seed and store instead of these; then with fresh seeds, which a failure prints. */
const runsWanted = Number(process.env.AQ_CONTRACT_RUNS ?? 0);
const SEEDS = runsWanted > 0 ? [Date.now() % 2 ** 31] : [1, 20261125, 777];

const seen = new Map<string, number>();
const note = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);

function noteAnswer({ op }: SessionOp, answer: Answer): void {
  note(`${op} ${answer.ok ? 'ok' : answer.code}`);
  if (!('interrupted' in answer) || answer.interrupted === undefined) return;
  const { requeued, deadLetter } = answer.interrupted;
  note(`${requeued ? 'requeued' : deadLetter ? 'dead-letter' : 'query'} ok`);
}

/** The steps of a scenario, judged by the oracle, and counted. */
function drive(scenario: Scenario): readonly Step[] {
  const steps = new Driver(scenario, new Oracle()).run();
  for (const { call, reply } of steps) {
    if (!('status' in reply)) note('control' in call ? `${call.control.op} ${reply.ok ? 'ok' : reply.code}` : '');
    else if (reply.status !== 'applied' || !('batch' in call)) note(reply.status);
    else for (const [i, answer] of reply.answers.entries()) noteAnswer(call.batch.ops[i]!, answer);
  }
  return steps;
}

/** So long failing scenarios are made smaller, in all tests together. */
const SHRINK_MS = 20_000;
let firstFailureMs = Number.POSITIVE_INFINITY;

async function agree(runs: number, commandsMax: number, open: () => Target | Promise<Target>, after?: () => Promise<unknown>) {
  for (const seed of SEEDS) {
    let hasFailed = false;
    await fc.assert(
      fc.asyncProperty(scenarioArb(commandsMax), async (scenario) => {
        if (hasFailed && performance.now() - firstFailureMs > SHRINK_MS) return;
        try {
          const steps = drive(scenario);
          const target = await open();
          try {
            await replay(steps, target);
          } finally {
            await target.store.close();
            await after?.();
          }
        } catch (error) {
          hasFailed = true;
          firstFailureMs = Math.min(firstFailureMs, performance.now());
          throw error;
        }
      }),
      { seed, numRuns: runsWanted > 0 ? runsWanted : runs, interruptAfterTimeLimit: 15 * 60_000, markInterruptAsFailure: true },
    );
  }
}

// Only ends what hangs: a loaded machine takes several times as long.
const LIMIT_MS = runsWanted > 0 ? 20 * 60_000 : 240_000;

describe('the store protocol', () => {
  it('is kept by the state machine, as the oracle sees it, and by the memory store', { timeout: LIMIT_MS }, async () => {
    await agree(500, 80, memoryTarget);
  });

  it('meets every refusal and every status in these runs', () => {
    const codes = new Set([...seen.keys()].map((what) => what.split(' ')[1]));
    expect(REFUSALS.filter((code) => !codes.has(code))).toEqual([]);
    expect(['fenced', 'unknown', 'stale', 'gap', 'lost'].filter((status) => !seen.has(status))).toEqual([]);
    const done = [...seen].filter(([what]) => what.endsWith(' ok')).map(([what, times]) => `${what.split(' ')[0]} ${times > 4}`);
    const ops = [
      'append',
      'claim',
      'begin',
      'finish',
      'retry',
      'withdraw',
      'release',
      'takeover',
      'requeued',
      'dead-letter',
      'query',
      'late',
      'expire',
      'shed',
      'join',
    ];
    const controls = [
      'heartbeat',
      'leave',
      'evict',
      'lead',
      'replay',
      'purge',
      'closeStore',
      'members',
      'ready',
      'owned',
      'lookup',
      'letters',
      'schemas',
      'entity',
      'history',
      'survey',
      'counts',
      'audit',
    ];
    expect([...ops, ...controls].filter((op) => !done.includes(`${op} true`))).toEqual([]);
  });

  it('is kept by the scripts on ioredis-mock', { timeout: LIMIT_MS }, async () => {
    await agree(3, 40, () => redisTarget(undefined));
  });

  it('is spoken by scripts that are generated from their sources', () => {
    const { status, stdout } = spawnSync(process.execPath, ['scripts/gen-lua.mjs', '--check'], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });
});

describeRedis('the store protocol on a real Redis', () => {
  let server: RedisServer;
  let admin: Redis;

  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.url);
  });

  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  it('is kept by the scripts, which hold what the core holds after each step', { timeout: LIMIT_MS }, async () => {
    await agree(
      100,
      80,
      async () => lookedAt(await redisTarget(server.port), admin),
      () => admin.flushdb(),
    );
  });

  /** Of each answer, in order, without that of the join: its code, or `ok`. */
  const codesOf = (steps: readonly Step[]): string[] =>
    steps.slice(1).flatMap(({ reply }) => {
      const answers = 'answers' in reply ? reply.answers : 'ok' in reply ? [reply] : [];
      return answers.map((answer) => (answer.ok ? 'ok' : answer.code));
    });

  async function keeps(steps: readonly Step[]): Promise<void> {
    await replay(steps, memoryTarget());
    const target = await lookedAt(await redisTarget(server.port), admin);
    try {
      await replay(steps, target);
    } finally {
      await target.store.close();
      await admin.flushdb();
    }
  }

  it('is kept by a finish with thousands of sends', { timeout: LIMIT_MS }, async () => {
    const steps = manySends(5000);
    expect(codesOf(steps)).toEqual(Array(5).fill('ok'));
    await keeps(steps);
  });

  it('is kept by sends at the limit of workers, which count as if their own message had left', async () => {
    const steps = sendsOfLastWorker();
    const refused = 'WORKER_LIMIT_EXCEEDED';
    expect(codesOf(steps)).toEqual(['ok', 'ok', 'ok', 'ok', refused, 'ok', refused, 'ok']);
    await keeps(steps);
  });

  it('is kept by sends at a depth of one message', async () => {
    const steps = sendsIntoDepthOfOne();
    expect(codesOf(steps)).toEqual(['ok', 'ok', 'QUEUE_DEPTH_EXCEEDED', 'ok']);
    await keeps(steps);
  });

  it('is kept by a replay under an id that is kept, which lives then until its message ends again', async () => {
    const steps = replayOfKeptId();
    expect(codesOf(steps)).toEqual(Array(8).fill('ok'));
    expect(steps.at(-1)?.reply).toMatchObject({ state: 'completed' });
    await keeps(steps);
  });

  it.each([
    [1, [false, false, true]],
    [0, [false, true, true]],
  ])('is kept by known results that leave %i bytes of the room in a reply', async (bytesLeft, cut) => {
    const steps = knownResults(bytesLeft);
    const reply = steps.at(-1)?.reply;
    const answers = reply !== undefined && 'answers' in reply ? (reply.answers as readonly AppendAnswer[]) : [];
    expect(answers.map(({ known }) => known?.cut)).toEqual(cut);
    await keeps(steps);
  });

  it('is kept where a script may touch only the keys that its call declares', { timeout: LIMIT_MS }, async () => {
    const lax = new StrictRedis(server.url);
    await expect(lax.eval("return redis.call('TYPE', 'aq:{0}:kept')", 1, 'aq:{0}:meta')).rejects.toThrow(
      'undeclared key aq:{0}:kept',
    );
    lax.disconnect();
    const declared = new Set<number>();
    await agree(
      8,
      80,
      async () => {
        const client = new StrictRedis(server.url, { lazyConnect: true });
        const target = await redisTarget(server.port, client);
        await target.store.control({ op: 'counts' });
        declared.add(client.declared);
        return target;
      },
      () => admin.flushdb(),
    );
    expect([...declared]).toEqual([Object.keys(KEY_TYPES).length]);
  });
});
