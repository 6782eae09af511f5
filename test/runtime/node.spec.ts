import { describe, expect, it } from 'vitest';
import { EntityContext } from '../../src/runtime/context.js';
import type { Node } from '../../src/runtime/node.js';
import { type Handle, msg, node, sleep, until, world } from './harness.js';
import { codeOf, start } from './started.js';

const wait = { timeoutMs: 2000 };

describe('one entity', () => {
  it('runs its messages in order, one at a time, from many callers at once', async () => {
    let x = 0;
    let overlap = 0;
    let inside = 0;
    const seen: number[] = [];
    const n = await start(world(), async (p) => {
      overlap = Math.max(overlap, ++inside);
      const read = x;
      if ((p as { i: number }).i % 3 === 0) await sleep(1);
      x = read + 1;
      seen.push((p as { i: number }).i);
      inside--;
      return x;
    });
    const results = await Promise.all(Array.from({ length: 200 }, (_, i) => n.enqueueAndWait(msg('a', { i }), wait)));
    expect(x).toBe(200);
    expect(overlap).toBe(1);
    expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(results.map(Number)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });

  it('gives receipts whose sequence grows, in call order', async () => {
    const n = await start(world(), () => undefined);
    const receipts = await Promise.all(Array.from({ length: 20 }, () => n.enqueue(msg('a'))));
    const sequences = receipts.map((r) => r.sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(new Set(receipts.map((r) => r.id)).size).toBe(20);
  });

  it('keeps a failing message from the others, and tells its caller', async () => {
    const n = await start(world(), (p) => {
      if ((p as { bad?: boolean }).bad) throw new TypeError('no');
      return 'ok';
    });
    const bad = codeOf(n.enqueueAndWait(msg('a', { bad: true }), wait));
    expect(await n.enqueueAndWait(msg('a'), wait)).toBe('"ok"');
    const error = await bad;
    expect(error.code).toBe('HANDLER_FAILED');
    expect(error.definite).toBe(false);
    expect(error.message).toContain('TypeError: no');
  });

  it.each([
    ['a string', 'just text', 'just text'],
    ['undefined', undefined, 'undefined'],
    ['an object that refuses to be a string', Object.create(null), '{}'],
  ])('takes %s thrown as an error', async (_, thrown, text) => {
    const n = await start(world(), () => {
      throw thrown;
    });
    const error = await codeOf(n.enqueueAndWait(msg('a'), wait));
    expect(error.code).toBe('HANDLER_FAILED');
    if (thrown !== undefined) expect(error.message).toContain(text);
  });
});

describe('independence (L3)', () => {
  it('runs other entities while one never ends, reports it blocked, and stops within the grace', async () => {
    const w = world();
    const n = await start(w, (_p, _n, id) => (id === 'stuck' ? new Promise(() => undefined) : 'ok'), {
      entities: { account: { handlerTimeout: 50 } },
      shutdownGraceMs: 400,
    });
    await n.enqueue(msg('stuck'));
    await n.enqueue(msg('stuck'));
    expect(await n.enqueueAndWait(msg('b'), wait)).toBe('"ok"');
    await until('it is blocked', () => n.status().blocked.length === 1);
    expect(n.status().blocked[0]?.entity).toBe('account:stuck');
    const at = performance.now();
    await n.stop();
    expect(performance.now() - at).toBeLessThan(1000);
    expect(w.events.some((e) => e.event === 'blocked')).toBe(true);
  });

  it('bounds handlers at once, and lets every entity have its turn', async () => {
    let inside = 0;
    let most = 0;
    const n = await start(
      world(),
      async () => {
        most = Math.max(most, ++inside);
        await sleep(1);
        inside--;
      },
      { maxConcurrentHandlers: 3 },
    );
    await Promise.all(Array.from({ length: 200 }, (_, i) => n.enqueueAndWait(msg(`e${i % 20}`), { timeoutMs: 10_000 })));
    expect(most).toBe(3);
    expect(n.status().running).toBe(0);
  });

  it('does not starve what waiting handlers wait for', async () => {
    let n: Node;
    const handle: Handle = async (p) => {
      const { to } = p as { to?: string };
      return to === undefined ? 'leaf' : n.enqueueAndWait(msg(to), wait);
    };
    n = await start(world(), handle, { maxConcurrentHandlers: 2 });
    const calls = Array.from({ length: 10 }, (_, i) => n.enqueueAndWait(msg(`a${i}`, { to: `b${i}` }), wait));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['"\\"leaf\\""']));
  });

  it('does not starve what stands before that either', async () => {
    let n: Node;
    const handle: Handle = async (p) => {
      const { to } = p as { to?: string };
      if (to !== undefined) return n.enqueueAndWait(msg(to), wait);
      await sleep(2);
      return 'leaf';
    };
    n = await start(world(), handle, { maxConcurrentHandlers: 4 });
    const calls = Array.from({ length: 12 }, (_, i) => [
      n.enqueueAndWait(msg(`a${i}`, { to: 'x' }), wait),
      n.enqueueAndWait(msg('x'), wait),
    ]);
    expect(await Promise.all(calls.flat())).toHaveLength(24);
  });
});

describe('retry', () => {
  it('retries at the head with the attempt counted, and keeps the order', async () => {
    const seen: string[] = [];
    const n = await start(
      world(),
      (p) => {
        const { attempt } = EntityContext.current();
        seen.push(`${(p as { i: number }).i}.${attempt}`);
        if ((p as { i: number }).i === 1 && attempt < 3) throw new Error('again');
      },
      { retry: { maxAttempts: 3, backoff: 'fixed', backoffDelay: 20 } },
    );
    await Promise.all([1, 2].map((i) => n.enqueueAndWait(msg('a', { i }), wait)));
    expect(seen).toEqual(['1.1', '1.2', '1.3', '2.1']);
  });

  it('dead-letters what has used up its attempts', async () => {
    const w = world();
    const n = await start(
      w,
      () => {
        throw new Error('never');
      },
      { retry: { maxAttempts: 2, backoffDelay: 5 } },
    );
    expect((await codeOf(n.enqueueAndWait(msg('a', { x: 1 }), wait))).code).toBe('HANDLER_FAILED');
    const { letters } = await w.store.control({ op: 'letters', after: '', max: 10 });
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({
      entity: 'account:a',
      reason: 'failed',
      message: { attempt: 2, payload: '{"x":1}', name: 'Do' },
    });
  });
});

describe('context', () => {
  it('tells a handler what runs', async () => {
    let seen: Record<string, unknown> = {};
    const n = await start(world(), async () => {
      await sleep(1);
      const c = EntityContext.current();
      seen = {
        type: c.entityType,
        id: c.entityId,
        message: c.messageId,
        sequence: c.sequence,
        attempt: c.attempt,
        fence: c.fence,
        headers: c.headers,
        chain: c.chain,
        aborted: c.signal.aborted,
      };
    });
    await n.enqueueAndWait(msg('ä:{}\n x%', {}, { id: 'm\n1', headers: '{"traceparent":"t"}' }), wait);
    expect(seen).toEqual({
      type: 'account',
      id: 'ä:{}\n x%',
      message: 'm\n1',
      sequence: 1,
      attempt: 1,
      fence: 1,
      headers: { traceparent: 't' },
      chain: [],
      aborted: false,
    });
    expect(() => EntityContext.current()).toThrow('outside of an entity handler');
  });

  it('logs a transactional send with the completion, or not at all', async () => {
    const seen: string[] = [];
    const n = await start(
      world(),
      (p, name, id) => {
        seen.push(`${name}:${id}`);
        if (name !== 'Send') return;
        EntityContext.current().enqueue(msg('target', {}));
        if ((p as { fail?: boolean }).fail && EntityContext.current().attempt === 1) throw new Error('after the send');
      },
      { retry: { maxAttempts: 2, backoffDelay: 1 } },
    );
    await n.enqueueAndWait(msg('a', { fail: true }, { name: 'Send' }), wait);
    await until('the send ran', () => seen.includes('Do:target'));
    await sleep(20);
    expect(seen).toEqual(['Send:a', 'Send:a', 'Do:target']);
  });

  it('fails a handler whose sends exceed a limit, and sends nothing', async () => {
    const w = world();
    const n = await start(
      w,
      (_p, name) => {
        if (name === 'Send') for (let i = 0; i < 5; i++) EntityContext.current().enqueue(msg('t'));
      },
      { entities: { account: { workerMaxQueueDepth: 3 } } },
    );
    const error = await codeOf(n.enqueueAndWait(msg('a', {}, { name: 'Send' }), wait));
    expect([error.code, error.definite]).toEqual(['QUEUE_DEPTH_EXCEEDED', false]);
    expect((await w.store.control({ op: 'counts' })).depth).toBe(0);
  });

  it('aborts its signal at handlerTimeout', async () => {
    const n = await start(
      world(),
      () =>
        new Promise((_, reject) =>
          EntityContext.current().signal.addEventListener('abort', (e) => reject((e.target as AbortSignal).reason)),
        ),
      { entities: { account: { handlerTimeout: 30 } } },
    );
    expect((await codeOf(n.enqueueAndWait(msg('a'), wait))).message).toContain('handlerTimeout');
  });
});

describe('limits (I7)', () => {
  it.each([
    [{ entities: { account: { workerMaxQueueDepth: 3 } } }, (i: number) => msg('a', { i }), 'QUEUE_DEPTH_EXCEEDED'],
    [{ maxTotalQueueDepth: 3 }, (i: number) => msg(`e${i}`), 'QUEUE_DEPTH_EXCEEDED'],
    [{ maxTotalWorkers: 3 }, (i: number) => msg(`e${i}`), 'WORKER_LIMIT_EXCEEDED'],
  ])('rejects at %o, definitely, and accepts again', async (config, make, code) => {
    const w = world();
    const n = await start(w, () => sleep(50), config);
    const outcomes = await n.enqueueBulk(Array.from({ length: 6 }, (_, i) => make(i)));
    expect(outcomes.filter((o) => o.ok)).toHaveLength(3);
    for (const o of outcomes) if (!o.ok) expect([o.error.code, o.error.definite]).toEqual([code, true]);
    await until('all ended', async () => (await w.store.control({ op: 'counts' })).depth === 0);
    expect((await n.enqueueBulk([make(9)]))[0]?.ok).toBe(true);
  });

  it('releases what is idle longest when the node is at its own limit', async () => {
    const n = await start(world(), () => undefined, { maxTotalWorkers: 3 });
    for (let i = 0; i < 10; i++) await n.enqueueAndWait(msg(`e${i}`), wait);
    await until('the releases are answered', () => n.status().owned <= 3);
  });
});

describe('idle', () => {
  it('tears idle entities down to nothing', async () => {
    const w = world();
    const n = await start(w, () => undefined, { entities: { account: { workerIdleTimeout: 40 } } });
    for (let i = 0; i < 50; i++) await n.enqueueAndWait(msg(`e${i}`), wait);
    expect(n.status().owned).toBeGreaterThan(0);
    await until('all are released', () => n.status().owned === 0);
    expect(await w.store.control({ op: 'counts' })).toMatchObject({ depth: 0, active: 0, entities: 0, kept: 0 });
    await n.enqueueAndWait(msg('e1'), wait);
  });
});

describe('stop', () => {
  it('finishes what runs, hands over what waits, and rejects what comes', async () => {
    const w = world();
    const ran: unknown[] = [];
    const handle: Handle = async (p) => {
      await sleep(60);
      ran.push((p as { i: number }).i);
      return 'done';
    };
    const n = await start(w, handle);
    const first = n.enqueueAndWait(msg('a', { i: 1 }), wait);
    await n.enqueue(msg('a', { i: 2 }));
    await sleep(10);
    const stopping = n.stop();
    expect((await codeOf(n.enqueue(msg('a', { i: 3 })))).code).toBe('SHUTTING_DOWN');
    expect(await first).toBe('"done"');
    await stopping;
    expect(ran).toEqual([1]);
    expect(await w.store.control({ op: 'members' })).toMatchObject({ members: [] });
    await start(w, handle);
    await until('the next node runs it', () => ran.length === 2);
  });

  it('lets a handler send on while it drains', async () => {
    const w = world();
    let n: Node;
    const ran: string[] = [];
    const handle: Handle = async (_p, name, id) => {
      ran.push(id);
      if (name !== 'Send') return;
      await sleep(50);
      await n.enqueue(msg('later'));
      EntityContext.current().enqueue(msg('sent'));
    };
    n = await start(w, handle);
    const call = n.enqueueAndWait(msg('a', {}, { name: 'Send' }), wait);
    await sleep(10);
    await Promise.all([n.stop(), call]);
    expect(ran).toEqual(['a']);
    await start(w, handle);
    await until('both ran', () => ran.length === 3);
  });

  it('refuses calls before the start and after the end', async () => {
    const n = node(world(), () => undefined);
    expect((await codeOf(n.enqueue(msg('a')))).code).toBe('SHUTTING_DOWN');
    await n.start();
    await n.stop();
    await n.stop();
    expect((await codeOf(n.enqueueAndWait(msg('a'), wait))).code).toBe('SHUTTING_DOWN');
  });
});
