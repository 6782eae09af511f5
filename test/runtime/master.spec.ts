import { expect, it, vi } from 'vitest';
import { placeOf } from '../../src/core/placement/rendezvous.js';
import type { Clock } from '../../src/ports/clock.js';
import type { PeerMessage } from '../../src/ports/network.js';
import { Master, type MasterParts } from '../../src/runtime/master.js';
import { Peers } from '../../src/runtime/peers.js';

/** A master of incarnation 1, until 1000 ms, of a group whose members 2 and 4 can own entities. */
function master(more: Partial<Record<keyof MasterParts, unknown>> = {}) {
  const sent: { readonly to: number; readonly message: PeerMessage }[] = [];
  const timers: (() => void)[] = [];
  const setTimer = (_: number, fire: () => void) => {
    timers.push(fire);
    return { cancel: () => undefined };
  };
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, setTimer };
  const config = {
    ...{ limits: { concurrentPetitionsMax: 0, forwardHopsMax: 3 }, deadlines: { forwardMs: 100 } },
    ...{
      breaker: { failureThreshold: 3, cooldownMs: 100 },
      timing: { leaderTTLMs: 1000, leaseMarginMs: 100, leaderRenewalMs: 10 },
    },
  };
  const network = { send: (to: number, message: PeerMessage) => void sent.push({ to, message }) };
  const view = { ...{ members: [], group: [], memberOf: () => undefined }, nearPlaces: () => MEMBERS };
  const peers = new Peers(clock as unknown as Clock, config as never, network as never, view as never);
  const membership = { incarnation: 1, identity: {}, leaseValid: () => true, noteEpoch: () => undefined };
  const trace = { emit: () => undefined };
  const leader = new Master({ clock, trace, config, network, view, peers, membership, ...more } as unknown as MasterParts);
  Object.assign(leader, { role: 'ready', epoch: 1, leadsUntilMs: 1000 });
  return { leader, clock, sent, timers };
}

const MEMBERS = [2, 4].map((incarnation) => ({ incarnation, serverId: `n${incarnation}`, owns: 0 }));

const petition = (entity: string, ticket = 7): PeerMessage => ({ kind: 'petition', ticket, entity, source: 3, hops: 0 });

it.each([
  ['goes to the next member while the master leads', 999, [{ kind: 'assign', ticket: 2, entity: 'account:a' }]],
  ['is answered at once after its term', 1000, [{ kind: 'placed', ticket: 7, owner: 0, refusal: 'NOT_MASTER' }]],
] as const)('a petition whose assignment a member declines %s', (_, nowMs, messages) => {
  const { leader, clock, sent } = master();
  leader.receive(petition('account:a'), 3);
  const [first] = sent.splice(0);
  expect(first?.message).toMatchObject({ kind: 'assign', ticket: 1, entity: 'account:a', epoch: 1 });
  clock.nowMs = nowMs;
  leader.receive({ kind: 'assigned', ticket: 1, refusal: 'DECLINED' }, first?.to ?? 0);
  expect(sent.map(({ message }) => message)).toMatchObject(messages);
  const next = messages[0].kind === 'placed' ? 3 : 6 - (first?.to ?? 0);
  expect(sent.map(({ to }) => to)).toEqual([next]);
});

it('entities placed since the last membership snapshot count as load of their node, until a newer snapshot counts them', () => {
  const { leader, sent } = master();
  const all = Array.from({ length: 400 }, (_, i) => `account:${i}`).filter(
    (entity) => placeOf(entity, MEMBERS)?.incarnation === 2,
  );
  /** How many of the next entities go to the node that rendezvous hashing prefers for each of them. */
  const place = (count: number): number => {
    for (const entity of all.splice(0, count)) leader.receive(petition(entity), 3);
    return sent.splice(0).filter(({ to }) => to === 2).length;
  };
  const first = place(40);
  expect(first).toBeGreaterThan(10);
  expect(first).toBeLessThan(30);
  leader.viewUpdated();
  expect(place(10)).toBe(10);
});

it('a master that reads the answer to its renewal after the term that it grants steps down at once', async () => {
  const control = () => {
    clock.nowMs = 900;
    return Promise.resolve({ ok: true, epoch: 1 });
  };
  const ownership = { handlesAny: true, draining: false };
  const { leader, clock, sent, timers } = master({ store: { control }, ownership, isDegraded: () => false });
  leader.receive(petition('account:a'), 3);
  sent.length = 0;
  leader.start();
  timers.at(-1)?.();
  await vi.waitFor(() => expect(leader.role).toBe('follower'));
  expect(sent.map(({ message }) => message)).toEqual([{ kind: 'placed', ticket: 7, owner: 0, refusal: 'NOT_MASTER' }]);
});
