/** What is checked of a Redis server before it is trusted with messages. */
import { StoreCallError } from '../ports/store.js';
import type { Connection } from './connection.js';

/** The keys of a partition, without their prefix, and their types: see prelude.lua. */
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

/** How many of these, from the first on, the scripts take as KEYS. */
const DECLARED_MIN = 3;

/** The commands by which the scripts write to a key of that type. */
export const WRITE_COMMANDS = { hash: ['HSET', 'HDEL', 'HINCRBY'], zset: ['ZADD', 'ZREM'] } as const;

/** The commands by which the scripts read a key of that type. Duties of the background use some of them alone, long after the start. */
export const READ_COMMANDS = {
  hash: ['HEXISTS', 'HGET', 'HGETALL', 'HLEN', 'HMGET', 'HSCAN', 'HSTRLEN'],
  zset: ['ZCARD', 'ZCOUNT', 'ZRANGE', 'ZRANGEBYSCORE', 'ZRANK', 'ZSCORE'],
} as const;

/**
 * Which of its arguments, each a command and a key, the user may not run, be it that the server has no such command. One before
 * 7.0 cannot be asked, and ioredis-mock neither; to provoke them by writes that must fail is not worth it: the former is
 * maintained no more, and the latter, which has no users, would write.
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

/** Rejects with a StoreCallError that says what is wrong and what to do. `writes`: whether more than reads will be done. */
export async function checkServer(connection: Connection, base: string, writes: boolean): Promise<void> {
  await Promise.all([checkKeys(connection, base), checkEviction(connection), checkRole(connection)]);
  if (writes) await checkCommands(connection, base);
}

/**
 * A script that may run only some of its commands ends in the middle, and what it wrote stays: among that the number of its
 * batch, which counts as applied then.
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
 * The keys to declare with each call: the first three, from which the scripts derive the others, or all where the server lets a
 * script touch only what was declared, as Dragonfly does.
 */
export async function keysToDeclare(connection: Connection, base: string): Promise<readonly string[]> {
  const keys = Object.keys(KEY_TYPES).map((name) => base + name);
  const few = keys.slice(0, DECLARED_MIN);
  try {
    await connection.call((client) => client.eval(UNDECLARED_SCRIPT, few.length, [...few, keys[DECLARED_MIN]!]));
  } catch (error) {
    // Whatever else it may be is said by the call that needs it.
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

/** Rejects with a StoreCallError if the server may delete what it holds. */
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

/** By what INFO says of the replication. */
export const isReplica = (info: string): boolean => infoField(info, 'role') === 'slave';

/** Leaves a server that is a replica, also one that takes writes, which its next resync drops. Rejects with a StoreCallError then. */
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
