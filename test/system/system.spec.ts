import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SystemClock } from '../../src/system/clock.js';
import { KeepAlive } from '../../src/system/keep-alive.js';
import { exitOnLeaseLost } from '../../src/system/process.js';
import { SystemRandom } from '../../src/system/random.js';

describe('the clock', () => {
  const clock = new SystemClock();

  test('fires once, not before its time, and not after a cancel', async () => {
    const fire = vi.fn();
    const cancelled = vi.fn();
    const startMs = clock.monotonicMs();
    clock.setTimer(20, () => fire(clock.monotonicMs() - startMs));
    const timer = clock.setTimer(10, cancelled);
    timer.cancel();
    timer.cancel();
    await vi.waitFor(() => expect(fire).toHaveBeenCalledTimes(1));
    expect(fire.mock.calls[0]?.[0]).toBeGreaterThanOrEqual(19);
    expect(cancelled).not.toHaveBeenCalled();
  });

  test('a delay beyond what setTimeout can does not fire at once', async () => {
    const fire = vi.fn();
    const timer = clock.setTimer(2 ** 40, fire);
    await sleep(15);
    expect(fire).not.toHaveBeenCalled();
    timer.cancel();
  });

  test('defers behind what is ready now', async () => {
    const order: string[] = [];
    clock.defer(() => order.push('deferred'));
    await Promise.resolve().then(() => order.push('ready'));
    await vi.waitFor(() => expect(order).toEqual(['ready', 'deferred']));
  });

  test('a timer that is cancelled at once never fires, and one that is cancelled later neither', async () => {
    const fire = vi.fn();
    clock.setTimer(0, fire).cancel();
    const timer = clock.setTimer(5, fire);
    await Promise.resolve();
    timer.cancel();
    await sleep(20);
    expect(fire).not.toHaveBeenCalled();
  });

  test('wall time is that of the machine', () => {
    expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(50);
  });
});

test('randomness: tokens of 32 hexadecimal digits that differ, numbers from 0 to 1', () => {
  const random = new SystemRandom();
  const tokens = Array.from({ length: 100 }, () => random.token());
  expect(tokens.every((token) => /^[0-9a-f]{32}$/.test(token))).toBe(true);
  expect(new Set(tokens).size).toBe(100);
  const next = random.next();
  expect(next >= 0 && next < 1).toBe(true);
});

describe('what holds the process', () => {
  // The timer is set in a microtask, outside of the caller's async context.
  const armed = (): Promise<void> => Promise.resolve();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('ends when nothing is left, and is armed anew by the next call', async () => {
    let busy = true;
    const keepAlive = new KeepAlive(() => busy);
    expect(vi.getTimerCount()).toBe(0);
    keepAlive.touch();
    keepAlive.touch();
    await armed();
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(5000);
    expect(vi.getTimerCount()).toBe(1);
    busy = false;
    vi.advanceTimersByTime(500);
    expect(vi.getTimerCount()).toBe(0);
    keepAlive.touch();
    await armed();
    expect(vi.getTimerCount()).toBe(1);
    keepAlive.close();
    expect(vi.getTimerCount()).toBe(0);
    keepAlive.touch();
    keepAlive.close();
    await armed();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a call of just now counts, whatever is busy', async () => {
    const keepAlive = new KeepAlive(() => false);
    keepAlive.touch();
    await armed();
    vi.advanceTimersByTime(150);
    keepAlive.touch();
    vi.advanceTimersByTime(100);
    expect(vi.getTimerCount()).toBe(1);
  });
});

test('a lost lease ends the process with a code that asks for a restart, after what is being said has left', async () => {
  const exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
  exitOnLeaseLost();
  expect(exit).not.toHaveBeenCalled();
  await vi.waitFor(() => expect(exit.mock.calls).toEqual([[75]]));
  process.exitCode = undefined;
  exit.mockRestore();
});
