/** Checks of a Redis server before messages are entrusted to it. */
import { StoreCallError } from '../ports/store.js';
import type { Connection } from './connection.js';

/** The keys of a partition without their prefix, and their types; head.lua describes them. */
export const KEY_TYPES: Readonly<Record<string, 'hash' | 'zset'>> = {
  meta: 'hash',
  ent: 'hash',
  msg: 'hash',
  kept: 'hash',
  expiry: 'zset',
  ready: 'zset',
  member: 'hash',
  contract: 'hash',
  schema: 'hash',
  owns: 'hash',
  leader: 'hash',
  dlq: 'hash',
  dlqindex: 'zset',
  dlqof: 'hash',
};

/** How many of these keys, from the first on, the scripts take as KEYS. */
const DECLARED_MIN = 3;

/** The commands with which the scripts write to a key of each type. */
export const WRITE_COMMANDS = { hash: ['HSET', 'HDEL', 'HINCRBY'], zset: ['ZADD', 'ZREM'] } as const;

/** The commands with which the scripts read a key of each type. Some are used only by background tasks, long after the start. */
export const READ_COMMANDS = {
  hash: ['HEXISTS', 'HGET', 'HGETALL', 'HLEN', 'HMGET', 'HSCAN', 'HSTRLEN'],
  zset: ['ZCARD', 'ZCOUNT', 'ZRANGE', 'ZRANGEBYSCORE', 'ZRANK', 'ZSCORE'],
} as const;

/**
 * Returns the indexes of the (command, key) argument pairs that the user may not run or that the server does not know. Returns
 * none on Redis before 7.0 and on ioredis-mock, which lack acl_check_cmd. Test writes that must fail are not worth it there:
 * those versions of Redis are unmaintained, and the mock has no users, so the writes would succeed.
 */
const FORBIDDEN_SCRIPT = `
local forbidden = {}
if redis.acl_check_cmd then
  for i = 1, #ARGV, 2 do
    local known, allowed = pcall(redis.acl_check_cmd, ARGV[i], ARGV[i + 1])
    if not known or not allowed then forbidden[#forbidden + 1] = (i - 1) / 2 end
  end
end
return forbidden`;

const infoField = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]?.trim();

/** Rejects with a StoreCallError that says what is wrong and what to do. `writes`: whether the store will also write. */
export async function checkServer(connection: Connection, base: string, writes: boolean): Promise<void> {
  await Promise.all([checkKeys(connection, base), checkEviction(connection), checkRole(connection)]);
  if (writes) await checkCommands(connection, base);
}

/**
 * Rejects if the user may run only some of the commands of the scripts. Such a script would stop in the middle, and its earlier
 * writes would stay, among them the batch number: the batch would count as applied.
 */
async function checkCommands(connection: Connection, base: string): Promise<void> {
  const used = Object.entries(KEY_TYPES).flatMap(([name, type]) =>
    [...WRITE_COMMANDS[type], ...READ_COMMANDS[type]].map((command) => ({ command, name })),
  );
  const args = used.flatMap(({ command, name }) => [command, base + name]);
  const forbidden = await connection.call((client) => client.eval(FORBIDDEN_SCRIPT, 0, args));
  if (!Array.isArray(forbidden) || forbidden.length === 0) return;
  const keysOf = new Map<string, string[]>();
  for (const at of forbidden as number[]) {
    const { command, name } = used[at]!;
    keysOf.set(command, [...(keysOf.get(command) ?? []), name]);
  }
  const found = [...keysOf].map(([command, names]) => `${command} on ${names.join(', ')}`).join('; ');
  const rules = [...keysOf.keys()].map((command) => `+${command.toLowerCase()}`).join(' ');
  throw new StoreCallError(
    `the Redis user may not run commands that the scripts use: ${found}; allow them with ACL SETUSER <user> ${rules} ~${base}*`,
    true,
    true,
  );
}

const UNDECLARED_SCRIPT = "return redis.call('TYPE', ARGV[1])";

/**
 * Returns the keys to declare with each call: the first three, from which the scripts derive the others. Returns all keys where
 * the server lets a script access only declared keys, as Dragonfly does.
 */
export async function keysToDeclare(connection: Connection, base: string): Promise<readonly string[]> {
  const keys = Object.keys(KEY_TYPES).map((name) => base + name);
  const few = keys.slice(0, DECLARED_MIN);
  try {
    await connection.call((client) => client.eval(UNDECLARED_SCRIPT, few.length, [...few, keys[DECLARED_MIN]!]));
  } catch (error) {
    // Any other error is left to the call that fails with it.
    if (error instanceof Error && /undeclared key/i.test(error.message)) return keys;
  }
  return few;
}

async function checkKeys(connection: Connection, base: string): Promise<void> {
  const found = await Promise.all(
    Object.entries(KEY_TYPES).map(async ([name, type]) => {
      const got = await connection.call((client) => client.type(base + name));
      return got === 'none' || got === type ? undefined : `${base}${name} holds a ${got}`;
    }),
  );
  const foreign = found.filter((line) => line !== undefined);
  if (foreign.length === 0) return;
  throw new StoreCallError(
    `Redis has foreign keys under our prefix: ${foreign.join(', ')}; remove them or choose another keyPrefix`,
    true,
    true,
  );
}

/** Rejects with a StoreCallError if the server may evict keys. */
export async function checkEviction(connection: Connection): Promise<void> {
  const policy = (await policyByConfig(connection)) ?? (await policyByInfo(connection));
  if (policy === undefined || policy === 'noeviction') return;
  throw new StoreCallError(
    `Redis may evict what it holds: its maxmemory-policy is ${policy}; set it to noeviction, or messages would be lost`,
    true,
    true,
  );
}

async function policyByConfig(connection: Connection): Promise<string | undefined> {
  try {
    const reply = await connection.call((client) => client.config('GET', 'maxmemory-policy'));
    return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : undefined;
  } catch {
    // Managed servers often forbid CONFIG.
    return undefined;
  }
}

async function policyByInfo(connection: Connection): Promise<string | undefined> {
  return infoField(await connection.call((client) => client.info('memory')), 'maxmemory_policy');
}

/** Returns whether the replication section of INFO is that of a replica. */
export const isReplica = (info: string): boolean => infoField(info, 'role') === 'slave';

/** Drops the connection and rejects with a StoreCallError if the server is a replica. A writable one loses writes at a resync. */
export async function checkRole(connection: Connection): Promise<void> {
  const info = await connection.call((client) => client.info('replication'));
  if (!isReplica(info)) return;
  connection.leave();
  throw new StoreCallError('this Redis is a read-only replica: connect to the primary', true);
}

export async function runIdOf(connection: Connection): Promise<string> {
  const info = await connection.call((client) => client.info('server'));
  return infoField(info, 'run_id') ?? '';
}
