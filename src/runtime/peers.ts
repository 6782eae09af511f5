import { CircuitBreaker } from '../core/breaker.js';
import type { ResolvedConfig } from '../core/config.js';
import type { Clock } from '../ports/clock.js';
import type { Network, PeerLink } from '../ports/network.js';
import type { View } from './view.js';

/** How long a peer is reported after a missed request, in ms. A peer that gets no more requests could otherwise never lead. */
const REPORTED_FOR_MS = 60_000;

/**
 * Which peers reply: a circuit breaker for each peer that this node sends requests to, and the peers that the network suspects.
 * An open breaker changes no placement; a master assigns nothing new to a suspect if it has another place for it.
 */
export class Peers {
  private readonly breakers = new Map<number, CircuitBreaker>();
  private readonly missedAtMs = new Map<number, number>();

  constructor(
    private readonly clock: Clock,
    private readonly config: ResolvedConfig,
    private readonly network: Network,
    private readonly view: View,
  ) {}

  /** Returns whether a request to that peer may leave. In the half-open state the first one is the probe. */
  tryPass(peer: number): boolean {
    let breaker = this.breakers.get(peer);
    if (breaker === undefined) {
      const { failureThreshold, cooldownMs } = this.config.breaker;
      breaker = new CircuitBreaker(failureThreshold, cooldownMs, this.config.deadlines.forwardMs);
      this.breakers.set(peer, breaker);
    }
    return breaker.tryPass(this.clock.monotonicMs());
  }

  /** Called when the peer replied. A refusal is a reply, too. */
  answered(peer: number): void {
    this.breakers.get(peer)?.succeeded();
  }

  /** Called when the peer did not reply in time. */
  missed(peer: number): void {
    const breaker = this.breakers.get(peer);
    // A peer that has left meanwhile has no breaker any more.
    if (breaker === undefined) return;
    const nowMs = this.clock.monotonicMs();
    this.missedAtMs.set(peer, nowMs);
    breaker.failed(nowMs);
  }

  /** Undefined on a network without links. */
  link(peer: number): PeerLink | undefined {
    return this.network.link?.(peer);
  }

  breaker(peer: number): ReturnType<CircuitBreaker['state']> {
    return this.breakers.get(peer)?.state(this.clock.monotonicMs()) ?? 'closed';
  }

  isSuspect(peer: number): boolean {
    return this.link(peer) === 'suspect';
  }

  /** The suspects, and the peers whose breaker is not closed and that missed a request recently; lowest incarnation first. */
  unreachable(): readonly number[] {
    const nowMs = this.clock.monotonicMs();
    const isReported = (peer: number): boolean => nowMs - (this.missedAtMs.get(peer) ?? nowMs) < REPORTED_FOR_MS;
    const peers = this.view.members.map(({ incarnation }) => incarnation);
    const isOpen = (peer: number): boolean => this.breaker(peer) !== 'closed' && isReported(peer);
    return peers.filter((peer) => this.isSuspect(peer) || isOpen(peer)).sort((a, b) => a - b);
  }

  /** Drops the breakers of peers that are not live. */
  keep(isLive: (peer: number) => boolean): void {
    for (const peer of this.breakers.keys()) {
      if (isLive(peer)) continue;
      this.breakers.delete(peer);
      this.missedAtMs.delete(peer);
    }
  }

  clear(): void {
    this.breakers.clear();
    this.missedAtMs.clear();
  }
}
