/** The campaign's command line. A wrong one is told in a line, and ends with exit 2. */
export interface CommandOptions {
  readonly kills: number;
  readonly seed: number;
  readonly apps: number;
  readonly json: boolean;
  readonly keep: boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `npm run campaign:kill -- [options]
  --kills N   how often the app is killed, 1 to 100000 (100)
  --seed N    which messages, moments and server ids are drawn (1)
  --apps N    processes at once, 1 to 4 (1)
  --json      one JSON object as the last line of standard output
  --keep      keep the record; after a violation it is kept anyway`;

const FLAGS = new Set(['--json', '--keep']);
const NUMBERS = new Map([
  ['--kills', { min: 1, max: 100_000, fallback: 100 }],
  ['--seed', { min: 0, max: 0xffffffff, fallback: 1 }],
  ['--apps', { min: 1, max: 4, fallback: 1 }],
]);

export function parseOptions(argv: readonly string[]): CommandOptions {
  const numbers = new Map<string, number>();
  const flags = new Set<string>();
  for (let index = 0; index < argv.length; index++) {
    const name = argv[index] as string;
    const bounds = NUMBERS.get(name);
    if (FLAGS.has(name)) flags.add(name);
    else if (bounds === undefined) throw new UsageError(`unknown option ${name}`);
    else {
      const text = argv[++index] ?? '';
      const value = Number(text);
      if (!/^\d+$/.test(text) || value < bounds.min || value > bounds.max)
        throw new UsageError(`${name} ${text}: must be a whole number from ${bounds.min} to ${bounds.max}`);
      numbers.set(name, value);
    }
  }
  const number = (name: string): number => numbers.get(name) ?? NUMBERS.get(name)?.fallback ?? 0;
  return {
    kills: number('--kills'),
    seed: number('--seed'),
    apps: number('--apps'),
    json: flags.has('--json'),
    keep: flags.has('--keep'),
  };
}
