import { expect, it } from 'vitest';
import type { Clock } from '../../src/ports/clock.js';
import type { PeerMessage } from '../../src/ports/network.js';
import { Master, type MasterParts } from '../../src/runtime/master.js';
import { Peers } from '../../src/runtime/peers.js';

/** A master of incarnation 1, until 1000 ms, of a group whose members 2 and 4 can own entities. */
function master() {
  const sent: { readonly to: number; readonly message: PeerMessage }[] = [];
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, setTimer: () => ({ cancel: () => undefined }) };
  const config = {
    ...{ limits: { concurrentPetitionsMax: 0, forwardHopsMax: 3 }, deadlines: { forwardMs: 100 } },
    breaker: { failureThreshold: 3, cooldownMs: 100 },
  };
  const network = { send: (to: number, message: PeerMessage) => void sent.push({ to, message }) };
  const view = { nearPlaces: () => [2, 4].map((incarnation) => ({ incarnation, serverId: `n${incarnation}`, owns: 0 })) };
  const peers = new Peers(clock as unknown as Clock, config as never, network as never, view as never);
  const membership = { incarnation: 1, leaseValid: () => true };
  const leader = new Master({ clock, config, network, view, peers, membership } as unknown as MasterParts);
  Object.assign(leader, { role: 'ready', epoch: 1, leadsUntilMs: 1000 });
  return { leader, clock, sent };
}

it.each([
  ['goes to the next member while the master leads', 999, [{ kind: 'assign', ticket: 2, entity: 'account:a' }]],
  ['is answered at once after its term', 1000, [{ kind: 'placed', ticket: 7, owner: 0, refusal: 'NOT_MASTER' }]],
] as const)('a petition whose assignment a member declines %s', (_, nowMs, messages) => {
  const { leader, clock, sent } = master();
  leader.receive({ kind: 'petition', ticket: 7, entity: 'account:a', source: 3, hops: 0 }, 3);
  const [first] = sent.splice(0);
  expect(first?.message).toMatchObject({ kind: 'assign', ticket: 1, entity: 'account:a', epoch: 1 });
  clock.nowMs = nowMs;
  leader.receive({ kind: 'assigned', ticket: 1, refusal: 'DECLINED' }, first?.to ?? 0);
  expect(sent.map(({ message }) => message)).toMatchObject(messages);
  const next = messages[0].kind === 'placed' ? 3 : 6 - (first?.to ?? 0);
  expect(sent.map(({ to }) => to)).toEqual([next]);
});
