import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNamespace } from 'cls-hooked';
import { expect, test, vi } from 'vitest';
import { MemoryStore } from '../../src/memory/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { KeepAlive } from '../../src/system/keep-alive.js';
import { callOutside, outside, StoreOutside } from '../../src/system/outside.js';

const caller = new AsyncLocalStorage<string>();
const namespace = createNamespace('test');
const clock = new SystemClock();

/** The context in which something runs that a caller has asked for, by AsyncLocalStorage and by cls-hooked. */
async function contextOf(ask: (run: () => void) => unknown): Promise<unknown> {
  let found: unknown = 'it was not called';
  namespace.run(() => {
    namespace.set('caller', 'a caller');
    caller.run('a caller', () =>
      ask(() => {
        found = [caller.getStore(), namespace.get('caller')];
      }),
    );
  });
  await vi.waitFor(() => expect(found).not.toBe('it was not called'), { interval: 5 });
  return found;
}

test.each<[string, (run: () => void) => unknown]>([
  ['a timer of the clock', (run) => clock.setTimer(1, run)],
  ['what the clock defers', (run) => clock.defer(run)],
  ['a timer that a deferred call sets', (run) => clock.defer(() => clock.setTimer(1, run))],
  [
    'the check of what holds the process',
    (run) => {
      const keepAlive = new KeepAlive(() => {
        run();
        return false;
      });
      keepAlive.touch();
    },
  ],
  ['outside', (run) => outside(run)],
  ['callOutside', (run) => callOutside(async () => run())],
  [
    'a control operation of the store',
    (run) =>
      new StoreOutside(
        Object.assign(new MemoryStore(clock), {
          control: async () => {
            run();
            return undefined as never;
          },
        }),
      ).control({ op: 'counts' }),
  ],
])('%s runs in no context of its caller', async (_, ask) => {
  expect(await contextOf(ask)).toEqual([undefined, undefined]);
});

test('the caller creates nothing but promises, and has its context after the await', async () => {
  const kinds: string[] = [];
  const hook = createHook({ init: (_id, kind) => void (caller.getStore() === 'watched' && kinds.push(kind)) }).enable();
  const after = await caller.run('watched', async () => {
    await new Promise<void>((resolve) => clock.setTimer(1, resolve));
    await new Promise<void>((resolve) => clock.defer(resolve));
    await callOutside(() => sleep(1));
    return caller.getStore();
  });
  hook.disable();
  expect(after).toBe('watched');
  expect(new Set(kinds)).toEqual(new Set(['PROMISE']));
});

test('calls run in their order, and one that asks for another finds it done after itself', async () => {
  const order: number[] = [];
  outside(() => {
    order.push(1);
    outside(() => order.push(3));
  });
  outside(() => order.push(2));
  await sleep(1);
  expect(order).toEqual([1, 2, 3]);
});

test('callOutside settles as what it called, also where that throws', async () => {
  expect(await callOutside(async () => 'done')).toBe('done');
  await expect(callOutside(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  const thrown = callOutside(() => {
    throw new Error('at once');
  });
  await expect(thrown).rejects.toThrow('at once');
  expect(await callOutside(async () => 'still there')).toBe('still there');
});
