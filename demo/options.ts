/** The demo's command line. A wrong option prints one line and ends the demo with exit 2. */
export interface DemoOptions {
  readonly store: 'memory' | 'redis';
  /** URL of a running server. Undefined: the demo starts its own server if the store is Redis. */
  readonly redisUrl: string | undefined;
  readonly accounts: number;
  readonly messages: number;
  /** Number of node processes; 1: the node runs in this process. */
  readonly nodes: number;
  readonly kill: boolean;
  readonly seed: number;
  readonly json: boolean;
  readonly help: boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `npm run demo -- [options]
  --store memory|redis   where messages are logged (memory; with several nodes redis)
  --redis URL            a Redis that runs already; else REDIS_URL, else a redis-server of the demo's own
  --accounts N           accounts of the bank, 2 to 100000 (200)
  --messages N           messages to be accepted, 1 to 10000000 (20000)
  --nodes N              processes over gRPC on one Redis, 1 to 16 (1)
  --kill                 kill -9 one of them in mid-run
  --seed N               which clients, amounts and delays are drawn (1)
  --json                 one JSON object as the last line of standard output; text goes to standard error`;

const NODES_MAX = 16;
const VALUED = new Set(['--store', '--redis', '--accounts', '--messages', '--nodes', '--seed']);
const FLAGS = new Set(['--json', '--kill', '--help']);

export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): DemoOptions {
  const given = read(argv);
  const nodes = whole(given, '--nodes', 1, 1, NODES_MAX);
  const kill = given.has('--kill');
  if (kill && nodes === 1) throw new UsageError('--kill needs --nodes of at least 2: somebody has to go on');
  const url = given.get('--redis');
  const store = given.get('--store') ?? (url === undefined && nodes === 1 ? 'memory' : 'redis');
  if (store !== 'memory' && store !== 'redis') throw new UsageError(`--store ${store}: must be memory or redis`);
  if (store === 'memory' && nodes > 1)
    throw new UsageError(`--nodes ${nodes} needs --store redis: the memory store lives within one process`);
  if (store === 'memory' && url !== undefined)
    throw new UsageError('--redis needs --store redis: the memory store has no server');
  const redisUrl = url ?? (env.REDIS_URL || undefined);
  if (store === 'redis' && redisUrl !== undefined) checkUrl(redisUrl, url === undefined ? 'REDIS_URL' : '--redis');
  return {
    store,
    redisUrl: store === 'redis' ? redisUrl : undefined,
    accounts: whole(given, '--accounts', 200, 2, 100_000),
    messages: whole(given, '--messages', 20_000, 1, 10_000_000),
    nodes,
    kill,
    seed: whole(given, '--seed', 1, 0, 0xffffffff),
    json: given.has('--json'),
    help: given.has('--help'),
  };
}

function read(argv: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let index = 0; index < argv.length; index++) {
    const [name = '', inline] = split(argv[index] ?? '');
    if (!VALUED.has(name) && !FLAGS.has(name)) throw new UsageError(`unknown option ${argv[index]}; --help lists them`);
    if (given.has(name)) throw new UsageError(`${name} is given twice`);
    if (FLAGS.has(name)) {
      if (inline !== undefined) throw new UsageError(`${name} takes no value`);
      given.set(name, '');
      continue;
    }
    const value = inline ?? argv[++index];
    if (value === undefined || value === '' || (inline === undefined && value.startsWith('--')))
      throw new UsageError(`${name} needs a value`);
    given.set(name, value);
  }
  return given;
}

function split(argument: string): [string, string?] {
  const at = argument.indexOf('=');
  return argument.startsWith('--') && at > 0 ? [argument.slice(0, at), argument.slice(at + 1)] : [argument];
}

function whole(given: ReadonlyMap<string, string>, name: string, fallback: number, min: number, max: number): number {
  const text = given.get(name);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new UsageError(`${name} ${text}: must be a whole number from ${min} to ${max}`);
  return value;
}

function checkUrl(text: string, source: string): void {
  const protocol = URL.canParse(text) ? new URL(text).protocol : '';
  if (protocol !== 'redis:' && protocol !== 'rediss:')
    throw new UsageError(`${source} ${text}: must be a URL like redis://localhost:6379`);
}
