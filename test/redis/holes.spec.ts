import { expect, it } from 'vitest';
import type { SessionOp } from '../../src/core/log/operations.js';
import { describeRedis, startRedis } from '../support/redis-server.js';
import { append, ENTITY, join, redisStore } from './support.js';

/** More than one call passes (HOLES_MAX of prelude.lua). */
const HOLES = 8100;
const BATCH = 900;

describeRedis(
  'an entity whose waiting messages were withdrawn, all but the first and the last',
  () => {
    it('goes on with the last one by a later call, and counts one message until then', async () => {
      const server = await startRedis();
      const store = redisStore(server.port, { storeCallTimeoutMs: 5000 });
      await store.open();
      const session = await join(store);
      const inBatches = async (ops: readonly SessionOp[]): Promise<void> => {
        for (let i = 0; i < ops.length; i += BATCH) await session.apply(...ops.slice(i, i + BATCH));
      };
      const seqs = Array.from({ length: HOLES + 2 }, (_, i) => i + 1);
      await session.apply({ op: 'claim', entity: ENTITY });
      await inBatches(seqs.map((seq) => append(`m${seq}`, { begin: false })));
      await inBatches(seqs.slice(1, -1).map((seq) => ({ op: 'withdraw', entity: ENTITY, id: `m${seq}`, seq })));
      const only = async (op: SessionOp): Promise<unknown> => {
        const reply = await session.apply(op);
        return reply.status === 'applied' ? reply.answers[0] : reply;
      };
      const begin: SessionOp = { op: 'begin', entity: ENTITY, fence: 1, have: 0 };
      const outcome = { state: 'completed', result: '', error: '' } as const;
      const finish = (seq: number) => only({ ...begin, op: 'finish', seq, attempt: 1, outcome, sends: [], next: -1 });
      expect(await only(begin)).toMatchObject({ ok: true, seq: 1 });
      expect(await finish(1)).toMatchObject({ ok: true });
      expect(await only(begin)).toMatchObject({ ok: false, code: 'NOT_BEFORE' });
      const oneIsLeft = { ok: true, running: undefined, pendingCount: 1 };
      expect(await store.control({ op: 'entity', entity: ENTITY, max: 0 })).toMatchObject(oneIsLeft);
      expect(await only(begin)).toMatchObject({ ok: true, seq: seqs.length, attempt: 1 });
      expect(await finish(seqs.length)).toMatchObject({ ok: true });
      expect(await store.control({ op: 'counts' })).toMatchObject({ depth: 0 });
      await store.close();
      await server.stop();
    });
  },
  { own: true },
);
