/** Maximum number of attempts of a message, and the waits between them. All durations in ms. */
export interface RetryPolicy {
  /** Total number of attempts, including the first one and interrupted ones; at least 1. */
  readonly maxAttempts: number;
  readonly backoff: 'fixed' | 'exponential';
  readonly backoffDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * Returns the wait in ms before attempt `attempt + 1`, after attempt `attempt` (counted from 1) failed.
 * There is no jitter: an entity retries its head alone, so retries of one entity never collide.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number): number {
  if (policy.backoffDelayMs === 0) return 0;
  // 2 ** n becomes Infinity, never NaN or negative, so the cap holds for any attempt.
  const factor = policy.backoff === 'fixed' ? 1 : 2 ** Math.max(0, attempt - 1);
  return Math.min(policy.backoffDelayMs * factor, policy.maxDelayMs);
}
