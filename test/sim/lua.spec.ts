import { beforeAll, describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { LUA_CANARIES } from '../../sim/canaries/lua-canaries.js';
import { violatedBy } from '../../sim/canaries/run-canaries.js';
import { SCRIPTS } from '../../sim/lua/lockstep.js';
import { ReplyError, SimRedis } from '../../sim/lua/sim-redis.js';
import { differenceOf } from '../../sim/lua/stored.js';
import { runPlan } from '../../sim/run.js';
import { loadStore } from '../../sim/store-adapter.js';
import { drawPlan } from '../../sim/swarm.js';

beforeAll(() => loadStore('lua'));

describe('the scripts under the simulator', () => {
  it('keep the invariants, and do what the core does, in the same way each time', () =>
    inMacrotask((drain) => {
      for (const seed of [101, 102, 103]) {
        const plan = drawPlan(seed, { store: 'lua' });
        const first = runPlan(plan, { drain });
        expect(first.verdict.violations).toEqual([]);
        expect(first.messages).toBeGreaterThan(30);
        expect(runPlan(plan, { drain }).hash).toBe(first.hash);
      }
    }));

  it('are seen to differ where a line of them is another one', () =>
    inMacrotask((drain) => {
      const canary = LUA_CANARIES.find(({ name }) => name === 'lua-late-without-detail');
      expect(violatedBy(canary!, 1, drain)).toContain('lua');
    }));

  it('are rewritten in one place only, by texts that are there', () => {
    for (const canary of LUA_CANARIES) expect(canary.scripts?.(SCRIPTS), canary.name).not.toEqual(SCRIPTS);
    const elsewhere = { batch: '', control: '' };
    for (const canary of LUA_CANARIES) expect(() => canary.scripts?.(elsewhere), canary.name).toThrow('must have this once');
  });
});

describe('the simulated Redis', () => {
  const redis = (): SimRedis => new SimRedis(() => 1_700_000_000_123);
  const reply = (script: string, on = redis(), ...args: string[]): unknown => {
    try {
      return on.run(script, ['k'], args);
    } catch (error) {
      return error;
    }
  };

  it('answers as the client reads it', () => {
    expect(reply("return redis.call('TIME')")).toEqual(['1700000000', '123000']);
    expect(reply('return { 1.9, "é", false, { 2 } }')).toEqual([1, 'é', null, [2]]);
    expect(reply('return #ARGV[1]', redis(), 'é')).toBe(2);
    expect(reply("return { err = 'WRONGTYPE no' }")).toEqual(new ReplyError('WRONGTYPE no'));
    expect(reply("return redis.call('TYPE', KEYS[1]).ok")).toBe('none');
    expect(reply("redis.call('HSET', KEYS[1], 'f', '1') return redis.call('HMGET', KEYS[1], 'f', 'g')")).toEqual(['1', null]);
  });

  it('says where a script failed', () => {
    const { message } = reply('local a = nil return a.b') as Error;
    expect(message).toMatch(/^ERR Error running script, on @user_script: user_script:1: /);
    expect((reply('local (') as Error).message).toMatch(/^ERR Error compiling script/);
  });

  it('refuses writes by what they need, and none behind one that it has let pass', () => {
    const full = redis();
    full.refusing = 'oom';
    expect(reply("return redis.call('HSET', KEYS[1], 'f', '1')", full)).toEqual(
      new ReplyError("OOM command not allowed when used memory > 'maxmemory'."),
    );
    expect(reply("redis.call('HDEL', KEYS[1], '') redis.call('HSET', KEYS[1], 'f', '1') return 1", full)).toBe(1);
    full.refusing = 'readonly';
    expect((reply("return redis.call('HDEL', KEYS[1], 'f')", full) as Error).message).toMatch(/^READONLY/);
    expect(reply("return redis.call('HGET', KEYS[1], 'f')", full)).toBe('1');
  });
});

describe('two stores', () => {
  const lines = (...entries: readonly (readonly [string, string])[]): ReadonlyMap<string, string> => new Map(entries);

  it('differ by the first line that only one has, or has otherwise', () => {
    expect(differenceOf(lines(['a', '1']), lines(['a', '1']))).toBeUndefined();
    expect(differenceOf(lines(['a', '1']), lines(['a', '2']))).toBe('a: the core has "1", Redis has "2"');
    expect(differenceOf(lines(['a', '1']), lines())).toBe('a: the core has "1", Redis has nothing');
    expect(differenceOf(lines(), lines(['a', '1']))).toBe('a: the core has nothing, Redis has "1"');
  });
});
