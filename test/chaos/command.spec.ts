import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Blow, notMet, roundOf } from '../../chaos/campaign.js';
import { CANARIES, patched } from '../../chaos/canaries.js';
import { optionsOf } from '../../chaos/cli.js';
import { UsageError } from '../../chaos/driver.js';
import type { Judgement } from '../../chaos/judge.js';
import { SCENARIOS } from '../../chaos/scenarios/scenarios.js';
import { FAULTS } from '../../sim/faults/faults.js';
import { toLines } from '../../sim/history.js';
import { scenarioNames } from '../../sim/scenarios/run-scenarios.js';
import { append, final, healed, historyOf, invoke, whole } from '../sim/history.js';
import { runCommand } from '../support/command.js';

describe('the scenarios', () => {
  it('are at least twenty on any machine, with names of their own', () => {
    const names = SCENARIOS.map((s) => s.name);
    expect(new Set(names).size).toBe(names.length);
    expect(SCENARIOS.filter((s) => s.needs === undefined).length).toBeGreaterThanOrEqual(20);
  });

  it('have each a twin in the simulator', () => {
    const twins = new Set([...scenarioNames().map((line) => line.split(':')[0]), ...FAULTS.map((f) => f.kind)]);
    expect(SCENARIOS.filter((s) => !twins.has(s.twin)).map((s) => `${s.name}: ${s.twin}`)).toEqual([]);
  });

  it('say each what must have happened, or the fault did nothing', () => {
    expect(SCENARIOS.filter((s) => s.must.length === 0).map((s) => s.name)).toEqual([]);
  });

  it('are five of the local driver and two of containers in CI', () => {
    const ci = SCENARIOS.filter((s) => s.ci === true);
    expect(ci.filter((s) => s.needs === undefined)).toHaveLength(5);
    expect(ci.filter((s) => s.needs === 'containers')).toHaveLength(2);
  });
});

describe('the campaign', () => {
  it('draws three to five nodes, over gRPC mostly and over pub/sub', () => {
    const rounds = Array.from({ length: 100 }, (_, seed) => roundOf(seed));
    expect([...new Set(rounds.map((r) => r.nodes))].sort()).toEqual([3, 4, 5]);
    const overPubsub = rounds.filter((r) => r.pubsub).length;
    expect(overPubsub).toBeGreaterThan(10);
    expect(overPubsub).toBeLessThan(50);
    expect(roundOf(7)).toMatchObject({ name: 'campaign-7', nodes: rounds[7]?.nodes, pubsub: rounds[7]?.pubsub });
  });

  it('says what many blows have not met', () => {
    const met = { log: { interrupted: 1 }, refusedEffects: 1 } as Judgement;
    const nothing = { log: { interrupted: 0 }, refusedEffects: 0 } as Judgement;
    const many = new Map<Blow, number>([
      ...([
        ['kill', 6],
        ['kill-master', 4],
        ['stop-long', 10],
      ] as const),
    ]);
    expect(notMet(many, [nothing, met])).toEqual([]);
    expect(notMet(many, [nothing])).toEqual([
      'no handler was interrupted by 10 kills',
      'in 10 long stops the fence refused nothing',
    ]);
    expect(
      notMet(
        new Map([
          ['kill', 9],
          ['stop-long', 9],
        ]),
        [nothing],
      ),
    ).toEqual([]);
  });
});

describe('the command line', () => {
  it('says in one line what is wrong with it', () => {
    for (const args of [
      ['--driver', 'vm'],
      ['--seed', 'x'],
      ['--minutes', '0'],
      ['--minutes', '1.5'],
      ['--nope'],
      ['--out', ''],
      ['positional'],
    ]) {
      expect(() => optionsOf(args)).toThrow(UsageError);
      expect(() => optionsOf(args)).toThrow(/^[^\n]+$/);
    }
  });

  const dir = mkdtempSync(join(tmpdir(), 'aq-chaos-test-'));
  afterAll(() => rmSync(dir, { recursive: true }));
  const chaos = (...args: readonly string[]) => runCommand('chaos', 'chaos/main', ...args);

  it('ends with exit 2 and one line for what cannot be run', async () => {
    const tries = [
      [['--scenario', 'nope'], /there is no scenario "nope"/],
      [['--scenario', 'container-paused'], /container-paused cannot be run: it needs the docker driver/],
      [['--scenario', 'kill,container-paused'], /container-paused cannot be run: it needs the docker driver/],
      [['--scenario', 'kill', '--toxiproxy', join(dir, 'none')], /there is no such program/],
      [['--scenario', 'kill', '--redis-server', join(dir, 'none')], /there is no such program|Toxiproxy/],
      [['--check', join(dir, 'none')], /no such file/],
      [['--check', 'package.json'], /is no history/],
    ] as const;
    for (const [args, line] of tries) {
      const { code, stderr } = await chaos(...args);
      expect({ args, code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(line) as string });
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
  });

  it('has canaries that find what they replace, in the build that is run', async () => {
    await chaos('--list');
    for (const canary of CANARIES)
      for (const patch of canary.patches) {
        const text = readFileSync(join('build/chaos/src', patch.file), 'utf8');
        expect(patched(canary, patch, text)).not.toBe(text);
        if (patch.file.endsWith('.gen.js')) expect(() => patched(canary, patch, '')).toThrow(/finds what it replaces 0 times/);
      }
    const known = new Set(SCENARIOS.map((s) => s.name));
    expect(CANARIES.filter((c) => !known.has(c.scenario))).toEqual([]);
    expect(await chaos('--canary', 'nope')).toMatchObject({ code: 2 });
  });

  it('has nodes that load the package by its name, and nothing of its source', async () => {
    await chaos('--list');
    const loaded = new Set([resolve('build/chaos/chaos/node.js')]);
    const named = new Set<string>();
    for (const file of loaded)
      for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)\b.*?'([^']+)';$/gm))
        if (specifier.startsWith('.')) loaded.add(resolve(dirname(file), specifier));
        else named.add(specifier);
    expect([...named]).toContain('atomic-queues');
    expect([...loaded].map((file) => relative('build/chaos', file).split('/')[0])).not.toContain('src');
    expect(loaded.size).toBeGreaterThan(5);
  });

  it('judges a recorded history', async () => {
    const good = join(dir, 'good.jsonl');
    const bad = join(dir, 'bad.jsonl');
    const run = [healed, ...whole('m1', 'plain:a', 1, 5), final({ balances: { 'plain:a': 5 } })];
    writeFileSync(good, toLines(historyOf(run)));
    writeFileSync(bad, toLines(historyOf([invoke('m2', 'plain:b'), append('m2', 'plain:b', 2), ...run])));
    expect(await chaos('--check', good)).toMatchObject({ code: 0 });
    const judged = await chaos('--check', bad, '--json');
    expect(judged.code).toBe(1);
    expect(judged.stdout).toContain('"invariant":"I4"');
  });
});
