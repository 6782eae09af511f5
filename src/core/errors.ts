import { brandForCopies } from './shared.js';

/**
 * The error table: the only source of docs/errors.md and of the codes of thrown errors. Refusals of the store protocol that reach
 * a caller have their codes here too.
 *
 * `definite` follows Maelstrom's errors.edn: true means that the message was certainly not accepted or certainly did not run, so
 * sending it again cannot make it run twice. `retryable` means that the same call may succeed later unchanged.
 */
interface ErrorEntry {
  readonly retryable: boolean;
  readonly definite: boolean;
  readonly meaning: string;
  readonly action: string;
}

const entry = (retryable: boolean, definite: boolean, meaning: string, action: string): ErrorEntry => ({
  retryable,
  definite,
  meaning,
  action,
});

export const ERRORS = {
  QUEUE_DEPTH_EXCEEDED: entry(
    true,
    true,
    'A queue is at its limit: `workerMaxQueueDepth` of the entity or `maxTotalQueueDepth` of the whole prefix.',
    'Slow down and send again later, or raise the limit that `details.limit` names.',
  ),
  WORKER_LIMIT_EXCEEDED: entry(
    true,
    true,
    'As many entities are active as `maxTotalWorkers` of all live nodes allows; entities that are active already still accept.',
    'Send again later, raise `maxTotalWorkers`, or add a node.',
  ),
  STORE_UNAVAILABLE: entry(
    true,
    true,
    'The store could not be reached or refused the write, and the message was certainly not logged.',
    'Check the store; `details.cause` says what it answered. Send again later.',
  ),
  NOT_MASTER: entry(true, true, 'The node asked is not the master of its service group.', 'Nothing: the library asks again.'),
  MASTER_REBUILDING: entry(
    true,
    true,
    'The master is new and still rebuilds its assignment table.',
    'Nothing: the message is logged and placed when the table is ready.',
  ),
  NO_MASTER: entry(true, true, 'No master is known right now.', 'Nothing: the message is logged and placed when one is elected.'),
  STALE_EPOCH: entry(true, true, 'The command came from a master of an older epoch.', 'Nothing: the older master steps down.'),
  FENCED: entry(
    true,
    true,
    'The incarnation that asked is dead or no longer owns the entity; this step changed nothing.',
    'Nothing: the node rejoins as a new incarnation.',
  ),
  MAX_HOPS_EXCEEDED: entry(
    true,
    true,
    'A petition was forwarded more often than `maxForwardHops`.',
    'Nothing: the message is logged and placed later.',
  ),
  CIRCUIT_OPEN: entry(
    true,
    true,
    'The circuit breaker to that peer is open.',
    'Nothing: the message is logged and delivered when the peer answers.',
  ),
  PETITION_LIMIT_EXCEEDED: entry(
    true,
    true,
    'The master already answers `maxConcurrentPetitions` petitions.',
    'Nothing: the message is logged and placed later.',
  ),
  REPLY_TIMEOUT: entry(
    false,
    false,
    'No result arrived in time. The message is logged: it may have run, run now, or run later.',
    "Look the result up with the same `id`, or pass `onTimeout: 'withdraw'`; after a successful withdraw the error is definite.",
  ),
  INTERRUPTED: entry(
    false,
    false,
    'The node that ran the handler died or was cut off in the middle; the handler may have had effects.',
    'A query can be asked again. See the dead letter of a command; replay it only if the effects are known to be missing.',
  ),
  HANDLER_FAILED: entry(
    false,
    false,
    "The handler ran and threw: on its last attempt, or a refusal that is not retried. `details.error` carries what it threw, with code, status, details, fields and causes; `cause` is that as an error, with the handler's stack.",
    'Handle it as the failure of the command. A dead letter keeps the message, unless the error was a refusal (`TerminalError`, `isTerminal`) or the message a query.',
  ),
  UNKNOWN_ENTITY_TYPE: entry(
    false,
    true,
    'No handler for this entity type is known.',
    'Check `@EntityType` and that the module with the handler is imported.',
  ),
  UNKNOWN_MESSAGE: entry(
    false,
    true,
    'The entity type is known, but nobody handles a message of this name.',
    'Check the name; `details.nearest` is the most similar one that is handled.',
  ),
  INVALID_ENTITY_ID: entry(
    false,
    true,
    'The entity id is missing, empty, too long, not well-formed, or not a string, number or bigint.',
    'Pass a well-formed string of 1 to 1024 UTF-8 bytes.',
  ),
  SCHEMA_VIOLATION: entry(
    false,
    true,
    'The payload does not match its schema or is not JSON, at the call or where it runs; `definite: false` if a handler may have run: for a reply, or after a retry.',
    'Fix the field that `details.path` names.',
  ),
  CONFIG_INVALID: entry(
    false,
    true,
    'The configuration, a decorator or an option is wrong.',
    'Fix every line of the message; each names field, value and what is allowed.',
  ),
  SHUTTING_DOWN: entry(
    true,
    true,
    'The node has not started yet, is stopping, or has stopped.',
    'Send it to another node, or after the start.',
  ),
  OUTCOME_UNKNOWN: entry(
    false,
    false,
    'The store did not answer in time, or the node stopped before the end: the message may be logged and may run.',
    'Send it again only with the `id` that you gave the first time: it then counts once. Without one, look at what the message would have changed.',
  ),
  CALL_CYCLE: entry(
    false,
    true,
    'The handler would wait for an entity that waits for it.',
    'Use `EntityContext.current().enqueue`, which does not wait.',
  ),
  PAYLOAD_TOO_LARGE: entry(
    false,
    true,
    'Payload or headers exceed `maxPayloadBytes`, or all that a handler sends exceeds what one step may carry.',
    'Store the data elsewhere and send a reference, or raise the limit that the message names.',
  ),
  STORE_LOST: entry(
    false,
    false,
    'The store lost acknowledged writes, or was replaced; this node has closed and starts nothing.',
    'Find out what the store lost, reopen it (docs/guide.md in this package), then restart the group.',
  ),
  WITHDRAWN: entry(
    false,
    true,
    'The message was taken back before it began.',
    'It did not run and will not. If it is to run after all, send it under another id.',
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code);

export interface ErrorOptions {
  /** Overrides `definite` of the table for a code with both cases (a withdrawn timeout, the schema of a reply). */
  readonly definite?: boolean;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** A failure that the library reports to its user. It is an operating error: handle it by `code`, never by its text. */
export class AtomicQueuesError extends Error {
  override readonly name = 'AtomicQueuesError';
  readonly retryable: boolean;
  readonly definite: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: ErrorOptions = {},
  ) {
    super(`[${code}] ${message}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryable = ERRORS[code].retryable;
    this.definite = options.definite ?? ERRORS[code].definite;
    this.details = options.details ?? {};
  }

  toJSON(): Record<string, unknown> {
    const { code, message, retryable, definite, details } = this;
    return { code, message, retryable, definite, details };
  }
}

brandForCopies(AtomicQueuesError, 'error');

/** A broken invariant of the library. It is always a defect, so no code handles it. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}
