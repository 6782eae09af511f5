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

const infoField = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]?.trim();

/** Rejects with a StoreCallError that says what is wrong and what to do. */
export async function checkServer(connection: Connection, base: string): Promise<void> {
  await Promise.all([checkKeys(connection, base), checkEviction(connection), checkRole(connection)]);
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

async function checkEviction(connection: Connection): Promise<void> {
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

async function checkRole(connection: Connection): Promise<void> {
  const role = infoField(await connection.call((client) => client.info('replication')), 'role');
  if (role === 'slave') throw new StoreCallError('this Redis is a read-only replica: connect to the primary', true);
}

export async function runIdOf(connection: Connection): Promise<string> {
  const info = await connection.call((client) => client.info('server'));
  return infoField(info, 'run_id') ?? '';
}
