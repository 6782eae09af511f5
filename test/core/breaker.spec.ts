import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../src/core/breaker.js';

const THRESHOLD = 3;
const COOLDOWN_MS = 2000;
const PROBE_MS = 1000;
const breaker = () => new CircuitBreaker(THRESHOLD, COOLDOWN_MS, PROBE_MS);

describe('the circuit breaker', () => {
  it('opens after failures in a row, lets one probe pass after the cool-down, and closes with its success', () => {
    const b = breaker();
    for (let i = 0; i < THRESHOLD; i++) {
      expect(b.tryPass(0)).toBe(true);
      b.failed(0);
    }
    expect([b.tryPass(1), b.state(1)]).toEqual([false, 'open']);
    expect(b.tryPass(COOLDOWN_MS - 1)).toBe(false);
    expect(b.state(COOLDOWN_MS)).toBe('half-open');
    expect(b.tryPass(COOLDOWN_MS)).toBe(true);
    expect(b.tryPass(COOLDOWN_MS)).toBe(false);
    b.succeeded();
    expect([b.tryPass(COOLDOWN_MS), b.state(COOLDOWN_MS)]).toEqual([true, 'closed']);
  });

  it('opens anew when the probe fails', () => {
    const b = breaker();
    for (let i = 0; i < THRESHOLD; i++) b.failed(0);
    expect(b.tryPass(COOLDOWN_MS)).toBe(true);
    b.failed(COOLDOWN_MS + 10);
    expect(b.tryPass(2 * COOLDOWN_MS)).toBe(false);
    expect(b.tryPass(2 * COOLDOWN_MS + 10)).toBe(true);
  });

  it('does not count failures that a success parts', () => {
    const b = breaker();
    for (let i = 0; i < 10; i++) {
      b.failed(i);
      b.failed(i);
      b.succeeded();
    }
    expect(b.state(10)).toBe('closed');
  });

  it('always probes again, whatever failed at once and whatever became of the probes', () => {
    const event = fc.tuple(fc.constantFrom('fail', 'succeed', 'pass'), fc.integer({ min: 0, max: 500 }));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const b = breaker();
        let now = 0;
        for (const [kind, passedMs] of events) {
          now += passedMs;
          if (kind === 'fail') b.failed(now);
          else if (kind === 'succeed') b.succeeded();
          else b.tryPass(now);
        }
        now += COOLDOWN_MS + PROBE_MS;
        expect(b.tryPass(now)).toBe(true);
        b.succeeded();
        expect(b.tryPass(now)).toBe(true);
      }),
    );
  });
});
