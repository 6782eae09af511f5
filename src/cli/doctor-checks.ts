/** Judges a Redis by the facts that `doctor` collected. Pure, so that a test can produce each finding. */
import { CLOSED } from '../core/log/membership.js';
import { SCHEMA_VERSION } from '../core/log/operations.js';
import { channelRule } from '../redis/failures.js';

export type Level = 'ok' | 'warn' | 'fail';

export interface Finding {
  readonly check: string;
  readonly level: Level;
  readonly found: string;
  /** What the finding may lose or break; '' if nothing. */
  readonly endangers: string;
}

export interface Facts {
  /** Fields of INFO, default sections. */
  readonly info: ReadonlyMap<string, string>;
  /** Values of CONFIG GET; undefined if the server forbids the command. */
  readonly config: ReadonlyMap<string, string> | undefined;
  /** The server's clock minus the clock of this machine. */
  readonly clockOffsetMs: number;
  /** How far the server's clock stepped back between two readings; 0 if it did not. */
  readonly clockBackMs: number;
  /** Median of several round trips. */
  readonly roundTripMs: number;
  /** Keys that have a name of this library but another type. Each entry contains the found type. */
  readonly foreignKeys: readonly string[];
  /** Number of keys of this library that exist under the prefix. */
  readonly ownKeys: number;
  /** Generation of the store under the prefix; '' if there is none. */
  readonly generation: string;
  /** Schema version of the store's records. */
  readonly schema: string;
  readonly keyPrefix: string;
  /** Why nodes cannot use their pub/sub channels; undefined if they can. */
  readonly channelFault: string | undefined;
  /** Why the scripts of this library cannot be loaded or run; undefined if they can. */
  readonly scriptFault: string | undefined;
}

const TESTED_MAJOR = 7;
const MAJOR_MIN = 6;
const CLOCK_OFFSET_MS_MAX = 2000;
const ROUND_TRIP_MS_MAX = 20;
const MEMORY_USED_MAX = 0.8;
const REPLICA_LAG_BYTES_MAX = 1_000_000;
const REPLICA_LAG_S_MAX = 5;

const finding = (check: string, level: Level, found: string, endangers = ''): Finding => ({ check, level, found, endangers });

export function judge(facts: Facts): readonly Finding[] {
  return [
    version(facts),
    mode(facts),
    role(facts),
    ...eviction(facts),
    memory(facts),
    ...persistence(facts),
    ...replicas(facts),
    clock(facts),
    latency(facts),
    channels(facts),
    keys(facts),
    ...store(facts),
    scripts(facts),
  ];
}

const field = ({ info }: Facts, name: string): string => info.get(name) ?? '';

function version(facts: Facts): Finding {
  const text = field(facts, 'redis_version');
  const name = field(facts, 'server_name') || 'redis';
  const major = Number(text.split('.')[0]);
  if (!(major >= MAJOR_MIN)) return finding('version', 'fail', `${name} ${text}`, 'the scripts need Redis 6 or later');
  if (major < TESTED_MAJOR) return finding('version', 'warn', `${name} ${text}`, 'the scripts are tested on Redis 7 and later');
  return finding('version', 'ok', `${name} ${text}`);
}

function mode(facts: Facts): Finding {
  const found = field(facts, 'redis_mode') || 'standalone';
  if (found !== 'cluster') return finding('mode', 'ok', found);
  return finding('mode', 'warn', found, 'all keys of a prefix are in one hash slot, so one shard carries the whole load');
}

function role(facts: Facts): Finding {
  const found = field(facts, 'role');
  if (found !== 'slave') return finding('role', 'ok', found);
  return finding('role', 'fail', 'replica', 'it refuses writes: no node can start; connect to the primary');
}

function eviction(facts: Facts): readonly Finding[] {
  const policy = facts.config?.get('maxmemory-policy') ?? field(facts, 'maxmemory_policy');
  if (policy === 'noeviction') return [finding('eviction', 'ok', policy)];
  if (policy === '')
    return [finding('eviction', 'warn', 'unknown', 'with any policy but noeviction, logged messages may vanish')];
  return [
    finding('eviction', 'fail', policy, 'logged messages may vanish when memory is short, and no node starts: set noeviction'),
  ];
}

function memory(facts: Facts): Finding {
  const max = Number(field(facts, 'maxmemory') || '0');
  const used = Number(field(facts, 'used_memory') || '0');
  const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MB`;
  if (max === 0)
    return finding(
      'memory',
      'warn',
      `${megabytes(used)} used, no maxmemory`,
      'a backlog can grow until the system ends Redis; with a limit, calls are refused instead',
    );
  const found = `${megabytes(used)} of ${megabytes(max)} used`;
  if (used / max <= MEMORY_USED_MAX) return finding('memory', 'ok', found);
  return finding('memory', 'warn', found, 'when it is full, new messages are refused');
}

function persistence(facts: Facts): readonly Finding[] {
  const found: Finding[] = [];
  const fsync = facts.config?.get('appendfsync');
  if (field(facts, 'aof_enabled') !== '1')
    found.push(
      finding(
        'persistence',
        'warn',
        'no append-only file',
        'a crash of Redis loses what was acknowledged since the last snapshot; then the nodes close with STORE_LOST. Set appendonly yes',
      ),
    );
  else if (fsync === 'no')
    found.push(
      finding(
        'persistence',
        'warn',
        'append-only file, appendfsync no',
        'a power cut loses what the system had not written yet, often 30 s',
      ),
    );
  else if (fsync === 'always') found.push(finding('persistence', 'ok', 'append-only file, appendfsync always'));
  else
    found.push(
      finding(
        'persistence',
        'ok',
        `append-only file, appendfsync ${fsync ?? 'unknown'}`,
        'a power cut loses up to a second or two of acknowledged messages',
      ),
    );
  if (field(facts, 'aof_last_write_status') === 'err')
    found.push(
      finding(
        'disk',
        'fail',
        'the last write of the append-only file failed',
        'Redis refuses writes until it can write to its disk',
      ),
    );
  if (field(facts, 'rdb_last_bgsave_status') === 'err')
    found.push(
      finding(
        'disk',
        'fail',
        'the last snapshot failed',
        'Redis refuses writes (stop-writes-on-bgsave-error) until one succeeds',
      ),
    );
  return found;
}

function replicas(facts: Facts): readonly Finding[] {
  const count = Number(field(facts, 'connected_slaves') || '0');
  if (count === 0) return [finding('replicas', 'ok', 'none')];
  const offset = Number(field(facts, 'master_repl_offset'));
  return Array.from({ length: count }, (_, i) => {
    const text = field(facts, `slave${i}`);
    const part = (name: string): string => new RegExp(`(?:^|,)${name}=([^,]*)`).exec(text)?.[1] ?? '';
    const behind = offset - Number(part('offset'));
    const lagS = Number(part('lag'));
    const found = `${part('ip')}:${part('port')} ${part('state')}, ${behind} bytes and ${lagS} s behind`;
    if (part('state') === 'online' && behind <= REPLICA_LAG_BYTES_MAX && lagS <= REPLICA_LAG_S_MAX)
      return finding('replica', 'ok', found);
    return finding(
      'replica',
      'warn',
      found,
      'a failover to it loses what it has not got yet: acknowledged messages, and the nodes close with STORE_LOST',
    );
  });
}

function clock({ clockOffsetMs, clockBackMs }: Facts): Finding {
  const found = `${clockOffsetMs >= 0 ? '+' : ''}${clockOffsetMs} ms from this machine's`;
  if (clockBackMs > 0)
    return finding(
      'clock',
      'fail',
      `it stepped back by ${clockBackMs} ms`,
      'leases end late or early: entities stand still, or nodes are suspended',
    );
  if (Math.abs(clockOffsetMs) <= CLOCK_OFFSET_MS_MAX) return finding('clock', 'ok', found);
  return finding('clock', 'warn', found, 'nothing that must hold; times of letters and messages are by its clock');
}

function latency({ roundTripMs }: Facts): Finding {
  const found = `${roundTripMs.toFixed(1)} ms a round trip`;
  if (roundTripMs <= ROUND_TRIP_MS_MAX) return finding('latency', 'ok', found);
  return finding('latency', 'warn', found, 'each message takes two of them; a beat that takes a node TTL suspends its node');
}

function channels({ channelFault, keyPrefix }: Facts): Finding {
  if (channelFault === undefined) return finding('channels', 'ok', 'nodes can publish and subscribe');
  const endangers = `without grpc.enabled a call to another node waits for its sweep, seconds: ${channelRule(keyPrefix)}`;
  return finding('channels', 'warn', channelFault, endangers);
}

function keys({ foreignKeys, ownKeys }: Facts): Finding {
  if (foreignKeys.length > 0)
    return finding(
      'keys',
      'fail',
      foreignKeys.join(', '),
      'no node starts under this prefix, or it would mix its data with that of others',
    );
  return finding(
    'keys',
    'ok',
    ownKeys === 0 ? 'nothing is under the prefix yet' : `${ownKeys} keys, each of the type it must have`,
  );
}

function store({ generation, schema }: Facts): readonly Finding[] {
  if (generation === '') return [];
  const version = `records of schema version ${schema}`;
  if (schema !== String(SCHEMA_VERSION))
    return [finding('store', 'fail', version, `no node of this version starts, which reads ${SCHEMA_VERSION}`)];
  if (generation !== CLOSED) return [finding('store', 'ok', version)];
  const endangers = 'no node starts, and what is there may be from before that: find out what is missing, then reopen it';
  return [finding('store', 'fail', 'shut, since it lost acknowledged writes', endangers)];
}

function scripts({ scriptFault }: Facts): Finding {
  if (scriptFault === undefined) return finding('scripts', 'ok', 'they load');
  return finding('scripts', 'fail', scriptFault, 'no node can start: its user needs eval and evalsha');
}
