import { expect, it } from 'vitest';

const path: string = '../../scripts/test-summary.mjs';
const { summaryOf } = (await import(path)) as { summaryOf(text: string): { passed: number; failed: number; skipped: number } };

it('a result that is reported after the end of its file is counted once', () => {
  const file = 'a.spec.ts';
  const passed = { kind: 'case', file, name: 'x', state: 'passed' };
  const journal = [
    { kind: 'planned', file },
    { kind: 'began', file },
    passed,
    { kind: 'ended', file, states: ['passed', 'passed'], notRun: [], isBroken: false },
    passed,
    { kind: 'over', errors: 0 },
  ];
  const text = journal.map((entry) => JSON.stringify(entry)).join('\n');
  expect(summaryOf(text)).toMatchObject({ passed: 2, failed: 0, skipped: 0 });
});
