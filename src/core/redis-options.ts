/** Rules on the options that a configuration may pass to the Redis client. Options that the library depends on are refused. */

const NOT_TWICE = 'a command that the client queues or sends again by itself could take effect twice or out of order';
const DEADLINE = 'each call has a deadline already: set `storeCallTimeoutMs`';
const SENTINEL = 'Redis Sentinel is not supported yet';
const REPLIES = 'it changes the form of the replies that the library reads';
const field = (name: string): string => `it has a field of its own: \`${name}\``;

/** Options of ioredis that the library sets or depends on, each with the reason why it is refused or the field to set instead. */
const OWNED_OPTIONS: Readonly<Record<string, string>> = {
  host: field('redis.host'),
  port: field('redis.port'),
  username: field('redis.username'),
  password: field('redis.password'),
  db: field('redis.db'),
  tls: field('redis.tls'),
  keyPrefix: field('keyPrefix'),
  lazyConnect: 'the start opens the connection, and reports why it cannot',
  enableReadyCheck: 'the start waits until the server is ready',
  connectTimeout: DEADLINE,
  commandTimeout: DEADLINE,
  retryStrategy: 'the library connects again by its own schedule',
  reconnectOnError: NOT_TWICE,
  maxRetriesPerRequest: NOT_TWICE,
  enableOfflineQueue: NOT_TWICE,
  offlineQueue: NOT_TWICE,
  commandQueue: NOT_TWICE,
  autoResendUnfulfilledCommands: NOT_TWICE,
  enableAutoPipelining: NOT_TWICE,
  autoPipeliningIgnoredCommands: NOT_TWICE,
  autoResubscribe: 'the library subscribes again by itself',
  stringNumbers: REPLIES,
  replyMapping: REPLIES,
  readOnly: 'the library writes',
  monitor: 'a connection that monitors takes no commands',
  sentinels: SENTINEL,
  name: SENTINEL,
  role: SENTINEL,
};

/** Returns why an option of ioredis cannot be given in `redis.options`; undefined if it can. */
export const whyOwned = (option: string): string | undefined =>
  Object.hasOwn(OWNED_OPTIONS, option) ? OWNED_OPTIONS[option] : undefined;

/** The only owned option that a URL may carry. */
const ALLOWED_IN_QUERY = 'db';

export const REDIS_URL_FORM = 'redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], or rediss:// with TLS';

const ENCODED: Readonly<Record<string, string>> = { '/': '%2F', '?': '%3F', '#': '%23', '%': '%25' };

const rawCharacter = (character: string): string =>
  `the user name or password contains a raw "${character}": write it as ${ENCODED[character]}, or give host, user name and password as fields of their own`;

/** Returns what is wrong with a Redis URL, without any secret part of it; undefined if the URL is correct. */
export function redisUrlFault(url: string): string | undefined {
  const rest = /^rediss?:\/\/(\S+)$/.exec(url)?.[1];
  if (rest === undefined) return 'it does not begin with redis:// or rediss://, or contains a space';
  // The credentials end at the last "@", because a password may contain "@". A URL parser ends the host at the first of "/?#", so
  // it would read a part of the password as the host or the port.
  const credentials = rest.slice(0, Math.max(0, rest.lastIndexOf('@')));
  const raw = /[/?#]/.exec(credentials)?.[0];
  if (raw !== undefined) return rawCharacter(raw);
  try {
    decodeURIComponent(credentials);
  } catch {
    return rawCharacter('%');
  }
  if (!URL.canParse(url)) return 'host or port is wrong; an IPv6 address stands in brackets';
  const { pathname, searchParams } = new URL(url);

  const isDatabase = /^\/?\d*$/.test(pathname) && searchParams.getAll('db').every((database) => /^\d+$/.test(database));
  if (!isDatabase) return 'the database behind the host is not a number';
  const owned = [...searchParams.keys()].find((key) => key !== ALLOWED_IN_QUERY && whyOwned(key) !== undefined);
  return owned === undefined ? undefined : `it sets the option "${owned}": ${whyOwned(owned)}`;
}

/** Returns whether a correct URL has credentials, and its database number; `db` is undefined if the URL names none. */
export function partsOfRedisUrl(url: string): { readonly hasCredentials: boolean; readonly db: number | undefined } {
  const { username, password, pathname, searchParams } = new URL(url);
  const database = pathname.replace(/^\//, '') || (searchParams.get('db') ?? '');
  return { hasCredentials: username !== '' || password !== '', db: database === '' ? undefined : Number(database) };
}

/** Returns host and port of a URL, without any secret part of it. */
export function addressOfRedisUrl(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname === '' ? 'localhost' : hostname}:${port === '' ? 6379 : port}`;
}
