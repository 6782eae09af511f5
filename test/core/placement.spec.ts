import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AssignmentTable } from '../../src/core/placement/assignment-table.js';
import { choosePlace, roomyOf } from '../../src/core/placement/choose.js';
import { placeOf } from '../../src/core/placement/rendezvous.js';

const places = (n: number) => Array.from({ length: n }, (_, i) => ({ incarnation: i + 1, serverId: `n${i}` }));
const keys = Array.from({ length: 5000 }, (_, i) => `account:a-${i}`);

describe('the ring', () => {
  it('moves only the keys of the node that leaves', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), fc.nat(), fc.string(), (n, pick, key) => {
        const all = places(n);
        const gone = all[pick % n];
        const before = placeOf(key, all);
        const after = placeOf(
          key,
          all.filter((p) => p !== gone),
        );
        if (before !== gone) expect(after).toBe(before);
      }),
    );
  });

  it.each([2, 3, 5, 7])('gives each of %i nodes its share, within a tenth', (n) => {
    const count = new Map<number, number>();
    for (const key of keys) {
      const at = placeOf(key, places(n))?.incarnation ?? 0;
      count.set(at, (count.get(at) ?? 0) + 1);
    }
    for (const c of count.values()) expect(Math.abs(c / (keys.length / n) - 1)).toBeLessThan(0.1);
  });

  it('gives a node that restarts under the same name the same keys, and does not ask for an order', () => {
    const again = [...places(3)].reverse().map((p) => ({ ...p, incarnation: p.incarnation + 10 }));
    for (const key of keys.slice(0, 200)) expect(placeOf(key, again)?.serverId).toBe(placeOf(key, places(3))?.serverId);
  });
});

describe('the master chooses', () => {
  it('the existing owner while it lives, else the ring', () => {
    const idle = () => 0;
    expect(choosePlace('account:x', places(3), 2, idle)?.incarnation).toBe(2);
    const rest = places(3).filter((p) => p.incarnation !== 2);
    expect(choosePlace('account:x', rest, 2, idle)).toBe(placeOf('account:x', rest));
    expect(choosePlace('account:x', [], 2, idle)).toBeUndefined();
  });

  it('the least loaded instead of a ring place that holds far more than its share', () => {
    const ring = placeOf('account:new', places(3))?.incarnation ?? 0;
    const other = [1, 2, 3].filter((i) => i !== ring);
    const loads = new Map([ring, ...other].map((incarnation, i) => [incarnation, [100, 1, 0][i] as number]));
    expect(choosePlace('account:new', places(3), undefined, (p) => loads.get(p.incarnation) ?? 0)?.incarnation).toBe(other[1]);
  });

  it('so that loads stay within a fifth of even, also after a node has gone', () => {
    const loads = new Map<number, number>();
    const loadOf = (p: { incarnation: number }): number => loads.get(p.incarnation) ?? 0;
    const place = (all: readonly string[], nodes: ReturnType<typeof places>): void => {
      for (const key of all) {
        const { incarnation } = choosePlace(key, nodes, undefined, loadOf) as { incarnation: number };
        loads.set(incarnation, loadOf({ incarnation }) + 1);
      }
    };
    place(keys.slice(0, 400), places(4));
    const lost = loads.get(1) ?? 0;
    loads.delete(1);
    place(keys.slice(400, 400 + lost), places(4).slice(1));
    for (const load of loads.values()) expect(Math.abs(load / (400 / 3) - 1)).toBeLessThan(0.2);
  });

  it('no place that is overloaded, and always has one left', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 9 }), (owns) => {
        const all = owns.map((load, i) => ({ incarnation: i + 1, serverId: `n${i}`, load }));
        const roomy = roomyOf(all, (p) => p.load);
        const least = all.reduce((a, b) => (b.load < a.load ? b : a));
        expect(roomy).toContain(least);
        const mean = owns.reduce((a, b) => a + b, 0) / owns.length;
        for (const p of all) expect(roomy.includes(p)).toBe(p.load <= mean * 1.2 + 4);
      }),
    );
  });
});

describe('the assignment table', () => {
  it('is trimmed of its oldest rows, and of what it counts for them', () => {
    const table = new AssignmentTable();
    for (let i = 0; i < 10; i++) table.set(`t:${i}`, i % 2);
    table.trim(10);
    expect(table.size).toBe(10);
    table.trim(3);
    expect([...table.entries()].map(([entity]) => entity)).toEqual(['t:7', 't:8', 't:9']);
    expect([table.loadOf(0), table.loadOf(1)]).toEqual([1, 2]);
  });

  it('counts what each node holds, whatever happens to the rows', () => {
    const op = fc.tuple(
      fc.constantFrom('set', 'add', 'remove', 'sweep'),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
    );
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        const table = new AssignmentTable();
        const model = new Map<string, number>();
        for (const [kind, e, n] of ops) {
          const entity = `t:${e}`;
          if (kind === 'set') model.set(entity, n);
          else if (kind === 'add' && !model.has(entity)) model.set(entity, n);
          else if (kind === 'remove') model.delete(entity);
          else if (kind === 'sweep') for (const [k, o] of model) if (o === n) model.delete(k);
          if (kind === 'sweep') table.sweep((i) => i !== n);
          else if (kind === 'remove') table.remove(entity);
          else table[kind as 'set' | 'add'](entity, n);
        }
        expect(new Map(table.entries())).toEqual(model);
        for (const n of [1, 2, 3]) expect(table.loadOf(n)).toBe([...model.values()].filter((o) => o === n).length);
      }),
    );
  });
});
