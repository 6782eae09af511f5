/** Connects to a store without joining the cluster: no call here creates a member. */
import { Redis } from 'ioredis';
import { CLOSED } from '../core/log/membership.js';
import { SCHEMA_VERSION } from '../core/log/operations.js';
import { addressOfRedisUrl } from '../core/redis-options.js';
import { StoreCallError } from '../ports/store.js';
import type { RedisClient } from '../redis/connection.js';
import { reasonIn, storeCallErrorOf, type TlsNames, tlsAdvice } from '../redis/failures.js';
import { RedisStore } from '../redis/store.js';
import { SystemClock } from '../system/clock.js';
import { CommandError, shellWord } from './terminal.js';

export interface Target {
  readonly url: string;
  readonly prefix: string;
  /** Options of `tls.connect`. Undefined: the URL decides. */
  readonly tls?: TlsFiles;
}

/** Contents of the files that the --tls-* options name. */
export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface Connected {
  readonly store: RedisStore;
  readonly clock: SystemClock;
  /** True if the store lost acknowledged writes. The node that detected the loss closed the store for all nodes. */
  readonly isStoreClosed: boolean;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 3000;
const CALL_TIMEOUT_MS = 5000;
/** Time limit of the search for other prefixes, which scans all key names. */
const SEARCH_MS_MAX = 3000;
const PREFIXES_SHOWN_MAX = 20;
const META = ':{0}:meta';

/** Returns a connected client that does not reconnect. Rejects with a CommandError. */
export async function openClient({ url, tls }: Target): Promise<Redis> {
  const client = new Redis(url, {
    ...{ lazyConnect: true, connectTimeout: CONNECT_TIMEOUT_MS, commandTimeout: CALL_TIMEOUT_MS },
    ...{ maxRetriesPerRequest: 0, disableClientInfo: true, retryStrategy: () => null },
    ...(tls !== undefined && { tls }),
  });
  let why: Error | undefined;
  client.on('error', (error: Error) => {
    why = error;
  });
  try {
    await client.connect();
    await client.ping();
    // If SELECT fails, ioredis only emits an error, and the next commands would run in database 0.
    if (why !== undefined) throw why;
    return client;
  } catch (error) {
    client.disconnect();
    throw new CommandError(`cannot use Redis at ${addressOfRedisUrl(url)}: ${reasonOf(why ?? (error as Error))}`);
  }
}

/** Resolves with the reply of Redis. An error reply or a missing reply becomes a CommandError, which is printed as one line. */
export async function answerOf<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    throw error instanceof CommandError ? error : new CommandError(storeCallErrorOf(error).message);
  }
}

const TLS_OPTIONS: TlsNames = { ca: '--tls-ca', client: '--tls-cert and --tls-key', off: 'leave out --tls-ca' };

function reasonOf(error: Error): string {
  if (/^NOAUTH/.test(error.message)) return 'it asks for a password: give it in the URL, redis://:PASSWORD@HOST';
  const tls = tlsAdvice(error, TLS_OPTIONS);
  if (tls !== undefined) return tls;
  if (/^WRONGPASS/.test(error.message)) return 'it refused the user name or the password';
  return reasonIn(error);
}

/**
 * Opens the store under the prefix, for reads or also for writes. If no store has this prefix, rejects with a CommandError that
 * lists the existing prefixes.
 */
export async function connect(target: Target, writes = true): Promise<Connected> {
  const { prefix } = target;
  const client = await openClient(target);
  try {
    const isStoreClosed = (await generationOf(client, prefix)) === CLOSED;
    // The store has its own deadlines, which allow a large page to arrive as long as bytes come in.
    delete client.options.commandTimeout;
    const clock = new SystemClock();
    const store = new RedisStore({
      ...{ connection: () => client as unknown as RedisClient, keyPrefix: prefix, storeCallTimeoutMs: CALL_TIMEOUT_MS, clock },
      writes,
    });
    await store.open();
    return { store, clock, isStoreClosed, close: () => store.close() };
  } catch (error) {
    client.disconnect();
    throw error instanceof StoreCallError ? new CommandError(error.message) : error;
  }
}

/** Explains to a user what a closed store means and how to reopen it. */
export const closedStoreText = (prefix: string): string =>
  `the store is shut: it lost acknowledged writes. What it holds may be from before that; a dead letter that was replayed may stand there as one that was not. Find out what is missing, reopen it (redis-cli HSET ${shellWord(prefix + META)} generation reopened-1), and restart the services`;

/** Returns the generation of the store under the prefix. Rejects with a CommandError if there is no store. */
async function generationOf(client: Redis, prefix: string): Promise<string> {
  const reply = client.hmget(prefix + META, 'generation', 'schema').catch((error: Error) => {
    if (!error.message.startsWith('WRONGTYPE')) throw error;
    throw new CommandError(`${prefix}${META} is none of our keys: ${error.message}`);
  });
  const [generation, schema] = await answerOf(reply);
  if (generation === null || generation === undefined) throw new CommandError(await nothingThere(client, prefix));
  if (schema === String(SCHEMA_VERSION)) return generation;
  throw new CommandError(
    `prefix "${prefix}" holds records of schema version ${schema}, this version reads ${SCHEMA_VERSION}: use the version that wrote them`,
  );
}

async function nothingThere(client: Redis, prefix: string): Promise<string> {
  const nothing = `nothing is under prefix ${JSON.stringify(prefix)}`;
  const prefixes = await answerOf(prefixesOf(client)).catch((error: CommandError) => error);
  if (prefixes instanceof CommandError) return `${nothing}; other prefixes could not be looked for: ${prefixes.message}`;
  const { found, isComplete } = prefixes;
  const names = found.map((name) => JSON.stringify(name)).join(', ');
  const more = isComplete ? '' : ' (there are too many keys to look at all)';
  const there =
    found.length === 0 ? `no other prefix of ours is there either${more}` : `prefixes that are there: ${names}${more}`;
  return `${nothing}; ${there}`;
}

async function prefixesOf(client: Redis): Promise<{ found: readonly string[]; isComplete: boolean }> {
  const found = new Set<string>();
  const untilMs = performance.now() + SEARCH_MS_MAX;
  let cursor = '0';
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', `*${META}`, 'COUNT', 1000);
    for (const key of keys) found.add(key.slice(0, -META.length));
    cursor = next;
  } while (cursor !== '0' && performance.now() < untilMs && found.size < PREFIXES_SHOWN_MAX);
  return { found: [...found].sort(), isComplete: cursor === '0' };
}
