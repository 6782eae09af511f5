/** A check of the payload that answers later: what it holds up is begun in the log, and its handler is not called yet. */
import { describe, expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import { NotCalled } from '../../src/ports/handler.js';
import type { Node } from '../../src/runtime/node.js';
import { FlakyStore } from './flaky-store.js';
import { msg, node, until, world } from './harness.js';
import { started } from './started.js';

const FAST = {
  shutdownGraceMs: 300,
  grpc: {
    heartbeatMs: 40,
    nodeTTLMs: 200,
    leaseMarginMs: 20,
    reconcileIntervalMs: 60,
    takeoverHoldMs: 100,
    redisHealthCheckMs: 40,
  },
};

/** A node whose checks answer when told, on a link of its own. */
async function checking() {
  const w = world();
  const link = new FlakyStore(w.store);
  const ran: string[] = [];
  const open: { fits(): void; doesNotFit(): void }[] = [];
  const check = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const doesNotFit = (): void => reject(new NotCalled(new AtomicQueuesError('SCHEMA_VIOLATION', 'no'), true));
      open.push({ fits: resolve, doesNotFit });
    });
  const run = async (): Promise<string> => {
    ran.push('n1');
    return '1';
  };
  const n1 = node({ ...w, store: link }, () => 1, { ...FAST, serverId: 'n1' }, undefined, undefined, { handler: { check, run } });
  started.push(n1);
  await n1.start();
  const startSecond = async (): Promise<Node> => {
    const n2 = node(w, () => void ran.push('n2'), { ...FAST, serverId: 'n2' });
    started.push(n2);
    await n2.start();
    return n2;
  };
  return { w, link, ran, open, n1, startSecond };
}

describe('a payload check that answers after the lease has lapsed', () => {
  it('does not start the handler before the lease is proved again', async () => {
    const { link, ran, open, n1 } = await checking();
    const call = n1.enqueueAndWait(msg('a'), { timeoutMs: 5000 });
    await until('it is being checked', () => open.length === 1);
    link.cut = true;
    await until('the lease lapsed', () => n1.status().suspended);
    open[0]?.fits();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ran).toEqual([]);
    link.cut = false;
    expect(await call).toBe('1');
    expect(ran).toEqual(['n1']);
  });

  it('is not started by a lease that is proved while it has not answered', async () => {
    const { link, ran, open, n1 } = await checking();
    const call = n1.enqueueAndWait(msg('a'), { timeoutMs: 5000 });
    await until('it is being checked', () => open.length === 1);
    link.cut = true;
    await until('the lease lapsed', () => n1.status().suspended);
    link.cut = false;
    await until('the lease is back', () => !n1.status().suspended);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ran).toEqual([]);
    open[0]?.fits();
    expect(await call).toBe('1');
  });

  it.each(['fits', 'doesNotFit'] as const)('leaves a message that was taken over as it is (%s)', async (answer) => {
    const { w, link, ran, open, n1, startSecond } = await checking();
    const call = n1.enqueueAndWait(msg('a'), { timeoutMs: 5000 }).catch((error: AtomicQueuesError) => error.code);
    await n1.enqueue(msg('a'));
    await until('it is being checked', () => open.length === 1);
    await startSecond();
    link.cut = true;
    await until('the second node has gone on', () => ran.length === 1);
    link.cut = false;
    const letters = async () => (await w.store.control({ op: 'letters', after: '', max: 10 })).letters;
    await until('the note has come', async () => (await letters())[0]?.late !== '');
    open[0]?.[answer]();
    expect(await call).toBe('INTERRUPTED');
    expect(await letters()).toMatchObject([{ reason: 'interrupted', late: 'not-run' }]);
    expect(ran).toEqual(['n2']);
  });
});
