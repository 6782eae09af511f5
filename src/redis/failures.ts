import { StoreCallError } from '../ports/store.js';

/** Replies after which the script certainly changed nothing: it did not start, or its first write was refused. */
const REFUSALS = [
  ...['OOM', 'READONLY', 'MISCONF', 'NOREPLICAS', 'NOSCRIPT', 'LOADING', 'MASTERDOWN', 'BUSY', 'WRONGTYPE'],
  ...['NOPERM', 'NOAUTH', 'WRONGPASS', 'CLUSTERDOWN', 'MOVED', 'ASK', 'TRYAGAIN', 'CROSSSLOT', 'DENIED'],
];
/** Replies that only an operator can mend. */
const PERMANENT = ['WRONGTYPE', 'NOPERM', 'NOAUTH', 'WRONGPASS', 'DENIED'];

const ADVICE: Readonly<Record<string, string>> = {
  OOM: 'Redis is out of memory: raise maxmemory, or let the backlog drain',
  READONLY: 'this Redis is a read-only replica: connect to the primary',
  MISCONF: 'Redis cannot save its data and refuses writes: see its log',
  NOREPLICAS: 'Redis has too few replicas and refuses writes (min-replicas-to-write)',
  WRONGTYPE: 'a key under our prefix belongs to something else: remove it or choose another keyPrefix',
  NOPERM: 'the Redis user lacks a permission: it needs eval, evalsha, info, type and the commands of hashes and sorted sets',
  NOAUTH: 'Redis asks for a password: set redis.password',
  WRONGPASS: 'Redis refused the password: check redis.password',
};

// Redis 6 wraps what a command of a script said: "ERR Error running script (...): @user_script:12: -OOM command ...".
const SCRIPT_ERROR = /^ERR Error running script .*?[:\s]-?(OOM|READONLY|MISCONF|NOREPLICAS|WRONGTYPE)\b/;
// Before Redis 6 a wrong password was an ERR.
const OLD_PASSWORD_ERROR = /^ERR (invalid password|invalid username-password pair)/;

/**
 * A script met a command that its user may not run, in the words of Redis up to 7.0, and of later ones. Unlike what is said of a
 * script that may not start, this is no refusal: what it wrote before that stays.
 */
const SCRIPT_PERMISSION = /The user executing the script can't|ACL failure in script/;

/** An error of Lua in a script of ours, in the words of Redis 7 and of those before. */
const SCRIPT_BROKEN = /user_script:\s?\d+:/;

/** Somebody ended the script with SCRIPT KILL. */
const SCRIPT_KILLED = /Script killed by user/;

const isReply = (error: Error): boolean => error.name === 'ReplyError';

function wordOf(message: string): string {
  if (OLD_PASSWORD_ERROR.test(message)) return 'WRONGPASS';
  return SCRIPT_ERROR.exec(message)?.[1] ?? message.split(/[\s:]/, 1)[0]!;
}

/** Whether the server knows the script not, so that it has to be sent whole. */
export const isNoScript = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT');

/** Whether the server said that it takes no writes because another one is the primary. */
export const isDemoted = (error: unknown): boolean =>
  error instanceof Error && isReply(error) && ['READONLY', 'MASTERDOWN'].includes(wordOf(error.message));

/** Ours says that nothing was sent: the connection was down, and calls are never queued. */
const NOT_SENT = /enableOfflineQueue options is false/;

/** What a failed command means for the store's caller. */
export function storeCallErrorOf(cause: unknown): StoreCallError {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  if (error instanceof StoreCallError) return error;
  if (NOT_SENT.test(error.message)) return notConnected(error);
  // The client advises to set an option, which is ours.
  if (error.name === 'MaxRetriesPerRequestError')
    return new StoreCallError('the connection to Redis broke before the answer', false, false, { cause });
  if (!isReply(error)) return new StoreCallError(`the call to Redis got no answer: ${error.message}`, false, false, { cause });
  // Redis kills only a script that has written nothing.
  if (SCRIPT_KILLED.test(error.message))
    return new StoreCallError(`Redis refused the call: ${error.message}`, true, false, { cause });
  if (SCRIPT_PERMISSION.test(error.message))
    return new StoreCallError(`${ADVICE.NOPERM} (${error.message})`, false, true, { cause });
  const word = wordOf(error.message);
  if (!REFUSALS.includes(word)) {
    const kind = SCRIPT_BROKEN.test(error.message) ? 'broken' : '';
    return new StoreCallError(`Redis failed: ${error.message}`, false, false, { cause }, kind);
  }
  const advice = ADVICE[word];
  const message = advice === undefined ? `Redis refused the call: ${error.message}` : `${advice} (${error.message})`;
  return new StoreCallError(message, true, PERMANENT.includes(word), { cause }, word === 'OOM' ? 'full' : '');
}

/** `cause`: why the last attempt to connect failed, if it did. */
export function notConnected(cause?: Error): StoreCallError {
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return new StoreCallError(`there is no connection to Redis${why}`, true, false, cause === undefined ? undefined : { cause });
}
