/** The vitest file of a failing seed: writes it, reads it, and plays it again. */
import { inMacrotask, readText } from '../ambient.js';
import type { InvariantId } from '../checkers/view.js';
import { UsageError } from '../cli.js';
import { PLAN_VERSION, type Plan } from '../plan.js';
import { runPlan } from '../run.js';
import { loadStore } from '../store-adapter.js';

export interface Regression {
  readonly invariant: InvariantId;
  /** Description of the violation. */
  readonly what: string;
  readonly commit: string;
  readonly plan: Plan;
}

/** The marker before the data in the file. The data ends with the file. */
const MARK = 'const REGRESSION = ';

export function regressionText({ invariant, what, commit, plan }: Regression, inWords: string): string {
  const said = what.replace(/\s+/g, ' ');
  return `// biome-ignore-all format: written by the simulator, format ${PLAN_VERSION}
// At commit ${commit} seed ${plan.seed} broke ${invariant} (${inWords}): ${said}
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed ${plan.seed} keeps ${invariant}', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

${MARK}${textOf({ invariant, what: said, commit, plan })};
`;
}

/** Returns JSON with one line for each item of a plan: a message, a fault, a setting. */
function textOf({ plan, ...rest }: Regression): string {
  const block = (lines: readonly string[], [open, close]: string, indent: string): string =>
    lines.length === 0
      ? `${open}${close}`
      : `${open}\n${lines.map((line) => `${indent}  ${line}`).join(',\n')}\n${indent}${close}`;
  const fieldsOf = (object: object, textFor: (value: unknown) => string): string[] =>
    Object.entries(object).flatMap(([key, value]) => (value === undefined ? [] : [`${JSON.stringify(key)}: ${textFor(value)}`]));
  const partOf = (value: unknown): string => {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    const isList = Array.isArray(value);
    const lines = isList ? value.map((item) => JSON.stringify(item)) : fieldsOf(value, JSON.stringify);
    return block(lines, isList ? '[]' : '{}', '    ');
  };
  const planText = block(fieldsOf(plan, partOf), '{}', '  ');
  return block([...fieldsOf(rest, JSON.stringify), `"plan": ${planText}`], '{}', '');
}

/** Returns the content of a regression file. Throws a UsageError, one line, for any other text and for another version. */
export function regressionIn(text: string, name: string): Regression {
  const at = text.lastIndexOf(MARK);
  if (at < 0) throw new UsageError(`${name} is no regression file of the simulator`);
  let data: unknown;
  try {
    data = JSON.parse(text.slice(at + MARK.length).replace(/;\s*$/, ''));
  } catch {
    throw new UsageError(`${name} is a regression file whose plan cannot be read`);
  }
  return checked(data, name);
}

export function regressionFrom(path: string): Regression {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
  return regressionIn(text, path);
}

function checked(data: unknown, name: string): Regression {
  const { plan } = data as { plan?: { version?: unknown } };
  if (plan?.version !== PLAN_VERSION)
    throw new UsageError(
      `${name} has format ${String(plan?.version)}, this simulator reads ${PLAN_VERSION}; find the failure again with its seed`,
    );
  return data as Regression;
}

/** Used by the regression files: runs the plan and returns the violations with their descriptions. */
export async function brokenBy(data: unknown): Promise<readonly string[]> {
  const { plan } = checked(data, 'the regression');
  await loadStore(plan.store);
  const { violations } = await inMacrotask((drain) => runPlan(plan, { drain }).verdict);
  return violations.map(({ invariant, what }) => `${invariant}: ${what}`);
}
