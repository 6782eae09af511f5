/**
 * The store protocol: every operation with its arguments and its answer. The state machine in this folder defines the protocol.
 * The Lua scripts of src/redis must agree with it, operation by operation (test/contract).
 *
 * All strings are wire-safe: keys and ids are escaped (core/ids), everything else is JSON text or a checked name. So no string
 * holds a control character. All times are milliseconds of the store's clock. All durations are milliseconds.
 */

/** The codes with which a step of the protocol may refuse. The Lua scripts return the same codes. */
export const REFUSALS = [
  'QUEUE_DEPTH_EXCEEDED', // a limit: `at` is the limit
  'WORKER_LIMIT_EXCEEDED', // a limit: `at` is the limit
  'ID_REUSED', // the caller's id is known with another payload
  'FENCED', // entity: another owner or fence; member: it was evicted, has left, or its lease is over (lead)
  'LOST', // the store holds another generation than the caller's, or none
  'UNKNOWN', // the store lost acknowledged writes: it lacks this join, or a heartbeat or batch that it acknowledged
  'OWNED', // another incarnation owns the entity: `at` is that incarnation, 0 if there is no owner
  'UNDECLARED', // the incarnation did not declare this type or message name
  'RUNNING', // a message of this entity is running: `at` is its sequence
  'NOT_RUNNING', // this attempt of this message is not the one that runs
  'EMPTY', // no message is pending
  'HELD', // the take-over hold ends at `at`
  'NOT_BEFORE', // the head's backoff ends at `at`
  'EXHAUSTED', // no attempt is left
  'MORE', // `at` messages are pending
  'TERMINAL', // the message has reached a terminal state
  'ABSENT', // no such message, dead letter, member or entity
  'NOT_DEAD', // that incarnation is not dead
  'NOT_YET', // the dead letter of that attempt may still be added
  'NO_LETTER', // that attempt has no dead letter
  'DUPLICATE_SERVER_ID', // a live incarnation has this serverId: `at` is that incarnation
  'SCHEMA', // the store holds another schema version: `at` is that version
  'CLOSED', // a node found that the store had lost acknowledged writes, and closed the store
  'OWNS', // the member still owns `at` entities
  'NOT_LAPSED', // the member's lease runs until `at`
  'BEATING', // the member has sent a heartbeat since: `at` is the number of its last one
  'STALE_HEARTBEAT', // a newer heartbeat is stored: `at` is its number
  'LED', // another incarnation is master: `at` is that incarnation
  'NOT_LOWEST', // another member is to become master: `at` is its incarnation, 0 if there is none
  'TOO_EARLY', // the caller may become master from `at` on
  'REPLAYED', // the dead letter was replayed already
  'NEEDS_FORCE', // the message may have had its effect: replay it only with `force`
  'WITHIN_LIMITS', // the dead letter exceeds none of the given limits
] as const;
export type RefusalCode = (typeof REFUSALS)[number];

export interface Refusal {
  readonly ok: false;
  readonly code: RefusalCode;
  readonly at: number;
}

export const refuse = (code: RefusalCode, at = 0): Refusal => ({ ok: false, code, at });

export type TerminalState = 'completed' | 'failed' | 'interrupted' | 'withdrawn';

/** A message as the sender passes it to the log. */
export interface NewMessage {
  /** Unique within its entity. */
  readonly id: string;
  /** The caller gave the id. The store then remembers it for `entryTtlMs` after the message ends. */
  readonly given: boolean;
  /** If `given`, a digest of name and payload that does not depend on the order of the payload's keys; else ''. */
  readonly digest: string;
  readonly name: string;
  readonly payload: string;
  /** JSON object, or ''. */
  readonly headers: string;
  /** JSON array of the keys of the entities whose handlers wait for this message, outermost first; or ''. */
  readonly chain: string;
  /** Incarnation of the node that waits for the result; 0 if no node waits. */
  readonly waiter: number;
  /** Id of the dead letter that this message replays, or ''. */
  readonly replayOf: string;
}

/** A message as the log stores it. */
export interface MessageRecord extends NewMessage {
  readonly seq: number;
  /** Number of the attempt that runs, or that runs next; from 1. */
  readonly attempt: number;
  readonly notBeforeMs: number;
  readonly enqueuedAtMs: number;
  /** JSON of the last attempt's error, or ''. */
  readonly error: string;
}

export const recordOf = (
  m: NewMessage,
  seq: number,
  attempt: number,
  notBeforeMs: number,
  enqueuedAtMs: number,
  error: string,
): MessageRecord => ({
  // Copies field by field: this runs for every message, and a spread costs a microsecond more.
  id: m.id,
  given: m.given,
  digest: m.digest,
  name: m.name,
  payload: m.payload,
  headers: m.headers,
  chain: m.chain,
  waiter: m.waiter,
  replayOf: m.replayOf,
  seq,
  attempt,
  notBeforeMs,
  enqueuedAtMs,
  error,
});

export interface Outcome {
  readonly state: 'completed' | 'failed';
  /** JSON text; '' for undefined. */
  readonly result: string;
  /** JSON text; '' if completed. */
  readonly error: string;
  /** The message failed, and the store adds no dead letter for it. Left out: the store adds one for a failed message. */
  readonly noDeadLetter?: boolean;
}

export interface Send {
  readonly entity: string;
  readonly message: NewMessage;
  /** Limit on the live messages of the target entity; 0: unbounded. */
  readonly depthMax: number;
}

// ---- operations of a session -------------------------------------------------------------------------------------

export interface AppendOp {
  readonly op: 'append';
  readonly entity: string;
  readonly message: NewMessage;
  readonly depthMax: number;
  /** Begin the message in the same step if the appender owns the entity and it is the head. Set when the batch leaves. */
  begin: boolean;
}
export interface AppendAnswer {
  readonly ok: true;
  readonly seq: number;
  /** Messages of the entity that are not terminal, including this one. */
  readonly depth: number;
  readonly owner: number;
  readonly begun: boolean;
  /** State of the message that has this id already; undefined if there was none. Nothing was appended if it is set. */
  readonly known: RecalledMessage | undefined;
}
export interface KnownMessage {
  /** 'purged': the message failed or was interrupted, and its dead letter was purged. */
  readonly state: 'live' | TerminalState | 'purged';
  readonly result: string;
  readonly error: string;
}
export interface RecalledMessage extends KnownMessage {
  /** The reply had no room for `result` and `error`: both are ''. `lookup` returns them. */
  readonly cut: boolean;
}
/** Maximum UTF-8 bytes of results and errors of known messages in the reply to one batch. The last one may exceed the limit. */
export const RECALLED_BYTES_MAX = 64 * 1024;
export interface ClaimOp {
  readonly op: 'claim';
  readonly entity: string;
}
export interface ClaimAnswer {
  readonly ok: true;
  readonly fence: number;
  readonly holdUntilMs: number;
  readonly pending: number;
}
/** Begins the head. `have`: the sequence whose payload the owner has already, 0 for none. */
export interface BeginOp {
  readonly op: 'begin';
  readonly entity: string;
  readonly fence: number;
  have: number;
}
/** The message that runs now. `message` is undefined if the owner has it already, or if the reply had no room for it. */
export interface Begun {
  readonly seq: number;
  readonly attempt: number;
  readonly message: MessageRecord | undefined;
}
export interface BeginAnswer extends Begun {
  readonly ok: true;
}
/** Ends the running attempt, appends what its handler sent, and begins the head if `next` (as `have` of begin) is >= 0. */
export interface FinishOp {
  readonly op: 'finish';
  readonly entity: string;
  readonly fence: number;
  readonly seq: number;
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly sends: readonly Send[];
  /** Size of the message that ends (`sizeOf`). In a store that is out of memory its sends may take as much. Default 0. */
  readonly frees?: number;
  next: number;
}
export interface FinishAnswer {
  readonly ok: true;
  readonly next: Begun | undefined;
  /** For each send, its sequence and the owner of its entity. */
  readonly sent: readonly { readonly seq: number; readonly owner: number }[];
}
export interface RetryOp {
  readonly op: 'retry';
  readonly entity: string;
  readonly fence: number;
  readonly seq: number;
  readonly attempt: number;
  readonly delayMs: number;
  readonly error: string;
}
export interface RetryAnswer {
  readonly ok: true;
  readonly notBeforeMs: number;
}
export interface WithdrawOp {
  readonly op: 'withdraw';
  readonly entity: string;
  readonly id: string;
  readonly seq: number;
}
export interface ReleaseOp {
  readonly op: 'release';
  readonly entity: string;
  readonly fence: number;
  /** Releases the entity even if messages are pending. They stay in the ready set for the next owner. */
  readonly handoff: boolean;
}
export interface TakeoverOp {
  readonly op: 'takeover';
  readonly entity: string;
  readonly incarnation: number;
}
export interface TakeoverAnswer {
  readonly ok: true;
  /** The message that was running; undefined if there was none. */
  readonly interrupted:
    | {
        readonly seq: number;
        readonly id: string;
        readonly name: string;
        readonly waiter: number;
        readonly requeued: boolean;
        /** The store added a dead letter for it. */
        readonly deadLetter: boolean;
      }
    | undefined;
  readonly holdUntilMs: number;
}
export interface LateOp {
  readonly op: 'late';
  readonly entity: string;
  readonly seq: number;
  readonly attempt: number;
  /** The evicted incarnation whose handler ended late, or never started. */
  readonly incarnation: number;
  readonly outcome: 'completed' | 'failed' | 'not-run';
  /** Result or error, JSON text. */
  readonly detail: string;
}
/** Deletes at most `max` entries whose retention is over. */
export interface ExpireOp {
  readonly op: 'expire';
  readonly max: number;
}
/**
 * Drops large results in a store that is out of memory: those of messages with an id of the caller that ended more than
 * `resultTtlMs` ago. The ids stay known. Works page by page: `from` is 0 for the first page, then `goOn` of the previous one.
 */
export interface ShedOp {
  readonly op: 'shed';
  readonly from: number;
}
export interface ShedAnswer {
  readonly ok: true;
  /** `from` of the next page; 0 if there is none. */
  readonly goOn: number;
}
/** The `error` of a completed message whose result was dropped (`ShedOp`). */
export const DROPPED = 'dropped';
export interface CountAnswer {
  readonly ok: true;
  readonly count: number;
}
export interface Done {
  readonly ok: true;
}

export interface WithdrawAnswer extends Done {
  /** The owner, if the message waited for its next attempt: the message behind it can begin now. Otherwise 0. */
  readonly owner: number;
}

export interface AnswerOf {
  append: AppendAnswer | (Refusal & { readonly known?: undefined });
  claim: ClaimAnswer | Refusal;
  begin: BeginAnswer | Refusal;
  finish: FinishAnswer | Refusal;
  retry: RetryAnswer | Refusal;
  withdraw: WithdrawAnswer | Refusal;
  release: Done | Refusal;
  takeover: TakeoverAnswer | Refusal;
  late: Done | Refusal;
  expire: CountAnswer;
  shed: ShedAnswer;
}
export type SessionOp =
  | AppendOp
  | ClaimOp
  | BeginOp
  | FinishOp
  | RetryOp
  | WithdrawOp
  | ReleaseOp
  | TakeoverOp
  | LateOp
  | ExpireOp
  | ShedOp;
export type Answer = AnswerOf[keyof AnswerOf];

/** Size of a message in the log besides its texts, in characters. So a message without payload counts too. */
export const MESSAGE_OVERHEAD = 256;

/** Returns the estimated size of a message in the log, in characters. The estimate is the same at its append and at its end. */
export const sizeOf = (m: Pick<NewMessage, 'payload' | 'headers' | 'chain'>): number =>
  MESSAGE_OVERHEAD + m.payload.length + m.headers.length + m.chain.length;

/**
 * Returns whether this step makes the log grow. A store that is out of memory refuses such a step. It accepts all other steps:
 * they end or move messages, which makes room. A finish makes the log grow if its sends are larger than the message that it ends.
 */
export function growsLog(op: SessionOp): boolean {
  if (op.op === 'append') return true;
  return op.op === 'finish' && op.sends.length > 0 && sizeOfSends(op) > (op.frees ?? 0);
}

export function sizeOfSends({ sends }: FinishOp): number {
  let size = 0;
  for (const { message } of sends) size += sizeOf(message);
  return size;
}

// ---- a batch -----------------------------------------------------------------------------------------------------

export interface Batch {
  readonly generation: string;
  readonly incarnation: number;
  /** Token of the join that opened the session. */
  readonly token: string;
  /** Number of the batch within the session, from 1. */
  readonly n: number;
  readonly ops: readonly SessionOp[];
  /**
   * Operations of earlier copies of this number, if those carried more. The store may have applied one of those copies. The
   * number of answers shows which one.
   */
  readonly former?: readonly SessionOp[];
}
export type BatchReply =
  | { readonly status: 'applied'; readonly answers: readonly Answer[] }
  /** The incarnation was evicted, or has left. `last`: number of its last applied batch; undefined if the store forgot it. */
  | { readonly status: 'fenced'; readonly last?: number | undefined }
  /** The store lost acknowledged writes: it does not hold the join of this session. */
  | { readonly status: 'unknown' }
  /** The batch is older than the two whose answers the session keeps. */
  | { readonly status: 'stale' }
  /** A batch before this one is missing. `last`: number of the last applied batch. */
  | { readonly status: 'gap'; readonly last: number }
  /** The store lost its data: it holds another generation, or none. */
  | { readonly status: 'lost' };

/** Version of the stored records. A join is refused if the store holds another version. */
export const SCHEMA_VERSION = 1;
