/** The command line of `npm run sim`, checked before anything runs. */
import { parseArgs } from 'node:util';
import type { StoreKind } from './plan.js';

export interface Options {
  readonly seeds: number;
  readonly from: number;
  /** Replays one seed. */
  readonly seed: number | undefined;
  /** Replays a regression file. */
  readonly regression: string | undefined;
  readonly scenario: string | undefined;
  readonly list: boolean;
  readonly nodes: number | undefined;
  readonly store: StoreKind;
  readonly canary: string | undefined;
  /** Records the seeds that catch canaries. */
  readonly record: boolean;
  readonly workers: number;
  readonly minutes: number | undefined;
  readonly json: boolean;
  readonly timeline: boolean;
}

/** A wrong command line: one line of output, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const SEEDS_DEFAULT = 100;
const LATER: Readonly<Record<string, string>> = {
  explore: '--explore (the exhaustive small scope) is not built yet',
  html: '--html (the space-time diagram) is not built yet',
};

export const USAGE =
  'npm run sim -- [--seeds N] [--from N] [--seed N] [--regression FILE] [--scenario NAME] [--list] [--nodes N] [--store machine|lua] [--canary NAME|all [--record]] [--workers N] [--minutes M] [--timeline] [--json]';

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const KNOWN = {
  ...{ seeds: text, from: text, seed: text, scenario: text, nodes: text, canary: text, workers: text, minutes: text },
  ...{ regression: text, store: text, html: text, list: flag, json: flag, explore: flag, timeline: flag, record: flag },
};

/** Options that say what to run. Only one of them may be given. */
const ONE_OF = ['seed', 'regression', 'scenario', 'list'] as const;

/** Options that fix the store: a canary or a recorded plan names its store; scenarios steer single calls of the state machine. */
const HAS_ITS_STORE = ['canary', 'regression', 'scenario'] as const;

/** Returns the whole number of the option; undefined if it was left out. Throws UsageError for any other value. */
export function wholeNumber(name: string, given: unknown, min: number, max: number): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (given === '' || !Number.isSafeInteger(value) || value < min || value > max)
    throw new UsageError(`--${name} is "${String(given)}"; allowed: a whole number from ${min} to ${max}`);
  return value;
}

export function optionsOf(args: readonly string[]): Options {
  const values = parsed(args);
  const number = (name: keyof typeof KNOWN, min: number, max: number): number | undefined =>
    wholeNumber(name, values[name], min, max);
  for (const [name, why] of Object.entries(LATER)) if (values[name] !== undefined) throw new UsageError(why);
  const { store = 'machine' } = values;
  if (store !== 'machine' && store !== 'lua') throw new UsageError(`--store is "${String(store)}"; allowed: machine, lua`);
  const fixed = HAS_ITS_STORE.find((name) => values[name] !== undefined);
  if (values.store !== undefined && fixed !== undefined)
    throw new UsageError(`--${fixed} has a store of its own: leave --store out`);
  const [one, other] = ONE_OF.filter((name) => values[name] !== undefined);
  if (other !== undefined) throw new UsageError(`--${one} and --${other} exclude each other`);
  if (values.record === true && values.canary === undefined)
    throw new UsageError('--record goes with --canary NAME or --canary all');
  const seed = number('seed', 0, 2 ** 32);
  const name = (option: 'scenario' | 'canary' | 'regression'): string | undefined => values[option] as string | undefined;
  return {
    seeds: number('seeds', 1, 100_000_000) ?? (seed === undefined ? SEEDS_DEFAULT : 1),
    from: number('from', 0, 2 ** 32) ?? 1,
    seed,
    regression: name('regression'),
    scenario: name('scenario'),
    list: values.list === true,
    nodes: number('nodes', 1, 9),
    store,
    canary: name('canary'),
    record: values.record === true,
    workers: number('workers', 1, 256) ?? 1,
    minutes: number('minutes', 1, 100_000),
    json: values.json === true,
    timeline: values.timeline === true,
  };
}

function parsed(args: readonly string[]): Record<string, string | boolean | undefined> {
  try {
    return parseArgs({ args: [...args], options: KNOWN, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('\n')[0]?.split('. ')[0]}; usage: ${USAGE}`);
  }
}
