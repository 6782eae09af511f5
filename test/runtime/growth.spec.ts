/** What a process keeps for a while may not stay for ever, and a turn of a duty may not look at all that there is. */
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/ports/clock.js';
import { AvoidedEntities } from '../../src/runtime/avoided-entities.js';
import { DueTimes } from '../../src/runtime/due-times.js';
import { Ownership, type OwnershipParts } from '../../src/runtime/ownership.js';
import { Peers } from '../../src/runtime/peers.js';
import type { EntityWorker } from '../../src/runtime/worker.js';

/** A clock that stands until it is set, and whose timers do not fire. */
function still(): Clock & { nowMs: number } {
  const setTimer = () => ({ cancel: () => undefined });
  const clock = { nowMs: 1, monotonicMs: () => clock.nowMs, wallMs: () => clock.nowMs, setTimer };
  return clock as unknown as Clock & { nowMs: number };
}

describe('an avoided entity', () => {
  it('is forgotten once its time is over, also if it never comes back', () => {
    const clock = still();
    const ownership = new Ownership({ clock, contracts: [], handler: {} } as unknown as OwnershipParts);
    const { avoided } = ownership;
    for (let i = 0; i < 10_000; i++) {
      clock.nowMs += 10;
      ownership.handOff({ entity: `account:${i}`, release: () => undefined } as unknown as EntityWorker);
    }
    // The sweep forgets all but those of the last ten seconds, and in the end those too.
    avoided.swept();
    expect(avoided.size).toBe(1000);
    clock.nowMs += 10_000;
    avoided.swept();
    expect(avoided.size).toBe(0);
  });
});

describe('a hint for an avoided entity', () => {
  it('goes on to the next node once between two sweeps, and no longer than the entity is avoided', () => {
    const clock = still();
    const avoided = new AvoidedEntities(clock);
    expect(avoided.passesOn('account:1')).toBe(false);
    avoided.add('account:1');
    expect([1, 2].map(() => avoided.passesOn('account:1'))).toEqual([true, false]);
    avoided.swept();
    expect(avoided.passesOn('account:1')).toBe(true);
    avoided.swept();
    clock.nowMs += 10_000;
    expect(avoided.passesOn('account:1')).toBe(false);
  });
});

describe('a peer that has gone', () => {
  it('is forgotten, also if a request to it runs into its deadline afterwards', () => {
    const config = { breaker: { failureThreshold: 3, cooldownMs: 100 }, deadlines: { forwardMs: 100 } };
    const peers = new Peers(still(), config as never, {} as never, {} as never);
    const { missedAtMs } = peers as unknown as { missedAtMs: ReadonlyMap<number, number> };
    peers.tryPass(1);
    peers.missed(1);
    expect(missedAtMs.size).toBe(1);
    peers.keep(() => false);
    peers.missed(1);
    expect(missedAtMs.size).toBe(0);
  });
});

describe('deadlines', () => {
  it('that are scheduled and cancelled one by one leave nothing behind an early one that stands', () => {
    const clock = still();
    const times = new DueTimes(clock);
    const due = () => ({ dueAtMs: 0, onDue: () => undefined });
    times.schedule(due(), 5000, 16);
    const inside = times as unknown as { readonly times: { readonly size: number } };
    let sizeMax = 0;
    for (let i = 0; i < 20_000; i++) {
      clock.nowMs += 0.2;
      const call = due();
      times.schedule(call, 30_000, 16);
      times.cancel(call);
      sizeMax = Math.max(sizeMax, inside.times.size);
    }
    expect(sizeMax).toBeLessThan(100);
    expect(times.size).toBe(1);
  });
});

describe('idle entities that belong to a newcomer', () => {
  const KEPT = 20_000;

  /** A table of idle workers, of which every tenth belongs elsewhere. */
  function table() {
    const ownership = new Ownership({ clock: still(), contracts: [], handler: {} } as unknown as OwnershipParts);
    const { workers } = ownership;
    const add = (entity: string): void => {
      const release = (): void => void workers.delete(entity);
      workers.set(entity, { entity, phase: 'idle', release } as unknown as EntityWorker);
    };
    for (let i = 0; i < KEPT; i++) {
      add(`here:${i}`);
      if (i % 10 === 0) add(`there:${i}`);
    }
    let looked = 0;
    const belongsHere = (entity: string): boolean => {
      looked++;
      return entity.startsWith('here');
    };
    /** How many entities one turn looks at, and how many it releases. */
    const turn = (): { looked: number; released: number } => {
      looked = 0;
      const before = workers.size;
      ownership.rebalance(belongsHere, 256);
      return { looked, released: before - workers.size };
    };
    return { ownership, workers, add, turn };
  }

  it('are looked at once each, so many a turn, until none is left', () => {
    const { ownership, workers, turn } = table();
    ownership.beginRebalance();
    let looked = 0;
    for (let turns = 0; workers.size > KEPT && turns < 100; turns++) {
      const it = turn();
      expect(it.looked).toBeLessThanOrEqual(4096);
      expect(it.released).toBeLessThanOrEqual(256);
      looked += it.looked;
    }
    expect(workers.size).toBe(KEPT);
    expect(looked).toBeLessThanOrEqual(KEPT * 1.1);
    // One walk more finds nothing, and is the last.
    for (let i = 0; i < 6; i++) turn();
    expect(turn()).toEqual({ looked: 0, released: 0 });
  });

  it('are found by another walk if they were busy, or if another member joins', () => {
    const { ownership, workers, add, turn } = table();
    const busy = workers.get('there:0') as { phase: string };
    busy.phase = 'running';
    ownership.beginRebalance();
    turn();
    busy.phase = 'idle';
    for (let i = 0; i < 20; i++) turn();
    expect(workers.has('there:0')).toBe(false);
    add('there:late');
    turn();
    expect(workers.has('there:late')).toBe(true);
    ownership.beginRebalance();
    for (let i = 0; i < 20; i++) turn();
    expect(workers.size).toBe(KEPT);
  });
});
