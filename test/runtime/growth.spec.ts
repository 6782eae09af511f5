/** What a process keeps for a while may not stay for ever. */
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/ports/clock.js';
import { DueTimes } from '../../src/runtime/due-times.js';
import { Ownership, type OwnershipParts } from '../../src/runtime/ownership.js';
import type { EntityWorker } from '../../src/runtime/worker.js';

/** A clock that stands until it is set, and whose timers do not fire. */
function still(): Clock & { nowMs: number } {
  const setTimer = () => ({ cancel: () => undefined });
  const clock = { nowMs: 1, monotonicMs: () => clock.nowMs, wallMs: () => clock.nowMs, setTimer };
  return clock as unknown as Clock & { nowMs: number };
}

describe('what is left to others', () => {
  it('is forgotten once its time is over, also if it never comes back', () => {
    const clock = still();
    const ownership = new Ownership({ clock, contracts: [], handler: {} } as unknown as OwnershipParts);
    const { foreign } = ownership as unknown as { foreign: { readonly size: number } };
    for (let i = 0; i < 10_000; i++) {
      clock.nowMs += 10;
      ownership.handOff({ entity: `account:${i}`, release: () => undefined } as unknown as EntityWorker);
    }
    // Those of the last ten seconds.
    expect(foreign.size).toBe(1000);
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
