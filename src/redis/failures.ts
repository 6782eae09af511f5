import { isError } from '../core/is-error.js';
import { StoreCallError } from '../ports/store.js';

/** Error replies that prove that the script changed nothing: it did not start, or its first write was refused. */
const REFUSALS = [
  ...['OOM', 'READONLY', 'MISCONF', 'NOREPLICAS', 'NOSCRIPT', 'LOADING', 'MASTERDOWN', 'BUSY', 'WRONGTYPE'],
  ...['NOPERM', 'NOAUTH', 'WRONGPASS', 'CLUSTERDOWN', 'MOVED', 'ASK', 'TRYAGAIN', 'CROSSSLOT', 'DENIED'],
];
/** Error replies that only an operator can fix. */
const PERMANENT = ['WRONGTYPE', 'NOPERM', 'NOAUTH', 'WRONGPASS', 'DENIED'];

const ADVICE: Readonly<Record<string, string>> = {
  OOM: 'Redis is out of memory: raise maxmemory, or let the backlog drain',
  READONLY: 'this Redis is a read-only replica: connect to the primary',
  MISCONF: 'Redis cannot save its data and refuses writes: see its log',
  NOREPLICAS: 'Redis has too few replicas and refuses writes (min-replicas-to-write)',
  WRONGTYPE: 'a key under our prefix belongs to something else: remove it or choose another keyPrefix',
  NOPERM:
    'the Redis user lacks a permission: it needs eval, evalsha, info, time, type and the commands of hashes and sorted sets',
  NOAUTH: 'Redis asks for a password: set redis.password',
  WRONGPASS:
    'Redis refused the user name or the password: check redis.password and redis.username, or what redis.url has of them',
};

// Redis 6 wraps the error of a command in a script: "ERR Error running script (...): @user_script:12: -OOM command ...".
const SCRIPT_ERROR = /^ERR Error running script .*?[:\s]-?(OOM|READONLY|MISCONF|NOREPLICAS|WRONGTYPE)\b/;
// Before Redis 6 a wrong password was reported as ERR.
const OLD_PASSWORD_ERROR = /^ERR (invalid password|invalid username-password pair)/;

/**
 * A script called a command that its user may not run; the texts of Redis up to 7.0 and of later versions. This is not a refusal:
 * the script has started, and its writes before that command stay. A script that may not start is reported with another text.
 */
const SCRIPT_PERMISSION = /The user executing the script can't|ACL failure in script/;

/** A Lua error in one of our scripts; the texts of Redis 7 and of earlier versions. */
const SCRIPT_BROKEN = /user_script:\s?\d+:/;

/** A user ended the script with SCRIPT KILL before its first write, or the server's Lua cannot compile it. */
const SCRIPT_NOT_RUN = /Script killed by user|Error compiling script/;
/** The names of the TLS settings, as the caller's user knows them. */
export interface TlsNames {
  readonly ca: string;
  readonly client: string;
  readonly off: string;
}

const TLS_FIELDS: TlsNames = {
  ca: '`redis.tls.ca`',
  client: '`redis.tls.cert` and `redis.tls.key`',
  off: 'leave out `redis.tls`',
};

const NOT_TRUSTED = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(GET_ISSUER|VERIFY)_\w+)$/;

function tlsVerdict(code: string, names: TlsNames): string | undefined {
  if (NOT_TRUSTED.test(code)) return `the certificate of Redis is of an authority that is not trusted: give it as ${names.ca}`;
  if (code === 'CERT_HAS_EXPIRED') return 'the certificate of Redis has expired: renew it';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'the certificate of Redis is for another host: use a host that it names';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return `Redis has no TLS at this port: ${names.off}, and write redis:// in a URL`;
  if (code === 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')
    return `Redis asks for the certificate of its client: give ${names.client}`;
  return undefined;
}

/** Returns why TLS ended a connection and what to do; undefined for any other error. */
export function tlsAdvice(error: Error, names: TlsNames = TLS_FIELDS): string | undefined {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const verdict = tlsVerdict(code, names);
  // The message of an OpenSSL alert is only a place in its source code, so the code is shown instead.
  return verdict === undefined ? undefined : `${verdict} (${code.startsWith('ERR_SSL_') ? code : message})`;
}

const isReply = (error: Error): boolean => error.name === 'ReplyError';

function wordOf(message: string): string {
  if (OLD_PASSWORD_ERROR.test(message)) return 'WRONGPASS';
  return SCRIPT_ERROR.exec(message)?.[1] ?? message.split(/[\s:]/, 1)[0]!;
}

/** Returns whether the server refused the user name or the password. */
export const isLoginRefusal = (error: Error): boolean =>
  isReply(error) && ['WRONGPASS', 'NOAUTH'].includes(wordOf(error.message));

/** Returns the server's message about a command or channel that the user may not use; undefined for any other failure. */
export function permissionLacking(error: unknown): string | undefined {
  const cause = error instanceof StoreCallError ? error.cause : error;
  return cause instanceof Error && isReply(cause) && wordOf(cause.message) === 'NOPERM' ? cause.message : undefined;
}

/** Returns the ACL command that gives a user the permissions of the Redis network. */
export const channelRule = (keyPrefix: string): string =>
  `ACL SETUSER <user> +publish +subscribe +unsubscribe +ping &${keyPrefix}:*`;

/** Returns whether the server does not know the script, so that the whole text has to be sent. */
export const isNoScript = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT');

/** Returns whether the server refused a write because it is not the primary (READONLY, MASTERDOWN). */
export const isDemoted = (error: unknown): boolean =>
  error instanceof Error && isReply(error) && ['READONLY', 'MASTERDOWN'].includes(wordOf(error.message));

/** The client error for a command that was not sent: the connection was down, and the client queues nothing. */
const NOT_SENT = /enableOfflineQueue options is false/;

/** Returns the reason as text. A host with several addresses fails with an AggregateError whose own message is empty. */
export function reasonIn(error: unknown): string {
  if (!isError(error)) return String(error);
  const { message, errors, code, name } = error as NodeJS.ErrnoException & { readonly errors?: unknown };
  const inner = Array.isArray(errors) ? errors.map(reasonIn).join(', ') : '';
  return message || inner || code || name;
}

/** Converts the error of a failed command to a StoreCallError. */
export function storeCallErrorOf(cause: unknown): StoreCallError {
  const error = isError(cause) ? cause : new Error(String(cause));
  if (error instanceof StoreCallError) return error;
  if (NOT_SENT.test(error.message)) return notConnected(error);
  const advice = tlsAdvice(error);
  if (advice !== undefined) return new StoreCallError(advice, true, true, { cause });
  // The client's own text advises to set an option that the library controls.
  if (error.name === 'MaxRetriesPerRequestError')
    return new StoreCallError('the connection to Redis broke before the answer', false, false, { cause });
  if (!isReply(error)) return new StoreCallError(`the call to Redis got no answer: ${reasonIn(error)}`, false, false, { cause });
  if (SCRIPT_NOT_RUN.test(error.message))
    return new StoreCallError(`Redis refused the call: ${error.message}`, true, false, { cause });
  if (SCRIPT_PERMISSION.test(error.message))
    return new StoreCallError(`${ADVICE.NOPERM} (${error.message})`, false, true, { cause });
  const word = wordOf(error.message);
  if (!REFUSALS.includes(word)) {
    const kind = SCRIPT_BROKEN.test(error.message) ? 'broken' : '';
    return new StoreCallError(`Redis failed: ${error.message}`, false, false, { cause }, kind);
  }
  const known = ADVICE[word];
  const message = known === undefined ? `Redis refused the call: ${error.message}` : `${known} (${error.message})`;
  return new StoreCallError(message, true, PERMANENT.includes(word), { cause }, word === 'OOM' ? 'full' : '');
}

/** `cause`: the error of the last attempt to connect, if there is one. */
export function notConnected(cause?: Error): StoreCallError {
  const why = cause === undefined ? '' : `: ${reasonIn(cause)}`;
  return new StoreCallError(`there is no connection to Redis${why}`, true, false, cause === undefined ? undefined : { cause });
}
