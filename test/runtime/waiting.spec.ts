import { describe, expect, it } from 'vitest';
import type { Node } from '../../src/runtime/node.js';
import { type Handle, msg, sleep, world } from './harness.js';
import { codeOf, start } from './started.js';

const wait = { timeoutMs: 2000 };

describe('idempotency ids', () => {
  it('runs a repeated id once, and gives the first result again', async () => {
    let runs = 0;
    const n = await start(world(), () => ++runs);
    const first = await n.enqueueAndWait(msg('a', { v: 1 }, { id: 'pay-1' }), wait);
    expect(await n.enqueueAndWait(msg('a', { v: 1 }, { id: 'pay-1' }), wait)).toBe(first);
    const again = await n.enqueue(msg('a', { v: 1 }, { id: 'pay-1' }));
    expect(again.id).toBe('pay-1');
    expect(runs).toBe(1);
    expect((await codeOf(n.enqueue(msg('a', { v: 2 }, { id: 'pay-1' })))).message).toContain('another payload');
    expect(await n.enqueueAndWait(msg('b', { v: 2 }, { id: 'pay-1' }), wait)).toBe('2');
  });

  it('answers both callers that wait for one id while it runs', async () => {
    let runs = 0;
    const n = await start(world(), async () => {
      await sleep(20);
      return ++runs;
    });
    const both = [1, 2].map(() => n.enqueueAndWait(msg('a', {}, { id: 'x' }), wait));
    expect(await Promise.all(both)).toEqual(['1', '1']);
  });
});

describe('waiting', () => {
  it('withdraws a message that has not begun, and is then definite', async () => {
    const seen: unknown[] = [];
    const n = await start(world(), async (p) => {
      seen.push(p);
      await sleep(150);
    });
    const running = n.enqueueAndWait(msg('a', { i: 1 }), wait);
    const error = await codeOf(n.enqueueAndWait(msg('a', { i: 2 }), { timeoutMs: 30, onTimeout: 'withdraw' }));
    expect([error.code, error.definite]).toEqual(['REPLY_TIMEOUT', true]);
    await running;
    await n.enqueueAndWait(msg('a', { i: 3 }), wait);
    expect(seen).toEqual([{ i: 1 }, { i: 3 }]);
  });

  it('is not definite about a message that runs', async () => {
    const n = await start(world(), () => sleep(100));
    const error = await codeOf(n.enqueueAndWait(msg('a'), { timeoutMs: 20, onTimeout: 'withdraw' }));
    expect([error.code, error.definite]).toEqual(['REPLY_TIMEOUT', false]);
  });

  it('says of an id that was withdrawn that it does not run, whoever asks', async () => {
    const n = await start(world(), () => sleep(80));
    const running = n.enqueueAndWait(msg('a'), wait);
    const again = msg('a', {}, { id: 'pay-1' });
    expect(await codeOf(n.enqueueAndWait(again, { timeoutMs: 20, onTimeout: 'withdraw' }))).toMatchObject({ definite: true });
    await running;
    for (const call of [n.enqueue(again), n.enqueueAndWait(again, wait)])
      expect(await codeOf(call)).toMatchObject({ code: 'WITHDRAWN', definite: true, details: { id: 'pay-1' } });
  });

  it('withdraws what waits for a check, and keeps nothing of it afterwards', async () => {
    const ran: string[] = [];
    const n = await start(world(), (_p, _name, id) => void ran.push(id));
    const checked = sleep(60);
    const first = n.enqueue(msg('a', {}, { checked }));
    const taken = await codeOf(n.enqueueAndWait(msg('a'), { timeoutMs: 10, onTimeout: 'withdraw' }));
    expect([taken.code, taken.definite]).toEqual(['REPLY_TIMEOUT', true]);
    const kept = n.enqueue(msg('a'));
    const turns = Reflect.get(Reflect.get(n, 'enqueuing') as object, 'turns') as ReadonlyMap<string, unknown>;
    expect(turns.size).toBe(1);
    expect((await Promise.all([first, kept])).map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(turns.size).toBe(0);
    expect(await codeOf(n.enqueue(msg('a', {}, { checked: Promise.reject(taken) })))).toBe(taken);
    await n.enqueueAndWait(msg('a'), wait);
    expect(ran).toHaveLength(3);
  });

  it('says of what waits for a check at the stop that nothing was sent', async () => {
    const n = await start(world(), () => undefined);
    const call = codeOf(n.enqueue(msg('a', {}, { checked: sleep(50) })));
    await n.stop();
    expect(await call).toMatchObject({ code: 'SHUTTING_DOWN', definite: true });
  });

  it('does not withdraw what another call has logged', async () => {
    const ran: string[] = [];
    const n = await start(world(), async (_p, _name, id) => {
      ran.push(id);
      await sleep(80);
    });
    const running = n.enqueueAndWait(msg('a'), wait);
    const payment = msg('a', {}, { id: 'pay-1' });
    await n.enqueue(payment);
    const asked = await codeOf(n.enqueueAndWait(payment, { timeoutMs: 20, onTimeout: 'withdraw' }));
    expect([asked.code, asked.definite]).toEqual(['REPLY_TIMEOUT', false]);
    await running;
    await n.enqueueAndWait(payment, wait);
    expect(ran).toHaveLength(2);
  });

  it('ends with the signal of the caller', async () => {
    const n = await start(world(), () => sleep(100));
    const abort = new AbortController();
    const call = codeOf(n.enqueueAndWait(msg('a'), { timeoutMs: 5000, signal: abort.signal }));
    setTimeout(() => abort.abort(), 20);
    expect((await call).message).toContain('aborted');
    expect(n.status().waiting).toBe(0);
    const depth = n.depth();
    const late = n.enqueueAndWait(msg('b'), { timeoutMs: 5000, signal: abort.signal });
    expect(await codeOf(late)).toMatchObject({ code: 'REPLY_TIMEOUT', definite: true });
    expect(await n.depth()).toEqual(await depth);
  });

  it('refuses a call back into its own chain', async () => {
    let n: Node;
    const handle: Handle = (p, _name, id) => {
      if (id === 'a') return n.enqueueAndWait(msg('b'), wait);
      if ((p as { deep?: boolean }).deep) return 'no';
      return n.enqueueAndWait(msg('a'), wait);
    };
    n = await start(world(), handle);
    const error = await codeOf(n.enqueueAndWait(msg('a'), wait));
    expect(error.code).toBe('HANDLER_FAILED');
    expect(error.message).toContain('CALL_CYCLE');
    expect(error.message).toContain('account:a -> account:b');
  });

  it('takes nothing for a cycle that is asked when the handler has ended', async () => {
    let n: Node;
    let later: Promise<unknown> = Promise.resolve();
    const handle: Handle = (p) => {
      if ((p as { once?: boolean }).once) later = sleep(20).then(() => n.enqueueAndWait(msg('a'), wait));
      return 'done';
    };
    n = await start(world(), handle);
    await n.enqueueAndWait(msg('a', { once: true }), wait);
    expect(await later).toBe('"done"');
  });
});
