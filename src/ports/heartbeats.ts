import type { ControlAnswerOf, Identity } from '../core/log/control-operations.js';
import type { StoreCallError } from './store.js';

/** Receives the results of heartbeats, in order, on the main loop. A blocked main loop delays them by any amount. */
export interface HeartbeatListener {
  /** The store accepted the heartbeat with number `heartbeat`, or holds a newer one. Both times are ms of the monotonic clock. */
  answered(answer: ControlAnswerOf['heartbeat'], heartbeat: number, sentMs: number, receivedMs: number): void;
  /** The store refused a heartbeat. The sender sends no further one for this incarnation; see `Ending`. */
  ended(why: Ending): void;
  /** A heartbeat got no answer. The sender sends the next one as usual. */
  failed(error: StoreCallError): void;
}

/** FENCED: the incarnation was evicted, or has left. LOST, UNKNOWN: the store lost acknowledged writes (core/log/identity.ts). */
export type Ending = 'FENCED' | 'LOST' | 'UNKNOWN';

export const endingOf = (answer: ControlAnswerOf['heartbeat']): Ending | undefined =>
  !answer.ok && (answer.code === 'FENCED' || answer.code === 'LOST' || answer.code === 'UNKNOWN') ? answer.code : undefined;

/**
 * Sends the heartbeats of one incarnation at a time, with rising numbers and at most one in flight. The sender may run outside
 * the main loop; it then stops when that loop has been blocked for too long.
 */
export interface HeartbeatSender {
  /** Sends heartbeats for `member` until `end` or the next `begin`. `listener` is not called after that. */
  begin(member: Identity, listener: HeartbeatListener): void;
  end(): void;
  /**
   * Returns the time at which the newest acknowledged heartbeat of the incarnation was sent, ms of the node's monotonic clock;
   * -Infinity if none was acknowledged. Up to date even if a blocked main loop has delayed the call of `answered`.
   */
  lastProvedMs(): number;
  /** Closes the sender. No timer, thread or connection is left when the promise resolves. Idempotent. */
  close(): Promise<void>;
}
