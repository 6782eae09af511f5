import { beforeAll, describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { CANARIES, missedByRecords, recordedSeeds, violatedBy } from '../../sim/canaries/run-canaries.js';
import { CAUGHT_BY } from '../../sim/canaries/seeds.js';
import { optionsOf, UsageError } from '../../sim/cli.js';
import { runPlan } from '../../sim/run.js';
import { loadStore } from '../../sim/store-adapter.js';
import { drawPlan } from '../../sim/swarm.js';

const RECORDS = { min: 1, max: 50 };

/** The guards that must have a canary, with the invariant that each must break. */
const WANTED: Readonly<Record<string, string>> = {
  I1: 'interrupt-uncounted start-after-lease',
  I2: 'bury-live bury-by-store-clock-only no-abort-at-lease-loss no-takeover-hold hold-in-memory lease-by-wall-clock claim-beside-own-past',
  I2f: 'fence-restarts',
  I3: 'begin-beside-running skip-head run-hinted retry-at-tail question-overtaken',
  I4: 'drop-interrupted ack-before-log unknown-counts-as-evicted failure-as-refusal drop-within-limits letter-between-pages running-counts-as-pending closes-another-generation sends-after-the-end drop-unreported',
  I5: 'late-copies-apply number-reused refused-on-one-copy fenced-told-rejected reply-before-finish withdraw-running timeout-is-success late-outcome-wins late-end-unreported',
  I6: 'accept-stale-epoch term-without-end term-never-over',
  'I6,L1': 'epoch-by-renewal',
  'I7,L1': 'late-report-stays',
  I7: 'depth-leak limit-unchecked assignment-kept backoff-ignored',
  L1: 'claim-live-owner no-sweep sweep-ready-only ready-only-unowned lost-copy-keeps-appends no-audit owned-beside-releases no-candidate hint-ends-at-an-avoider lua-lost-entity-unseen',
  L2: 'reply-without-deadline',
  L3: 'one-lane first-page-only',
  L4: 'refused-petition-waits withdraw-without-wake wake-lost-in-flight empty-wins finish-wins',
  L5: 'limit-too-low deadline-too-soon one-deadline-for-all',
  defect: 'timers-after-stop',
  lua: 'lua-plain-claim-keeps-fence lua-plain-depth-leaks lua-claim-keeps-fence lua-begin-in-hold lua-active-leaks lua-id-unkept lua-no-hold lua-withdraw-without-hole lua-late-without-detail lua-expire-keeps lua-ready-stays lua-retry-uncounted lua-one-answer-kept lua-heartbeat-uncounted lua-epoch-of-the-group lua-session-stays lua-evict-leased lua-evict-unsealed lua-replay-again lua-letter-found-after-purge',
};

beforeAll(() => loadStore('lua'));

describe('the canaries', () => {
  it('are those that are wanted, each with the invariant that it must break', () => {
    const wanted = Object.entries(WANTED).flatMap(([id, names]) => names.split(' ').map((name) => `${name}: ${id}`));
    const there = CANARIES.map(({ name, expected }) => `${name}: ${expected.join()}`);
    expect(there).toEqual(expect.arrayContaining(wanted));
    expect(new Set(CANARIES.map(({ name }) => name)).size).toBe(CANARIES.length);
  });

  it('have seeds on record, and nothing else has', () => {
    expect(Object.keys(CAUGHT_BY).sort()).toEqual(CANARIES.map(({ name }) => name).sort());
    for (const canary of CANARIES) {
      if (canary.scenario !== undefined) continue;
      const seeds = recordedSeeds(canary);
      expect(seeds.length, canary.name).toBeGreaterThanOrEqual(RECORDS.min);
      expect(seeds.length, canary.name).toBeLessThanOrEqual(RECORDS.max);
      expect(new Set(seeds).size, canary.name).toBe(seeds.length);
    }
  });

  it.each(CANARIES.map((canary) => [canary.name, canary] as const))(
    '%s is seen by its seeds on record, or by its scenario',
    (_name, canary) => inMacrotask((drain) => expect(missedByRecords(canary, drain)).toBeUndefined()),
  );

  it('would be missed where nothing is switched off, and say how to find other seeds', () =>
    inMacrotask((drain) => {
      const [first] = CANARIES;
      const harmless = { ...first!, machine: undefined, install: undefined };
      expect(missedByRecords(harmless as never, drain)).toMatch(
        /^interrupt-uncounted must break I1, but seeds [\d, ]+ broke nothing\..* npm run sim -- --canary all --record$/,
      );
      expect(missedByRecords({ ...harmless, name: 'unknown' } as never, drain)).toContain('but no seed is on record');
    }));

  it('leave nothing switched off behind them', () =>
    inMacrotask((drain) => {
      const before = runPlan(drawPlan(3), { drain }).hash;
      for (const canary of CANARIES) if (canary.install !== undefined) violatedBy(canary, 3, drain);
      expect(runPlan(drawPlan(3), { drain }).hash).toBe(before);
    }));
});

describe('the option --record', () => {
  it('goes with a canary', () => {
    expect(optionsOf(['--canary', 'all', '--record']).record).toBe(true);
    expect(() => optionsOf(['--record'])).toThrow(UsageError);
  });
});
