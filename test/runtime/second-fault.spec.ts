import { expect, it } from 'vitest';
import type { ControlOp } from '../../src/core/log/control-operations.js';
import { type Store, StoreCallError } from '../../src/ports/store.js';
import { PlainHeartbeatSender } from '../../src/runtime/heartbeats.js';
import { node, until, world } from './harness.js';
import { fast, started } from './started.js';

/** `fails`: throws in place of an operation that is to fail. */
const faulty = (inner: Store, fails: (op: ControlOp['op']) => void, close: () => void = () => {}): Store => ({
  apply: (batch) => inner.apply(batch),
  control: async (op) => {
    fails(op.op);
    return inner.control(op);
  },
  onReplaced: () => {},
  open: async () => {},
  close: async () => close(),
});

it('a start that fails, and a leave that fails after it: the first says why, and heartbeats and store are closed', async () => {
  const w = world();
  const closed: string[] = [];
  const store = faulty(
    w.store,
    (op) => {
      if (op === 'members' || op === 'leave') throw new StoreCallError(`no permission for ${op}`, true, true);
    },
    () => closed.push('store'),
  );
  const heartbeats = new (class extends PlainHeartbeatSender {
    override async close(): Promise<void> {
      await super.close();
      closed.push('heartbeats');
      throw new Error('the thread would not end');
    }
  })(store, w.clock, 40);
  const n = node({ ...w, store }, () => 1, fast(), undefined, undefined, { heartbeats });
  await expect(n.start()).rejects.toMatchObject({ code: 'CONFIG_INVALID', details: { cause: 'no permission for members' } });
  expect(closed).toEqual(['heartbeats', 'store']);
});

it('a fault in what forgets old messages is reported, and it goes on', async () => {
  const w = world();
  let isBroken = false;
  let turns = 0;
  const store = faulty(w.store, (op) => {
    if (op !== 'counts') return;
    turns++;
    if (isBroken) throw new TypeError('a defect');
  });
  const n = node({ ...w, store }, () => 1, { ...fast(), wal: { cleanupInterval: 50 }, deadLetters: { max: 10 } });
  started.push(n);
  await n.start();
  await until('it forgets', () => turns > 0);
  isBroken = true;
  const failures = (): unknown[] => w.events.filter(({ event }) => event === 'loop-failed').map(({ data }) => data);
  await until('it is reported', () => failures().length > 1);
  expect(failures()[0]).toMatchObject({ loop: 'expire', error: { name: 'TypeError', message: 'a defect' } });
});
