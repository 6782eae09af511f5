import { expect, it } from 'vitest';
import type { Network } from '../../src/ports/network.js';
import { NetworkWatch } from '../../src/runtime/network-watch.js';

const GRACE_MS = 3000;

/** A network that says what the test sets, watched by a clock that the test moves. */
function watched(hasProblems = true) {
  const w = { nowMs: 0, problem: undefined as string | undefined, events: [] as string[] };
  const network = { send() {}, listen() {}, close: async () => undefined, ...(hasProblems && { problem: () => w.problem }) };
  const clock = { monotonicMs: () => w.nowMs, wallMs: () => 0, setTimer: () => ({ cancel() {} }), defer() {} };
  const trace = { verbose: false, emit: (event: string, data: object) => w.events.push(event + JSON.stringify(data)) };
  const watch = new NetworkWatch(clock, trace, network satisfies Network, GRACE_MS);
  const at = (nowMs: number, problem: string | undefined): string[] => {
    [w.nowMs, w.problem] = [nowMs, problem];
    watch.look();
    return w.events.splice(0);
  };
  return at;
}

it('reports what lasts, once, with what is wrong by then; and its end, once', () => {
  const at = watched();
  expect(at(0, 'a')).toEqual([]);
  expect(at(GRACE_MS - 1, 'a')).toEqual([]);
  expect(at(GRACE_MS, 'b')).toEqual(['network-failing{"why":"b"}']);
  expect(at(GRACE_MS * 2, 'b')).toEqual([]);
  expect(at(GRACE_MS * 2, undefined)).toEqual(['network-restored{}']);
  expect(at(GRACE_MS * 3, undefined)).toEqual([]);
});

it('counts each time by itself', () => {
  const at = watched();
  expect(at(0, 'a')).toEqual([]);
  expect(at(GRACE_MS - 1, undefined)).toEqual([]);
  expect(at(GRACE_MS, 'a')).toEqual([]);
  expect(at(GRACE_MS * 2 - 1, 'a')).toEqual([]);
  expect(at(GRACE_MS * 2, 'a')).toEqual(['network-failing{"why":"a"}']);
});

it('has nothing to say of a network that knows nothing', () => {
  expect(watched(false)(GRACE_MS, 'a')).toEqual([]);
});
