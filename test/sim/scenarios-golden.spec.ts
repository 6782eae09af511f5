/** Timelines on file, in test/golden. To accept what has changed: `npx vitest run test/sim/scenarios-golden.spec.ts -u`. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { goldenOf } from '../../sim/report/golden.js';
import { SCENARIOS } from '../../sim/scenarios/run-scenarios.js';
import { playScenario } from '../../sim/scenarios/scenario.js';

const golden = SCENARIOS.filter((s) => s.golden);

describe('golden timelines', () => {
  it.each(golden.map((s) => [s.name, s] as const))('%s', async (name, scenario) => {
    const { history } = await inMacrotask((drain) => playScenario(scenario, drain));
    await expect(`${name}: ${scenario.shows}\n\n${goldenOf(history)}`).toMatchFileSnapshot(`../golden/${name}.txt`);
  });

  it('are on file for the scenarios that have one, and for no other', () => {
    expect(readdirSync('test/golden').sort()).toEqual(golden.map((s) => `${s.name}.txt`).sort());
  });
});
