import type { ResolvedConfig } from '../core/config.js';
import type { StoreSession } from './session.js';

/** A large batch on a thin link may take two times PATIENCE_MAX calls in all, and an outage of the store some node TTLs. */
const STALL_CALLS = 48;
const STALL_TTLS = 4;

/**
 * Why a node gives its incarnation up, asked at each heartbeat that the store acknowledges: its session gets nothing through,
 * though the store answers. The entities of the node would wait for ever otherwise, since its lease goes on; given up, it is
 * evicted and they are taken over as those of a node that died. An outage of the store stops the heartbeats too, so that it does
 * not count, and a slow store gets something through. Undefined while there is no reason.
 */
export function whyGiveUp(session: StoreSession | undefined, config: ResolvedConfig): string | undefined {
  const { heartbeatMs, nodeTTLMs } = config.timing;
  const limitMs = Math.max(STALL_TTLS * nodeTTLMs, STALL_CALLS * config.storeCallTimeoutMs);
  if ((session?.heartbeat() ?? 0) * heartbeatMs <= limitMs) return undefined;
  return `its own node gave it up, since no step got through for ${limitMs} ms while the store acknowledged heartbeats`;
}
