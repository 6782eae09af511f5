/** Wrong usage of `npm run sim`: one clear line and exit 2, whatever it is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { regressionText } from '../../sim/report/regression.js';
import { SCENARIOS } from '../../sim/scenarios/run-scenarios.js';
import { drawPlan } from '../../sim/swarm.js';
import { type Ended, lastLine, runCommand } from '../support/command.js';

const folder = mkdtempSync(join(tmpdir(), 'aq-sim-'));
afterAll(() => rmSync(folder, { recursive: true }));

const written = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const plan = drawPlan(3, { nodes: 2 });
const file = regressionText({ invariant: 'I1', what: 'it ran twice', commit: 'abc', plan }, 'in words');
const other = written('other.spec.ts', file.replace('"version": 1', '"version": 7'));
const cut = written('cut.spec.ts', file.slice(0, -200));
const none = written('none.spec.ts', 'export {};\n');
const good = written('good.spec.ts', file);

const sim = (...args: readonly string[]): Promise<Ended> => runCommand('sim', 'sim/main', ...args);
/** The first of them compiles. */

/** The one line with which a command was refused. */
function refusalOf({ code, stdout, stderr }: Ended): string {
  const [line = '', ...more] = stderr.trim().split('\n');
  expect({ code, stdout, more }).toEqual({ code: 2, stdout: '', more: [] });
  return line;
}

describe('the command line', () => {
  it.each([
    [['--seed', 'x'], '--seed is "x"; allowed: a whole number from 0 to 4294967296'],
    [['--seed', '-1'], "Option '--seed' argument is ambiguous"],
    [['--seed', '1.5'], '--seed is "1.5"'],
    [['--seed'], "Option '--seed <value>' argument missing"],
    [['--seeds', '0'], '--seeds is "0"'],
    [['--workers', '0'], '--workers is "0"'],
    [['--nope'], "Unknown option '--nope'"],
    [['surplus'], "Unexpected argument 'surplus'"],
    [['--explore'], '--explore (the exhaustive small scope) is not built yet'],
    [['--html', 'f'], '--html (the space-time diagram) is not built yet'],
    [['--store', 'lua', '--canary', 'all'], '--canary has a store of its own: leave --store out'],
    [['--store', 'lua', '--scenario', 'all'], '--scenario has a store of its own: leave --store out'],
    [['--store', 'redis'], '--store is "redis"; allowed: machine, lua'],
    [['--store', 'disk'], '--store is "disk"; allowed: machine, lua'],
    [['--scenario', 'nope'], 'there is no scenario "nope"; known: all, '],
    [['--seed', '1', '--scenario', 'all'], '--seed and --scenario exclude each other'],
  ])('refuses %j', async (args, text) => expect(refusalOf(await sim(...args))).toContain(text));

  it.each([
    ['another format', other, 'other.spec.ts has format 7, this simulator reads 1; find the failure again with its seed'],
    ['a part only', cut, 'cut.spec.ts is a regression file whose plan cannot be read'],
    ['something else', none, 'none.spec.ts is no regression file of the simulator'],
    ['nothing', join(folder, 'gone'), 'gone cannot be read: ENOENT'],
  ])('refuses a regression file with %s', async (_what, path, text) =>
    expect(refusalOf(await sim('--regression', path))).toContain(text),
  );

  it('refuses an unknown canary', async () => {
    const { code, stdout, stderr } = await sim('--canary', 'nope');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trim().split('\n').at(-1)).toContain('there is no canary "nope"; known: all, ');
  });

  it('plays a regression file', async () => {
    const ended = await sim('--regression', good, '--json');
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toContain('seed 3, shrunk, broke I1 at abc; now: 0 violations, trace hash ');
    expect(lastLine(ended)).toMatchObject({ runs: 1, violations: [] });
  });

  it('lists the scenarios', async () => {
    const { code, stdout } = await sim('--list');
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toEqual(SCENARIOS.map((s) => `${s.name}: ${s.shows}`));
  });
});
