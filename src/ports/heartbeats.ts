import type { ControlAnswerOf, Identity } from '../core/log/control-operations.js';
import type { StoreCallError } from './store.js';

/** Told on the main loop, in the order of the beats; late by any amount if that loop was blocked. */
export interface PulseListener {
  /** The store accepted the heartbeat with the number `heartbeat`, or holds a newer one. Both times are by the node's monotonic clock. */
  answered(answer: ControlAnswerOf['beat'], heartbeat: number, sentMs: number, receivedMs: number): void;
  /** The store refused a heartbeat, and no further one is sent for this incarnation: see `Ending`. */
  ended(why: Ending): void;
  /** A beat got no answer; the next one leaves as usual. */
  failed(error: StoreCallError): void;
}

/** FENCED: the incarnation was evicted. LOST, UNKNOWN: the store lost acknowledged writes (core/log/identity.ts). */
export type Ending = 'FENCED' | 'LOST' | 'UNKNOWN';

export const endingOf = (answer: ControlAnswerOf['beat']): Ending | undefined =>
  !answer.ok && (answer.code === 'FENCED' || answer.code === 'LOST' || answer.code === 'UNKNOWN') ? answer.code : undefined;

/**
 * Sends the beats of one incarnation at a time, one in flight, with a counter that only grows. It may do so away from the
 * main loop; it stops when that loop has stood still for too long.
 */
export interface Pulse {
  /** Heartbeats for `member` until `end` or the next `begin`; `listener` hears nothing after that. */
  begin(member: Identity, listener: PulseListener): void;
  end(): void;
  /**
   * When the newest acknowledged beat of the incarnation was sent, ms of the node's monotonic clock; -Infinity without one.
   * Up to date even where `answered` has not been told yet, since the main loop was blocked.
   */
  lastProvedMs(): number;
  /** Ends for good: no timer, thread or connection is left when it resolves. Idempotent. */
  close(): Promise<void>;
}
