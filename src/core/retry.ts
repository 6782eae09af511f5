/** How often a message is tried and how long it waits in between; all durations in ms. */
export interface RetryPolicy {
  /** Attempts in all, the first one and interrupted ones included; at least 1. */
  readonly maxAttempts: number;
  readonly backoff: 'fixed' | 'exponential';
  readonly backoffDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * The wait in ms before attempt `attempt + 1`, after attempt `attempt` (counted from 1) failed.
 * Without jitter: the waits of one entity cannot collide with each other, since it retries at its own head.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number): number {
  if (policy.backoffDelayMs === 0) return 0;
  // 2 ** n becomes Infinity, never NaN or negative, so the cap holds for any attempt.
  const factor = policy.backoff === 'fixed' ? 1 : 2 ** Math.max(0, attempt - 1);
  return Math.min(policy.backoffDelayMs * factor, policy.maxDelayMs);
}
