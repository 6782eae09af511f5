import { describe, expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import { StoreCallError } from '../../src/ports/store.js';
import { EntityContext } from '../../src/runtime/context.js';
import type { Node } from '../../src/runtime/node.js';
import { SystemClock } from '../../src/system/clock.js';
import { type Handle, msg, node, sleep, until, type World, world } from './harness.js';
import { started } from './started.js';

async function start(w: World, handle: Handle, config: Record<string, unknown> = {}, names?: readonly string[]): Promise<Node> {
  const n = node(w, handle, { shutdownGraceMs: 300, ...config }, names);
  started.push(n);
  await n.start();
  return n;
}

const codeOf = (promise: Promise<unknown>): Promise<AtomicQueuesError> =>
  promise.then(
    () => Promise.reject(new Error('it should have failed')),
    (error) => {
      expect(error).toBeInstanceOf(AtomicQueuesError);
      return error as AtomicQueuesError;
    },
  );

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

/** A store whose answers have no room for the messages that they begin, and that is not there when it is first asked for one. */
class TerseStore extends MemoryStore {
  asked = 0;

  override async apply(batch: Batch): Promise<BatchReply> {
    const reply = await super.apply(batch);
    if (reply.status !== 'applied') return reply;
    const terse = <A extends object>(answer: A): A => ('message' in answer ? { ...answer, message: undefined } : answer);
    const answers = reply.answers.map((answer) =>
      'next' in answer && answer.next !== undefined ? { ...answer, next: terse(answer.next) } : terse(answer),
    );
    return { ...reply, answers };
  }

  override async control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    if (op.op === 'entity' && ++this.asked === 1) throw new StoreCallError('lost', false);
    return super.control(op);
  }
}

describe('a message that the answer has no room for', () => {
  it('is asked for, until the log tells it, and runs in its turn', async () => {
    const store = new TerseStore(new SystemClock());
    const w = world(store);
    const ran = new Map<string, number[]>();
    let isStopping = false;
    const handle: Handle = async (p, _name, id) => {
      if (!isStopping) await sleep(60);
      ran.set(id, [...(ran.get(id) ?? []), (p as { i: number }).i]);
    };
    const first = await start(w, handle);
    for (let i = 0; i < 12; i++) await first.enqueue(msg(`e${i % 3}`, { i }));
    isStopping = true;
    await first.stop();
    const before = [...ran.values()].flat().length;
    expect(before).toBeLessThan(12);
    await start(w, handle);
    await until('the next node has run the rest', () => [...ran.values()].flat().length === 12);
    for (const [id, numbers] of ran) expect(numbers).toEqual([0, 3, 6, 9].map((i) => i + Number(id.slice(1))));
    expect(store.asked).toBeGreaterThan(12 - before);
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
