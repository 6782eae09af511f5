import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/ports/store.js';
import { Audit } from '../../src/runtime/audit.js';
import type { StoreSession } from '../../src/runtime/session.js';

const APART_MS = 100;

/** An audit of a store that misses those keys, and how many entities leave the node during each look. */
function lookingAt(missing: readonly string[], releasesEach = 0) {
  const clock = { monotonicMs: () => nowMs } as never;
  const ownership = { releases: 0, ownedSurely: () => 3 };
  const lost: string[] = [];
  let nowMs = 0;
  const control = () => {
    ownership.releases += releasesEach;
    return Promise.resolve({ ok: true, missing, unready: [{ entity: 'account:a', owner: 0 }], cursor: '0' });
  };
  const attended: string[] = [];
  const attend = (entity: string): void => void attended.push(entity);
  const audit = new Audit({ control } as unknown as Store, clock, APART_MS, ownership, attend);
  const session = { incarnation: 1, damaged: (why: string) => lost.push(why) } as unknown as StoreSession;
  const look = async (atMs: number, isOver = false): Promise<void> => {
    nowMs = atMs;
    await audit.turn(session, () => isOver);
  };
  return { look, lost, attended };
}

describe('what the audit misses', () => {
  it('is lost if it is missed twice, and not at once', async () => {
    const { look, lost } = lookingAt(['owns']);
    for (const atMs of [0, 20, APART_MS - 1]) await look(atMs);
    expect(lost).toEqual([]);
    await look(APART_MS);
    expect(lost).toEqual([expect.stringContaining('owns')]);
  });

  it('is no loss of owned entities where some were released while the store was asked', async () => {
    const { look, lost } = lookingAt(['owns'], 1);
    for (const atMs of [0, 1000, 2000]) await look(atMs);
    expect(lost).toEqual([]);
  });

  it('is nothing to a session that ended while the store was asked, and neither is what it would attend to', async () => {
    const { look, lost, attended } = lookingAt(['owns']);
    for (const atMs of [0, 1000]) await look(atMs, true);
    expect({ lost, attended }).toEqual({ lost: [], attended: [] });
    for (const atMs of [2000, 3000]) await look(atMs);
    expect({ lost: lost.length, attended }).toEqual({ lost: 1, attended: ['account:a', 'account:a'] });
  });

  it('is a loss of any other key also then', async () => {
    const { look, lost } = lookingAt(['owns', 'msg'], 1);
    for (const atMs of [0, 1000]) await look(atMs);
    expect(lost).toEqual([expect.stringMatching(/: msg$/)]);
  });
});
