import { describe, it } from 'vitest';

/**
 * Runs the suite, unless `missing` says what this machine does not have for it. Then the suite is registered as skipped, under a title that
 * scripts/test.mjs repeats at the end of the run and counts as a failure where CI=true.
 */
export function describeUnless(missing: string | undefined, name: string, fn: () => void): void {
  if (missing === undefined) describe(name, fn);
  // A suite without a test would be an error, and would hide what is missing.
  else describe(`NOT RUN, NEEDS ${missing}: ${name}`, () => it.skip('the whole suite', () => {}));
}
