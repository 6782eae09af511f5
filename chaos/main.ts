/** npm run chaos: real processes, a real Redis, and Toxiproxy between them, judged by the simulator's checkers. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromLines, toLines } from '../sim/history.js';
import { type Options, optionsOf } from './cli.js';
import { type Driver, UsageError } from './driver.js';
import { type Judgement, judge } from './judge.js';
import { LocalDriver } from './local.js';
import { row, tellViolations } from './report/table.js';
import { timelineHtml } from './report/timeline.js';
import { play } from './run.js';
import type { Scenario } from './scenarios/scenario.js';
import { SCENARIOS } from './scenarios/scenarios.js';
import { localTools } from './setup.js';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

export interface Result extends Judgement {
  readonly name: string;
  readonly faults: readonly string[];
  readonly seconds: number;
  /** Of what was kept. */
  readonly history: string | undefined;
  readonly timeline: string;
}

function driverOf(options: Options): Driver {
  if (options.driver === 'docker') throw new UsageError('the docker driver is not built yet');
  return new LocalDriver(localTools(options, say));
}

function chosen({ scenarios, driver }: Options): Scenario[] {
  for (const name of scenarios)
    if (!SCENARIOS.some((s) => s.name === name)) throw new UsageError(`there is no scenario "${name}"; --list tells them`);
  const all = SCENARIOS.filter((s) => scenarios.length === 0 || scenarios.includes(s.name));
  return all.filter((s) => s.only === undefined || s.only === driver);
}

/** Plays one scenario in a folder of its own, and keeps what is worth it. */
async function playOne(driver: Driver, scenario: Scenario, options: Options, signal: AbortSignal): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), 'aq-chaos-'));
  const startMs = performance.now();
  try {
    const events = await play({ driver, scenario, seed: options.seed, dir, signal });
    const judgement = judge(events);
    mkdirSync(options.out, { recursive: true });
    const at = (ending: string): string => join(options.out, `${scenario.name}.${ending}`);
    const timeline = at('html');
    writeFileSync(timeline, timelineHtml(scenario, events, judgement));
    const isKept = options.keep || judgement.verdict !== 'valid';
    const history = isKept ? at('history.jsonl') : undefined;
    if (history !== undefined) writeFileSync(history, toLines(events));
    const seconds = Number(((performance.now() - startMs) / 1000).toFixed(1));
    return { name: scenario.name, faults: scenario.faults, ...judgement, seconds, history, timeline };
  } finally {
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function playAll(options: Options, signal: AbortSignal): Promise<boolean> {
  const scenarios = chosen(options);
  const driver = driverOf(options);
  try {
    const versions = await driver.versions();
    say(`chaos on ${driver.name}: Redis ${versions.redis}, Toxiproxy ${versions.toxiproxy}, Node ${versions.node}`);
    const results: Result[] = [];
    for (const scenario of scenarios) {
      const result = await playOne(driver, scenario, options, signal);
      results.push(result);
      say(row(result));
      tellViolations(result, say);
    }
    if (options.json) print(JSON.stringify({ driver: driver.name, versions, scenarios: results }));
    return results.every((r) => r.verdict === 'valid');
  } finally {
    await driver.close();
  }
}

/** Judges a history that was recorded earlier, by this suite or by the simulator. */
function checkFile(path: string, json: boolean): boolean {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--check ${path}: ${(error as Error).message}`);
  }
  const judgement = judged(path, text);
  say(`${path}: ${judgement.verdict}, ${judgement.messages} calls, ${judgement.violations.length} violations`);
  tellViolations(judgement, say);
  if (json) print(JSON.stringify({ file: path, ...judgement }));
  return judgement.verdict === 'valid';
}

function judged(path: string, text: string): Judgement {
  try {
    const events = fromLines(text);
    if (events[0]?.kind !== 'run') throw new Error('it does not begin with what the run was');
    return judge(events);
  } catch (error) {
    throw new UsageError(`--check ${path} is no history: ${(error as Error).message}`);
  }
}

async function main(options: Options): Promise<boolean> {
  if (options.list) {
    for (const { name, shows, twin } of SCENARIOS) print(`${name}: ${shows} (sim: ${twin})`);
    return true;
  }
  if (options.check !== undefined) return checkFile(options.check, options.json);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new UsageError('interrupted')));
  return playAll(options, stop.signal);
}

try {
  process.exitCode = (await main(optionsOf(process.argv.slice(2)))) ? 0 : 1;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  say(error.message);
  process.exitCode = 2;
}
