/** The command line of `npm run chaos`, checked before anything runs. */
import { parseArgs } from 'node:util';
import { UsageError } from './driver.js';

export interface Options {
  readonly driver: 'local' | 'docker';
  /** Names of scenarios. Empty: all. */
  readonly scenarios: readonly string[];
  /** Whether to run only the scenarios of CI. */
  readonly ci: boolean;
  readonly list: boolean;
  readonly json: boolean;
  readonly seed: number;
  readonly keep: boolean;
  /** Folder for histories and timelines. */
  readonly out: string;
  /** Path of a recorded history to judge. */
  readonly check: string | undefined;
  readonly canary: string | undefined;
  readonly campaign: boolean;
  /** Time in minutes for which a campaign begins new rounds. */
  readonly minutes: number;
  readonly setup: boolean;
  readonly toxiproxy: string | undefined;
  readonly redisServer: string | undefined;
  readonly redisImage: string | undefined;
  readonly toxiproxyImage: string | undefined;
}

export const USAGE = `npm run chaos -- [options]
  --driver local|docker    child processes, or containers (local)
  --scenario NAME[,NAME]   only these
  --ci                     only the few that CI runs
  --list                   the scenarios
  --seed N                 which messages are sent (1)
  --json                   one JSON object as the last line of standard output
  --out DIR                where timelines and histories go (build/chaos-report)
  --keep                   keep every history; one with a violation is kept anyway
  --check FILE             judge a recorded history, and nothing else
  --campaign               instead of scenarios: drawn rounds of kills, stops and restarts, from --seed on
  --minutes M              how long a campaign begins new rounds, 1 to 600 (30); --seed is that of its first round
  --canary NAME|all        run builds with a guard switched off: each must be caught
  --setup                  look for what the drivers need, install what can be, and say what is missing
  --toxiproxy FILE         the Toxiproxy server (local driver)
  --redis-server FILE      the Redis or Valkey server (local driver)
  --redis-image NAME, --toxiproxy-image NAME   images of a registry (docker driver)`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const KNOWN = {
  ...{ driver: text, scenario: text, seed: text, out: text, check: text, canary: text, minutes: text },
  ...{ toxiproxy: text, 'redis-server': text, 'redis-image': text, 'toxiproxy-image': text },
  ...{ ci: flag, list: flag, json: flag, keep: flag, setup: flag, campaign: flag, help: flag },
};

export function optionsOf(args: readonly string[]): Options {
  const values = parsed(args);
  if (values.help === true) throw new UsageError(USAGE);
  const given = (name: keyof typeof KNOWN): string | undefined => {
    const value = values[name] as string | undefined;
    if (value === '') throw new UsageError(`--${name} is empty`);
    return value;
  };
  const driver = given('driver') ?? 'local';
  if (driver !== 'local' && driver !== 'docker') throw new UsageError(`--driver is "${driver}"; allowed: local, docker`);
  const seed = given('seed') ?? '1';
  const minutes = given('minutes') ?? '30';
  if (!/^\d{1,3}$/.test(minutes) || Number(minutes) < 1 || Number(minutes) > 600)
    throw new UsageError(`--minutes is "${minutes}"; allowed: a whole number from 1 to 600`);
  if (!/^\d{1,9}$/.test(seed)) throw new UsageError(`--seed is "${seed}"; allowed: a whole number from 0 to 999999999`);
  return {
    driver,
    scenarios: (given('scenario') ?? '').split(',').filter((name) => name !== ''),
    ci: values.ci === true,
    ...{ list: values.list === true, json: values.json === true, keep: values.keep === true, setup: values.setup === true },
    seed: Number(seed),
    out: given('out') ?? 'build/chaos-report',
    ...{ check: given('check'), canary: given('canary'), campaign: values.campaign === true, minutes: Number(minutes) },
    ...{ toxiproxy: given('toxiproxy'), redisServer: given('redis-server') },
    ...{ redisImage: given('redis-image'), toxiproxyImage: given('toxiproxy-image') },
  };
}

function parsed(args: readonly string[]): Record<string, string | boolean | undefined> {
  try {
    return parseArgs({ args: [...args], options: KNOWN, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('\n')[0]?.split('. ')[0]}; --help lists the options`);
  }
}
