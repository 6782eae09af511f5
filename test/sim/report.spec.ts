/** What a failing seed leaves behind, from the failure of a canary to the file that holds it. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { commitOfTree, inMacrotask, writeText } from '../../sim/ambient.js';
import { CANARIES, violatedBy } from '../../sim/canaries/run-canaries.js';
import { IN_WORDS } from '../../sim/checkers/check.js';
import { UsageError } from '../../sim/cli.js';
import { type Failure, failureOf } from '../../sim/report/failure.js';
import { brokenBy, regressionIn, regressionText } from '../../sim/report/regression.js';
import { drawPlan } from '../../sim/swarm.js';

const canary = CANARIES.find(({ name }) => name === 'timeout-is-success')!;
const INVARIANT = 'I5';
const NODES = 2;

/** Does it while the guard is off. */
async function unguarded<T>(body: () => Promise<T>): Promise<T> {
  const undo = canary.install?.();
  try {
    return await body();
  } finally {
    undo?.();
  }
}

describe('the report of a failing seed', () => {
  let seed = 0;
  let failure: Failure;
  beforeAll(async () => {
    await inMacrotask((drain) => {
      do seed++;
      while (!violatedBy(canary, seed, drain).includes(INVARIANT));
    });
    const found = await unguarded(() => inMacrotask((drain) => failureOf(seed, INVARIANT, { nodes: undefined }, drain)));
    failure = found!;
  });

  it('names seed, commit, the invariant in words, options, settings, and the line that replays it', () => {
    const { lines, regression } = failure;
    expect(lines).toContain(`---- seed ${seed} at commit ${commitOfTree()} breaks ${INVARIANT}: ${IN_WORDS[INVARIANT]}`);
    expect(lines).toContain(`what: ${regression.what}`);
    expect(lines).toContain('options: none');
    expect(lines).toContain(`settings: ${JSON.stringify(regression.plan.settings)}`);
    expect(lines.at(-1)).toBe(`replay: npm run sim -- --seed ${seed} --timeline`);
  });

  it('names the options where there are some', async () => {
    const { lines } = await unguarded(() =>
      inMacrotask((drain) => {
        for (let other = 1; ; other++) {
          const found = failureOf(other, INVARIANT, { nodes: NODES }, drain);
          if (found !== undefined) return found;
        }
      }),
    );
    expect(lines).toContain(`options: --nodes ${NODES}`);
    expect(lines.at(-1)).toMatch(/^replay: npm run sim -- --seed \d+ --nodes 2 --timeline$/);
  });

  it('shows a schedule that is small and still fails', async () => {
    const { regression, lines } = failure;
    const [drawn, { plan }] = [drawPlan(seed), regression];
    for (const part of ['nodes', 'messages', 'faults'] as const)
      expect(lines.join('\n')).toContain(`${plan[part].length} of ${drawn[part].length} ${part}`);
    expect(plan.messages.length).toBeLessThan(drawn.messages.length / 10);
    expect(plan.faults.length).toBeLessThan(drawn.faults.length / 4);
    for (const { name, startMs, group } of plan.nodes)
      expect(lines).toContain(`  ${String(startMs).padStart(6)} ms  start ${name} (${group})`);
    for (const hit of plan.hits ?? []) expect(lines).toContainEqual(expect.stringMatching(`^ +\\d+ ms  hit: ${hit}$`));
    expect(await unguarded(() => brokenBy(regression))).toContainEqual(expect.stringMatching(`^${INVARIANT}: `));
    expect(await brokenBy(regression)).toEqual([]);
  });

  it('shows what happened, up to what broke', () => {
    const at = failure.lines.findIndex((line) => line.startsWith('settings: '));
    const timeline = failure.lines.slice(at + 1, -1);
    expect(timeline[0]).toMatch(/^ +\d+\.\d {2}n\d+ +is starting \(life 1\)$/);
    expect(timeline.at(-1)).toMatch(/ call \S+ is told result/);
  });

  it('leaves a file that is read back, and played where it lies three folders deep', async () => {
    const { regression } = failure;
    const text = regressionText(regression, IN_WORDS[INVARIANT]);
    expect(regressionIn(text, 'it')).toEqual(regression);
    // Not beside the others, which are read by the tests that run meanwhile; and as a root of its own, or the projects of this
    // package's tests would run all of them.
    const folder = 'build/report-spec';
    writeText(`${folder}/test/seed-${seed}-${INVARIANT}.spec.ts`, text);
    const played = spawnSync(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', '--root', folder, '--reporter=verbose'],
      {
        encoding: 'utf8',
        timeout: 100_000,
      },
    );
    rmSync(folder, { recursive: true });
    expect(played.status, played.stdout + played.stderr).toBe(0);
    expect(played.stdout).toContain(`seed ${seed} keeps ${INVARIANT}`);
    expect(played.stdout).toContain('1 passed');
  });

  it('is refused where its format is another, in one line', async () => {
    const { plan } = failure.regression;
    const refused = brokenBy({ ...failure.regression, plan: { ...plan, version: 0 } });
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(/^the regression has format 0, this simulator reads 1; [^\n]+$/);
  });
});
