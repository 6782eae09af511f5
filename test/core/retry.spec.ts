import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RetryPolicy, retryDelayMs } from '../../src/core/retry.js';

const policyOf = (part: Partial<RetryPolicy>): RetryPolicy => ({
  maxAttempts: 5,
  backoff: 'exponential',
  backoffDelayMs: 1000,
  maxDelayMs: 30_000,
  ...part,
});

describe('retryDelayMs', () => {
  it('doubles from backoffDelay up to maxDelay', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7].map((attempt) => retryDelayMs(policyOf({}), attempt));
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it('stays the same with fixed backoff, capped too', () => {
    expect([1, 2, 9].map((attempt) => retryDelayMs(policyOf({ backoff: 'fixed' }), attempt))).toEqual([1000, 1000, 1000]);
    expect(retryDelayMs(policyOf({ backoff: 'fixed', maxDelayMs: 300 }), 1)).toBe(300);
  });

  it('is a finite delay between 0 and the cap that never shrinks, whatever the attempt', () => {
    const policies = fc.record({
      maxAttempts: fc.nat(),
      backoff: fc.constantFrom('fixed' as const, 'exponential' as const),
      backoffDelayMs: fc.nat(),
      maxDelayMs: fc.nat(),
    });
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 1 }), (policy, attempt) => {
        const delay = retryDelayMs(policy, attempt);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(policy.maxDelayMs);
        expect(retryDelayMs(policy, attempt + 1)).toBeGreaterThanOrEqual(delay);
      }),
    );
  });

  it('waits nothing without a delay, even where the factor overflows', () => {
    expect(retryDelayMs(policyOf({ backoffDelayMs: 0 }), 5000)).toBe(0);
    expect(retryDelayMs(policyOf({}), 5000)).toBe(30_000);
  });
});
