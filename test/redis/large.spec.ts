import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import type { AppendAnswer, BeginAnswer, SessionOp } from '../../src/core/log/operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import { EntityContext } from '../../src/runtime/context.js';
import { SystemClock } from '../../src/system/clock.js';
import { type Handle, msg, node, until, world } from '../runtime/harness.js';
import { fast } from '../runtime/started.js';
import { describeRedis, startRedis } from '../support/redis-server.js';
import { append, failureOf, join, message, redisStore } from './support.js';

const CHARS = 300_000;
const ENTITIES = Array.from({ length: 8 }, (_, i) => `account:${i}`);

describeRedis('the reply to steps that begin large messages', () => {
  it.each([
    ['by the short way', []],
    ['by the general part', [{ op: 'expire', max: 1 } as const]],
  ])('tells about a megabyte of them, and the log has the rest, %s', async (_, more: readonly SessionOp[]) => {
    const server = await startRedis();
    const store = redisStore(server.port, { storeCallTimeoutMs: 5000 });
    await store.open();
    const session = await join(store);
    await session.apply(...ENTITIES.map((entity): SessionOp => ({ op: 'claim', entity })));
    const payload = `"${'x'.repeat(CHARS)}"`;
    const logged = ENTITIES.map((entity, i) => append(`m${i}`, { entity, message: message(`m${i}`, { payload }), begin: false }));
    await session.apply(...logged);
    const begins = ENTITIES.map((entity, i): SessionOp => ({ op: 'begin', entity, fence: i + 1, have: 0 }));
    const reply = await session.apply(...begins, ...more);
    if (reply.status !== 'applied') throw new Error(reply.status);
    const begun = reply.answers.slice(0, ENTITIES.length) as readonly BeginAnswer[];
    expect(begun.map(({ seq, attempt }) => [seq, attempt])).toEqual(ENTITIES.map(() => [1, 1]));
    expect(begun.map((answer) => answer.message?.payload.length)).toEqual([
      ...Array.from({ length: 4 }, () => payload.length),
      ...Array.from({ length: 4 }, () => undefined),
    ]);
    for (const [i, entity] of ENTITIES.entries()) {
      const found = await store.control({ op: 'entity', entity, max: 0 });
      expect(found.ok && found.running).toMatchObject({ id: `m${i}`, seq: 1, attempt: 1, payload });
    }
    await store.close();
    await server.stop();
  });
});

describeRedis('a page of the history of an entity', () => {
  it('ends where reading on would take long, and all pages together have everything', async () => {
    const server = await startRedis();
    const store = redisStore(server.port, { storeCallTimeoutMs: 5000 });
    await store.open();
    const session = await join(store, 'g1', { resultTtlMs: 60_000, entryTtlMs: 60_000 });
    const entity = ENTITIES[0]!;
    await session.apply({ op: 'claim', entity });
    const result = `"${'x'.repeat(CHARS)}"`;
    const outcome = { state: 'completed', result, error: '' } as const;
    for (let seq = 1; seq <= 24; seq++) {
      await session.apply(append(`m${seq}`, { entity, message: message(`m${seq}`, { given: true, digest: 'd' }) }));
      await session.apply({ op: 'finish', entity, fence: 1, seq, attempt: 1, outcome, sends: [], next: -1 });
    }
    const pages: number[] = [];
    const seen = new Set<number>();
    for (let cursor = ''; cursor !== '0'; ) {
      const page = await store.control({ op: 'history', entity, cursor: cursor === '' ? '0' : cursor });
      cursor = page.cursor;
      pages.push(page.ended.length);
      for (const { seq } of page.ended) seen.add(seq);
    }
    expect(seen.size).toBe(24);
    expect(Math.max(...pages)).toBeLessThan(24);
    await store.close();
    await server.stop();
  });
});

describeRedis('the reply to appends of ids that are known', () => {
  it('has results of 64 KiB and one more, and says of the others that they are cut, as the core does', async () => {
    const server = await startRedis();
    const store = redisStore(server.port, { storeCallTimeoutMs: 5000 });
    await store.open();
    // Three of them have one byte less than 64 KiB.
    const result = `"${'é'.repeat(10_921)}x"`;
    const known = ENTITIES.map((entity, i) => {
      const given = message(`m${i}`, { given: true, digest: 'd' });
      return append(`m${i}`, { entity, message: given, begin: true });
    });
    const answers: unknown[] = [];
    for (const target of [store, new MemoryStore(new SystemClock())]) {
      const session = await join(target);
      await session.apply(...ENTITIES.map((entity): SessionOp => ({ op: 'claim', entity })));
      await session.apply(...known.map((op) => ({ ...op })));
      const outcome = { state: 'completed', result, error: '' } as const;
      const ends = ENTITIES.map((entity, i): SessionOp => {
        return { op: 'finish', entity, fence: i + 1, seq: 1, attempt: 1, outcome, sends: [], next: -1 };
      });
      await session.apply(...ends);
      const reply = await session.apply(...known.map((op) => ({ ...op })));
      if (reply.status !== 'applied') throw new Error(reply.status);
      answers.push(reply.answers);
    }
    expect(answers[0]).toEqual(answers[1]);
    const told = (answers[0] as readonly AppendAnswer[]).map(({ known: at }) => [at?.state, at?.cut, at?.result.length]);
    expect(told).toEqual([
      ...Array.from({ length: 4 }, () => ['completed', false, result.length]),
      ...Array.from({ length: 4 }, () => ['completed', true, 0]),
    ]);
    await store.close();
    await server.stop();
  });
});

/** A link that lets so many bytes a millisecond pass, each way. */
async function thinLink(target: number, bytesPerMs: number): Promise<{ port: number; close(): void }> {
  const sockets: Socket[] = [];
  const thin = (from: Socket, to: Socket): void => {
    from.on('data', (data) => {
      from.pause();
      to.write(data);
      setTimeout(() => from.resume(), data.length / bytesPerMs);
    });
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  };
  const server = createServer((client) => {
    const upstream = dial(target, '127.0.0.1');
    sockets.push(client, upstream);
    thin(client, upstream);
    thin(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, close };
}

describeRedis('a link on which an answer takes longer than a call may', () => {
  it('brings it all the same, with what comes after it: an answer that is arriving is no half-open link', async () => {
    const server = await startRedis();
    const near = redisStore(server.port, { storeCallTimeoutMs: 5000 });
    await near.open();
    const session = await join(near);
    const payload = `"${'x'.repeat(CHARS)}"`;
    await session.apply(append('m', { message: message('m', { payload }), begin: false }));
    const link = await thinLink(server.port, 300);
    const store = redisStore(link.port, { storeCallTimeoutMs: 300, connectTimeoutMs: 5000 });
    await store.open();
    // 300 kB at 300 bytes a millisecond: a second.
    const [found, counts] = await Promise.all([
      store.control({ op: 'entity', entity: 'account:a-1', max: 1 }),
      store.control({ op: 'counts' }),
    ]);
    expect(found.ok && found.pending[0]?.payload.length).toBe(payload.length);
    expect(counts.ok).toBe(true);
    await store.close();
    await near.close();
    link.close();
    await server.stop();
  });

  it('takes a large batch that is given more time, and fails the calls behind it without dropping the link', async () => {
    const server = await startRedis();
    const link = await thinLink(server.port, 300);
    const store = redisStore(link.port, { storeCallTimeoutMs: 300, connectTimeoutMs: 5000 });
    await store.open();
    const session = await join(store);
    const payload = `"${'x'.repeat(CHARS)}"`;
    const batch = session.batch(append('m', { message: message('m', { payload }), begin: false }));
    const applied = store.apply(batch, 16);
    const behind = failureOf(store.control({ op: 'counts' }));
    expect((await behind).refused).toBe(false);
    expect((await applied).status).toBe('applied');
    await store.close();
    link.close();
    await server.stop();
  });
});

describeRedis('a handler that sends very many small messages', () => {
  it('has them logged in one step, up to the limit of what crosses, and is refused the others', async () => {
    const server = await startRedis();
    let ran = 0;
    let sent = 0;
    const handle: Handle = (_payload, name) => {
      if (name !== 'Send') return void ran++;
      const context = EntityContext.current();
      expect(() => {
        for (; sent < 50_000; sent++) context.enqueue(msg(`e${sent % 64}`));
      }).toThrow(/PAYLOAD_TOO_LARGE/);
    };
    const n = node({ ...world(), store: redisStore(server.port, { storeCallTimeoutMs: 1000 }) }, handle, fast());
    await n.start();
    await n.enqueueAndWait(msg('start', {}, { name: 'Send' }), { timeoutMs: 20_000 });
    expect(sent).toBeGreaterThan(10_000);
    await until('all have run', () => ran === sent, 60_000);
    expect(n.status().incarnation).toBe(1);
    await n.stop();
    await server.stop();
  });
});
