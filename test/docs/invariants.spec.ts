import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CANARIES } from '../../sim/canaries/run-canaries.js';
import { SCENARIOS } from '../../sim/scenarios/run-scenarios.js';
import { invariantFaults, type Known, sectionsOf } from './invariants.js';

const page = readFileSync('docs/invariants.md', 'utf8');

const checkText = readFileSync('sim/checkers/check.ts', 'utf8');
const judging = new Set(/const CHECKERS = \[([^;]+)\];/.exec(checkText)?.[1]?.match(/\w+/g) ?? []);

/** The functions that judge each run, as sim/checkers/check.ts imports and lists them. */
const checkers = [...checkText.matchAll(/^import \{ ([\w, ]+) \} from '\.\/(.+)\.js';$/gm)].flatMap(([, names = '', file = '']) =>
  names
    .split(', ')
    .filter((name) => judging.has(name))
    .map((name) => `sim/checkers/${file}.ts#${name}`),
);

const known: Known = {
  ids: ['I1', 'I2', 'I2f', 'I3', 'I4', 'I5', 'I6', 'I7', 'L1', 'L2', 'L3', 'L4', 'L5'],
  scenarios: SCENARIOS.map(({ name }) => name),
  canaries: CANARIES,
  checkers,
};

describe('docs/invariants.md', () => {
  it('is held against what there is', () => {
    expect(known.checkers).toHaveLength(20);
    expect(known.canaries.length).toBeGreaterThan(30);
    expect(known.scenarios.length).toBeGreaterThan(15);
    expect(sectionsOf(page).map(({ id }) => id)).toEqual(known.ids);
  });

  it('names the code, the checker, the scenarios and every canary of each invariant', () => {
    expect(invariantFaults(page, known)).toEqual([]);
  });

  it.each([
    ['## I3 FIFO', '## I2 FIFO', ['I3 has no section', 'I2 has a section too many']],
    ['`skip-head`, ', '', ['I3 lacks the canary skip-head']],
    ['`skip-head`', '`skip-tail`', ['I3 names the canary skip-tail, which does not break it', 'I3 lacks the canary skip-head']],
    ['`fifo-across-takeover`', '`fifo-across`', ['I3 names the scenario fifo-across, which is not there']],
    [
      '`sim/checkers/i3-fifo.ts#fifo`',
      '`sim/checkers/i3-fifo.ts#lifo`',
      ['I3 names sim/checkers/i3-fifo.ts#lifo, which nothing declares', 'sim/checkers/i3-fifo.ts#fifo is named nowhere'],
    ],
    [
      '`src/core/log/entity.ts#retry`',
      '`src/core/log/gone.ts#retry`',
      ['I3 names src/core/log/gone.ts#retry, which nothing declares'],
    ],
    // Named in the file, but declared elsewhere.
    [
      '`src/core/log/entity.ts#retry`',
      '`src/core/log/entity.ts#refuse`',
      ['I3 names src/core/log/entity.ts#refuse, which nothing declares'],
    ],
    ['- **Assertion**: A message that the log began', '- A message', ['I3 says nothing of: Assertion']],
    ['- `ready-only-unowned`: that', '- `ready-only`: that', ['there is no canary ready-only']],
  ])('would be found wrong with %s as %s', (from, to, faults) => {
    expect(page).toContain(from);
    const found = invariantFaults(page.replace(from, to), known);
    for (const fault of faults) expect(found).toContain(fault);
  });
});
