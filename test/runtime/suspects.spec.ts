/** What a network's suspicion of a peer changes: who leads, and where a master places. Nothing else. */
import { describe, expect, it } from 'vitest';
import { LoopbackNetwork } from '../../src/memory/network.js';
import type { PeerLink } from '../../src/ports/network.js';
import type { Node } from '../../src/runtime/node.js';
import { msg, NAMES, node, sleep, until, type World, world } from './harness.js';
import { fast, started } from './started.js';

const FAST = fast({ nodeTTLMs: 800, leaderTTLMs: 800 });

/** A network that delivers everything and suspects whom it is told to. */
class Suspicious extends LoopbackNetwork {
  readonly suspects = new Set<number>();
  private readonly listeners: ((peer: number, isSuspect: boolean) => void)[] = [];

  link(peer: number): PeerLink {
    return this.suspects.has(peer) ? 'suspect' : 'up';
  }

  onSuspect(listener: (peer: number, isSuspect: boolean) => void): void {
    this.listeners.push(listener);
  }

  suspect(peer: number, isSuspect: boolean): void {
    if (isSuspect) this.suspects.add(peer);
    else this.suspects.delete(peer);
    for (const tell of this.listeners) tell(peer, isSuspect);
  }
}

async function start(w: World, serverId: string): Promise<{ node: Node; network: Suspicious }> {
  const network = new Suspicious(w.hub, w.clock);
  const it = node(w, () => serverId, { ...FAST, serverId }, NAMES, ['account'], { network });
  started.push(it);
  await it.start();
  return { node: it, network };
}

async function three(w: World) {
  const [first, second, third] = [await start(w, 'n1'), await start(w, 'n2'), await start(w, 'n3')];
  await until('the first leads', () => first.node.status().role === 'master');
  await sleep(100);
  return { first, second, third };
}

describe('a suspected peer', () => {
  it('is replaced as master if most suspect it, though nobody asks it and its lease is in force', async () => {
    const w = world();
    const { first, second, third } = await three(w);
    const { incarnation, epoch } = first.node.status();
    second.network.suspect(incarnation, true);
    await sleep(1.5 * FAST.grpc.leaderTTLMs);
    // One of two is not most.
    expect(first.node.status().role).toBe('master');
    third.network.suspect(incarnation, true);
    await until('the second leads', () => second.node.status().role === 'master', 6000);
    expect(first.node.status()).toMatchObject({ role: 'replica', incarnation, isReady: true });
    expect(second.node.status().epoch).toBeGreaterThan(epoch);
    const told = w.events.filter(({ event }) => event === 'peer-suspect').map(({ data }) => data);
    expect(told).toEqual(Array.from({ length: 2 }, () => ({ incarnation, serverId: 'n1', isSuspect: true })));
  });

  it('gets nothing from a master that has another place for it, and all that is its own without one', async () => {
    const w = world();
    const { first, second, third } = await three(w);
    const sent: number[] = [];
    const deliver = w.hub.deliver.bind(w.hub);
    w.hub.deliver = (to, message, from) => {
      if (message.kind === 'assign') sent.push(to);
      // Only what the master assigns: the ring place would take the rest by itself.
      if (message.kind !== 'wake' || message.message !== undefined) deliver(to, message, from);
    };
    const [two, third3] = [second.node.status().incarnation, third.node.status().incarnation];
    first.network.suspect(third3, true);
    await Promise.all(Array.from({ length: 30 }, (_, i) => first.node.enqueueAndWait(msg(`a${i}`), { timeoutMs: 3000 })));
    expect(new Set(sent)).toEqual(new Set([two]));
    sent.length = 0;
    first.network.suspect(third3, false);
    await Promise.all(Array.from({ length: 30 }, (_, i) => first.node.enqueueAndWait(msg(`b${i}`), { timeoutMs: 3000 })));
    expect(new Set(sent)).toEqual(new Set([two, third3]));
  });

  it('shows in the status, with the breaker', async () => {
    const w = world();
    const { first, second, third } = await three(w);
    const [two, third3] = [second.node.status().incarnation, third.node.status().incarnation];
    first.network.suspect(third3, true);
    const peer = { serviceGroup: 'default', breaker: 'closed' };
    expect(first.node.status().peers).toEqual([
      { ...peer, serverId: 'n2', incarnation: two, link: 'up' },
      { ...peer, serverId: 'n3', incarnation: third3, link: 'suspect' },
    ]);
  });
});
