import type { ResolvedConfig } from '../core/config.js';
import type { StoreSession } from './session.js';

/** A large batch on a slow link may take twice PATIENCE_MAX calls in all, and an outage of the store several node TTLs. */
const STALL_CALLS = 48;
const STALL_TTLS = 4;

/**
 * Returns why a node gives up its incarnation; undefined while there is no reason. Called at each heartbeat that the store
 * acknowledges. The reason is that the session gets no step through although the store answers. The lease of the node goes on, so
 * its entities would wait forever. Once the node has given up, it is evicted, and its entities are taken over as those of a
 * crashed node. An outage of the store does not count, since it stops the heartbeats too; a slow store still lets some steps
 * through.
 */
export function whyGiveUp(session: StoreSession | undefined, config: ResolvedConfig): string | undefined {
  const { heartbeatMs, nodeTTLMs } = config.timing;
  const limitMs = Math.max(STALL_TTLS * nodeTTLMs, STALL_CALLS * config.storeCallTimeoutMs);
  if ((session?.heartbeat() ?? 0) * heartbeatMs <= limitMs) return undefined;
  return `its own node gave it up, since no step got through for ${limitMs} ms while the store acknowledged heartbeats`;
}
