/** npm run chaos: runs real processes, a real Redis, and Toxiproxy between them. The simulator's checkers judge the history. */
import { readFileSync } from 'node:fs';
import { fromLines } from '../sim/history.js';
import { type Blow, notMet, roundOf } from './campaign.js';
import { type Options, optionsOf } from './cli.js';
import { type Driver, UsageError, type Versions } from './driver.js';
import { type Judgement, judge } from './judge.js';
import { LocalDriver } from './local.js';
import { row, tellViolations } from './report/table.js';
import { canariesOf, runCanaries } from './run-canaries.js';
import type { Scenario } from './scenarios/scenario.js';
import { SCENARIOS } from './scenarios/scenarios.js';
import { faketimeOf, localTools } from './setup.js';
import { keep, type PlayOptions, playOne, type Result } from './suite.js';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function driverOf(options: Options): Promise<Driver> {
  if (options.driver === 'local') return new LocalDriver(localTools(options, say));
  // Imported only for this driver, because the module loads a Docker client.
  const { dockerTools } = await import('./docker-tools.js');
  const { DockerDriver } = await import('./docker.js');
  return new DockerDriver(await dockerTools(options, say));
}

const NO_FAKETIME = 'libfaketime is not there';

/** Returns what this machine or the driver lacks for the scenario and cannot be installed; undefined if nothing is missing. */
function lackOf({ needs }: Scenario, driver: Options['driver']): string | undefined {
  if (needs === 'containers' && driver !== 'docker') return 'it needs the docker driver';
  return needs === 'libfaketime' && faketimeOf(say) === undefined ? NO_FAKETIME : undefined;
}

/** Returns whether CI runs the scenario: five on child processes, and the two that need containers. */
const isOfCi = ({ ci, needs }: Scenario, driver: Options['driver']): boolean =>
  ci === true && (needs === 'containers') === (driver === 'docker');

function chosen({ scenarios, ci, driver }: Options): readonly Scenario[] {
  for (const name of scenarios)
    if (!SCENARIOS.some((s) => s.name === name)) throw new UsageError(`there is no scenario "${name}"; --list tells them`);
  return SCENARIOS.filter((s) => (scenarios.length === 0 ? !ci || isOfCi(s, driver) : scenarios.includes(s.name)));
}

/** Opens the driver, reports its versions, runs `play`, and closes the driver in every case. */
async function onDriver(options: Options, play: (driver: Driver, versions: Versions) => Promise<boolean>): Promise<boolean> {
  const driver = await driverOf(options);
  try {
    const versions = await driver.versions();
    say(`chaos on ${driver.name}: Redis ${versions.redis}, Toxiproxy ${versions.toxiproxy}, Node ${versions.node}`);
    return await play(driver, versions);
  } finally {
    await driver.close();
  }
}

async function playAndTell(scenario: Scenario, how: PlayOptions, { out, keep: keepsAll }: Options): Promise<Result> {
  const result = keep(scenario, await playOne(scenario, how), out, keepsAll);
  say(row(result));
  tellViolations(result, say);
  return result;
}

async function playAll(options: Options, signal: AbortSignal): Promise<boolean> {
  const { seed } = options;
  const all = chosen(options).map((scenario) => ({ scenario, lack: lackOf(scenario, options.driver) }));
  const notRun = all.flatMap(({ scenario: { name }, lack: why }) => (why === undefined ? [] : [{ name, why }]));
  // Refuse to run if a scenario that the caller named, or every scenario, cannot be run.
  const isRefused = options.scenarios.length > 0 ? notRun.length > 0 : notRun.length === all.length;
  if (isRefused) throw new UsageError(notRun.map(({ name, why }) => `${name} cannot be run: ${why}`).join('; '));
  return onDriver(options, async (driver, versions) => {
    const scenarios: Result[] = [];
    for (const { scenario, lack } of all)
      if (lack === undefined) scenarios.push(await playAndTell(scenario, { driver, seed, signal }, options));
    for (const { name, why } of notRun) say(`not run ${name}: ${why}`);
    if (options.json) print(JSON.stringify({ driver: driver.name, versions, scenarios, notRun }));
    return scenarios.every((s) => s.verdict === 'valid');
  });
}

/** Plays rounds until the time is over. Each round has its own seed, so a broken round can be the first of another campaign. */
function playCampaign(options: Options, signal: AbortSignal): Promise<boolean> {
  return onDriver(options, async (driver, versions) => {
    const rounds: Result[] = [];
    const blows = new Map<Blow, number>();
    const endMs = performance.now() + options.minutes * 60_000;
    for (let { seed } = options; performance.now() < endMs; seed++) {
      const round = roundOf(seed);
      rounds.push(await playAndTell(round, { driver, seed, signal }, options));
      for (const blow of round.fallen) blows.set(blow, (blows.get(blow) ?? 0) + 1);
    }
    const missing = notMet(blows, rounds);
    const broken = rounds.filter((r) => r.verdict !== 'valid').length;
    const fallen = [...blows].map(([blow, count]) => `${count} ${blow}`).join(', ');
    say(`${rounds.length} rounds, ${broken} broken, from --seed ${options.seed} on: ${fallen}`);
    for (const what of missing) say(`not met: ${what}`);
    const told = { driver: driver.name, versions, blows: Object.fromEntries(blows), rounds, notMet: missing };
    if (options.json) print(JSON.stringify(told));
    return broken === 0 && missing.length === 0;
  });
}

async function playCanaries(options: Options, wanted: string, signal: AbortSignal): Promise<boolean> {
  if (options.driver === 'docker') throw new UsageError('canaries are tried with the local driver');
  const canaries = await runCanaries(canariesOf(wanted), localTools(options, say), options.seed, signal, say);
  if (options.json) print(JSON.stringify({ driver: options.driver, canaries }));
  return canaries.every((c) => c.caughtAfterTries > 0);
}

/** Judges a history that was recorded earlier, by this suite or by the simulator. */
function checkFile(path: string, json: boolean): boolean {
  const judgement = judged(path);
  say(`${path}: ${judgement.verdict}, ${judgement.messages} calls, ${judgement.violations.length} violations`);
  tellViolations(judgement, say);
  if (json) print(JSON.stringify({ file: path, ...judgement }));
  return judgement.verdict === 'valid';
}

function judged(path: string): Judgement {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--check ${path}: ${(error as Error).message}`);
  }
  try {
    const events = fromLines(text);
    if (events[0]?.kind !== 'run') throw new Error('it does not begin with what the run was');
    return judge(events);
  } catch (error) {
    throw new UsageError(`--check ${path} is no history: ${(error as Error).message.split('\n')[0]}`);
  }
}

async function main(options: Options): Promise<boolean> {
  if (options.list) {
    for (const { name, shows, twin } of SCENARIOS) print(`${name}: ${shows} (sim: ${twin})`);
    return true;
  }
  if (options.check !== undefined) return checkFile(options.check, options.json);
  if (options.setup) {
    const lack = faketimeOf(say) === undefined ? `; scenarios that jump clocks are not run: ${NO_FAKETIME}` : '';
    await (await driverOf(options)).close();
    say(`the ${options.driver} driver has what it needs${lack}`);
    return true;
  }
  const stop = new AbortController();
  // Not `once`: a library that finds no listener besides its own ends the process.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new UsageError('interrupted')));
  if (options.campaign) return playCampaign(options, stop.signal);
  return options.canary === undefined ? playAll(options, stop.signal) : playCanaries(options, options.canary, stop.signal);
}

try {
  process.exitCode = (await main(optionsOf(process.argv.slice(2)))) ? 0 : 1;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  say(error.message);
  process.exitCode = 2;
}
