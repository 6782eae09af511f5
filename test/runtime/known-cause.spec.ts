import { expect, it } from 'vitest';
import type { AtomicQueuesError } from '../../src/core/errors.js';
import type { ControlOp } from '../../src/core/log/control-operations.js';
import type { Store } from '../../src/ports/store.js';
import { FlakyStore } from './flaky-store.js';
import { msg, node, until, world } from './harness.js';
import { codeOf, fast, started } from './started.js';

it('a call that the store did not answer in time says what the last call to the store failed of', async () => {
  const w = world();
  const link = new FlakyStore(w.store);
  // Never degraded: that refuses calls with the reason.
  const health = { redisHealthFailureThreshold: 1000 };
  const config = { ...fast(), enqueueTimeoutMs: 300, storeCallTimeoutMs: 100 };
  const n = node({ ...w, store: link }, () => 1, { ...config, grpc: { ...config.grpc, ...health } });
  started.push(n);
  await n.start();
  link.cut = true;
  const calls = Array.from({ length: 600 }, (_, i) => codeOf(n.enqueue(msg(`e${i}`))));
  const byCode = new Map<string, AtomicQueuesError>();
  for (const error of await Promise.all(calls)) byCode.set(error.code, error);
  expect([...byCode.keys()].sort()).toEqual(['OUTCOME_UNKNOWN', 'STORE_UNAVAILABLE']);
  for (const error of byCode.values()) expect(error.details).toMatchObject({ cause: 'cut off' });
});

it('a call whose outcome is unknown since the node was evicted has the eviction as its cause', async () => {
  const w = world();
  let evicts = false;
  const store: Store = {
    apply: (batch) => (evicts ? new Promise(() => undefined) : w.store.apply(batch)),
    control: ((op: ControlOp) =>
      evicts && op.op === 'heartbeat'
        ? Promise.resolve({ ok: false, code: 'FENCED', at: 0 })
        : w.store.control(op)) as Store['control'],
    onReplaced: () => {},
    open: async () => {},
    close: async () => {},
  };
  const n = node({ ...w, store }, () => 1, { ...fast(), onLeaseLost: 'exit' });
  started.push(n);
  await n.start();
  evicts = true;
  const error = await codeOf(n.enqueue(msg('a')));
  await until('it has closed', () => n.status().state === 'closed');
  expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN', cause: { code: 'FENCED' } });
});
