/** Failures that the simulator has found and that are mended: the files beside this one, as it wrote them. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { regressionIn } from '../../../sim/report/regression.js';

const FOLDER = 'test/sim/regressions';

it('every file here is one that this simulator can play', () => {
  for (const name of readdirSync(FOLDER).filter((file) => file !== 'regressions.spec.ts')) {
    const { plan, invariant } = regressionIn(readFileSync(`${FOLDER}/${name}`, 'utf8'), name);
    expect(name).toBe(`seed-${plan.seed}-${invariant}.spec.ts`);
  }
});
