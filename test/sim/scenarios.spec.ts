import { describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { faultsOf, SCENARIOS } from '../../sim/scenarios/run-scenarios.js';
import type { Scenario } from '../../sim/scenarios/scenario.js';

describe('scenarios', () => {
  it.each(SCENARIOS.map((s) => [s.name, s] as const))('%s', (_name, scenario) =>
    inMacrotask((drain) => expect(faultsOf(scenario, drain)).toEqual([])),
  );

  it('are named once, and each says what it shows', () => {
    expect(new Set(SCENARIOS.map((s) => s.name)).size).toBe(SCENARIOS.length);
    expect(SCENARIOS.filter((s) => s.shows.length < 30)).toEqual([]);
    expect(SCENARIOS.length).toBeGreaterThanOrEqual(25);
  });

  it('are broken by what does not come out', () =>
    inMacrotask((drain) => {
      const scenario: Scenario = {
        name: 'told',
        shows: 'nothing',
        run(sim, must) {
          sim.start('n1');
          must('it is up', sim.node('n1').isUp);
          must('it is down', !sim.node('n1').isUp);
        },
      };
      expect(faultsOf(scenario, drain)).toEqual(['not so: it is down']);
    }));
});
