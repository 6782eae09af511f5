import { expect, it } from 'vitest';
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import { LoopbackHub } from '../../src/memory/network.js';
import { MemoryStore } from '../../src/memory/store.js';
import { StoreCallError } from '../../src/ports/store.js';
import type { TraceEvents } from '../../src/ports/trace.js';
import { Loop } from '../../src/runtime/loop.js';
import { SystemClock } from '../../src/system/clock.js';
import { msg, node, until, world } from './harness.js';
import { fast, start, started } from './started.js';

const broken = (): StoreCallError =>
  new StoreCallError('Redis failed: ERR user_script:1: nil', false, false, undefined, 'broken');

/** A store in which one operation fails in the same way each time. */
class FailsAt extends MemoryStore {
  failed = 0;

  constructor(
    clock: SystemClock,
    private readonly op: ControlOp['op'],
    private readonly error: () => StoreCallError = broken,
  ) {
    super(clock);
  }

  override control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    if (op.op !== this.op) return super.control(op);
    this.failed++;
    return Promise.reject(this.error());
  }
}

const failuresOf = (events: readonly { event: string; data: unknown }[]) =>
  events.filter(({ event }) => event === 'loop-failed').map(({ data }) => (data as TraceEvents['loop-failed']).loop);

it('a background duty reports once what lasts of the failures of the store, and nothing of what passes', async () => {
  const reported: string[] = [];
  const permanent = (text: string): StoreCallError => new StoreCallError(text, true, true);
  const turns = [new StoreCallError('no answer', false), broken(), broken(), permanent('a'), permanent('a'), permanent('b')];
  let ended = false;
  const loop = new Loop(
    new SystemClock(),
    { verbose: false, emit: (_, data) => reported.push(((data as TraceEvents['loop-failed']).error as Error).message) },
    'test',
    1,
    () => {
      const failure = turns.shift();
      ended = failure === undefined;
      return failure === undefined ? Promise.resolve(undefined) : Promise.reject(failure);
    },
  );
  loop.start();
  await until('it has failed in each way', () => ended);
  loop.stop();
  expect(reported).toEqual([broken().message, 'a', 'b']);
});

it.each([
  ['ready', 'sweep'],
  ['audit', 'sweep'],
  ['lead', 'master'],
  ['counts', 'expire'],
] as const)('%s that fails in the same way each time is reported once, by the duty %s', async (op, loop) => {
  const store = new FailsAt(new SystemClock(), op);
  const w = world(store);
  await start(w, () => undefined, { ...fast(), wal: { cleanupInterval: 1 }, deadLetters: { max: 10 } });
  await until('it has failed again', () => store.failed > 2, 10_000);
  expect(failuresOf(w.events)).toEqual([loop]);
});

it('a rebuild that fails in the same way each time is reported once', async () => {
  const store = new FailsAt(new SystemClock(), 'owned', () => new StoreCallError('no permission', true, true));
  const w = world(store);
  await start(w, () => undefined, fast());
  // It hears nothing of the other, and asks the store what that one owns.
  const other = { ...world(store), hub: new LoopbackHub() };
  await start(other, () => undefined, fast());
  await until('it has failed again', () => store.failed > 2, 10_000);
  // Either may have been master in between.
  const counts = [w, other].map(({ events }) => failuresOf(events).filter((loop) => loop === 'rebuild').length);
  expect(Math.max(...counts)).toBe(1);
});

it('results are read back although the audit fails', async () => {
  const store = new FailsAt(new SystemClock(), 'audit');
  await start(world(store), () => 'done', fast());
  // A sender whose network reaches no other node.
  const sender = node({ ...world(store), hub: new LoopbackHub() }, () => undefined, fast(), [], []);
  started.push(sender);
  await sender.start();
  expect(await sender.enqueueAndWait(msg('a'), { timeoutMs: 5000 })).toBe('"done"');
});
