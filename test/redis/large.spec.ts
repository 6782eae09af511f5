import { expect, it } from 'vitest';
import type { BeginAnswer, SessionOp } from '../../src/core/log/operations.js';
import { describeRedis, startRedis } from '../support/redis-server.js';
import { append, join, message, redisStore } from './support.js';

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
