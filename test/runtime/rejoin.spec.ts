import { describe, expect, it } from 'vitest';
import type { ControlOp } from '../../src/core/log/control-operations.js';
import { type Store, StoreCallError } from '../../src/ports/store.js';
import { msg, node, until, type World, world } from './harness.js';
import { started } from './started.js';

const TIMING = { heartbeatMs: 40, nodeTTLMs: 200, leaseMarginMs: 20, takeoverHoldMs: 100, redisHealthCheckMs: 40 };
const CONFIG = { shutdownGraceMs: 300, serverId: 'n1', grpc: TIMING };

/** A node's own link to the store, which answers heartbeats as for an evicted node and refuses joins, while it is set to. */
function evictable(store: Store): { store: Store; state: { evicts: boolean; refusesJoins: boolean } } {
  const state = { evicts: false, refusesJoins: false };
  const control = async (op: ControlOp): Promise<unknown> => {
    if (state.evicts && op.op === 'heartbeat') return { ok: false, code: 'FENCED', at: 0 };
    if (state.refusesJoins && op.op === 'join') throw new StoreCallError('OOM: no room for a member', true);
    return store.control(op);
  };
  return { store: { ...bound(store), control: control as Store['control'] }, state };
}

const bound = (store: Store): Store => ({
  apply: (batch) => store.apply(batch),
  control: (op) => store.control(op),
  onReplaced: () => {},
  open: async () => {},
  close: async () => {},
});

const whyOf = (w: World): string[] =>
  w.events.filter(({ event }) => event === 'degraded').map(({ data }) => (data as { why: string }).why);

/** A node that was evicted, and whose joins are refused. */
async function evicted() {
  const w = world();
  const { store, state } = evictable(w.store);
  const n1 = node({ ...w, store }, () => 1, CONFIG);
  started.push(n1);
  await n1.start();
  state.refusesJoins = state.evicts = true;
  return { w, n1, state };
}

describe('a node that was evicted and cannot rejoin', () => {
  it('says why, in its log and to its callers, for as long as the store refuses it, and recovers when it is let in', async () => {
    const { w, n1, state } = await evicted();
    await until('it says why', () => whyOf(w).length > 0);
    expect(whyOf(w)).toEqual(['OOM: no room for a member']);
    expect(n1.status()).toMatchObject({ state: 'rejoining', degraded: 'OOM: no room for a member' });
    await expect(n1.enqueue(msg('a'))).rejects.toMatchObject({
      ...{ code: 'STORE_UNAVAILABLE', details: { cause: 'OOM: no room for a member' } },
      message: expect.stringContaining('cannot rejoin'),
    });
    state.refusesJoins = state.evicts = false;
    await until('it is back', () => n1.status().isReady);
    expect(w.events.filter(({ event }) => event === 'recovered')).toHaveLength(1);
    expect(await n1.enqueueAndWait(msg('a'), { timeoutMs: 2000 })).toBe('1');
  });

  it('names the living node that has its serverId meanwhile', async () => {
    const { w, n1, state } = await evicted();
    const twin = node({ ...w, events: [] }, () => 2, CONFIG);
    started.push(twin);
    await twin.start();
    state.refusesJoins = false;
    const text = `serverId "n1" is in use by a node that is alive (incarnation ${twin.status().incarnation})`;
    await until('it names the twin', () => n1.status().degraded?.startsWith(text) === true);
    await expect(n1.enqueue(msg('a'))).rejects.toMatchObject({
      ...{ code: 'STORE_UNAVAILABLE', details: { cause: expect.stringContaining(text) } },
    });
    await twin.stop();
    await until('it is back', () => n1.status().isReady);
  });
});
