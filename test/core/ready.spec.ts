import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { ready } from '../../src/core/log/membership.js';
import { entityOrNew, PartitionState } from '../../src/core/log/state.js';

const NOW_MS = 50;

function list(state: PartitionState, n: number, atMs: number): void {
  const entity = `t:${n}`;
  entityOrNew(state, entity);
  state.ready.set(entity, atMs);
}

it('pages of the ready set hold what is due, in order, whatever leaves between two of them', () => {
  const entries = fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 99 }), fc.integer({ min: 40, max: 55 })), {
    selector: ([n]) => n,
  });
  fc.assert(
    fc.property(entries, fc.integer({ min: 1, max: 9 }), fc.boolean(), (rows, max, leaves) => {
      const state = new PartitionState();
      for (const [n, atMs] of rows) list(state, n, atMs);
      const due = [...state.ready].filter(([, atMs]) => atMs <= NOW_MS);
      due.sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
      const seen: string[] = [];
      for (let after = '', turns = 0; turns === 0 || after !== ''; turns++) {
        const page = ready(state, { op: 'ready', after, max }, NOW_MS);
        const entities = page.entities.map(({ entity }) => entity);
        expect(entities.length).toBeLessThanOrEqual(max);
        // No record names an owner. The sweep claims such an entity, and only wakes the owner of another.
        expect(page.entities.filter(({ owner }) => owner !== 0)).toEqual([]);
        seen.push(...entities);
        if (leaves) for (const entity of entities) state.ready.delete(entity);
        after = page.next;
      }
      expect(seen).toEqual(due.map(([entity]) => entity));
    }),
  );
});

it('a page of the ready set sorts no more than two pages at a time', () => {
  const state = new PartitionState();
  for (let i = 0; i < 20_000; i++) list(state, i, (i * 7919) % 20_011);
  const sort = vi.spyOn(Array.prototype, 'sort');
  ready(state, { op: 'ready', after: '', max: 100 }, 30_000);
  const sizes = sort.mock.contexts.map((list) => (list as unknown[]).length);
  sort.mockRestore();
  expect(Math.max(...sizes)).toBeLessThanOrEqual(200);
  expect(sizes.length).toBeLessThan(40);
});
