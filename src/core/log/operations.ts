/**
 * The store protocol: every operation with its arguments and its answer. The state machine in this folder is its
 * definition; the Lua scripts of src/redis must agree with it, operation by operation (test/contract).
 *
 * All strings are wire-safe: keys and ids are escaped (core/ids), everything else is JSON text or a checked name, so none
 * holds a control character. All times are milliseconds by the store's clock; all durations are milliseconds.
 */

/** What each step of the protocol may refuse with. The same words are answered by the Lua scripts. */
export const REFUSALS = [
  'QUEUE_DEPTH_EXCEEDED', // a limit: `at` is the limit
  'WORKER_LIMIT_EXCEEDED', // a limit: `at` is the limit
  'ID_REUSED', // the caller's id is known with another payload
  'FENCED', // not the owner, or not with this fence; of a member: it was evicted, or has left
  'LOST', // the store holds another generation than the caller's, or none
  'UNKNOWN', // the store holds no such join, or not the heartbeat that it acknowledged: it lost acknowledged writes
  'OWNED', // another incarnation owns it: `at` names it, 0 for nobody
  'UNDECLARED', // the incarnation did not declare this type or message name
  'RUNNING', // something of this entity is running: `at` is its sequence
  'NOT_RUNNING', // this attempt of this message is not the one that runs
  'EMPTY', // nothing is pending
  'HELD', // the take-over hold ends at `at`
  'NOT_BEFORE', // the head's backoff ends at `at`
  'EXHAUSTED', // no attempt is left
  'MORE', // messages are pending
  'TERMINAL', // it has reached a terminal state
  'ABSENT', // no such message, letter or member
  'NOT_DEAD', // that incarnation is not dead
  'NOT_YET', // the letter may still come
  'NO_LETTER', // that attempt left no letter
  'TWIN', // a live incarnation of this serverId exists: `at` is it
  'SCHEMA', // the store holds another schema version: `at` is it
  'CLOSED', // a node found that the store had lost acknowledged writes, and closed it
  'OWNS', // it still owns `at` entities
  'NOT_LAPSED', // its lease runs until `at`
  'BEATING', // it has beaten since: `at` is its counter
  'STALE_BEAT', // a newer beat is stored
  'LED', // another incarnation leads: `at` is it
  'NOT_LOWEST', // a lower eligible id lives: `at` is its incarnation
  'TOO_EARLY', // eligible from `at` on
  'REPLAYED', // the letter was replayed already
  'NEEDS_FORCE', // the message may have had its effect: replay only by force
  'WITHIN_LIMITS', // the dead letter is past none of the limits given
] as const;
export type RefusalCode = (typeof REFUSALS)[number];

export interface Refusal {
  readonly ok: false;
  readonly code: RefusalCode;
  readonly at: number;
}

export const refuse = (code: RefusalCode, at = 0): Refusal => ({ ok: false, code, at });

export type TerminalState = 'completed' | 'failed' | 'interrupted' | 'withdrawn';

/** A message as its sender gives it. */
export interface NewMessage {
  /** Unique within its entity. */
  readonly id: string;
  /** The caller gave the id: it is remembered for `entryTtlMs` after the end. */
  readonly given: boolean;
  /** Digest of name and payload, whatever the order of its keys, if `given`; else ''. */
  readonly digest: string;
  readonly name: string;
  readonly payload: string;
  /** JSON object, or ''. */
  readonly headers: string;
  /** JSON array of the entity keys whose handlers wait for this message, outermost first; or ''. */
  readonly chain: string;
  /** Incarnation of the node that waits for the result; 0: nobody waits. */
  readonly waiter: number;
  /** Letter that this message replays, or ''. */
  readonly replayOf: string;
}

/** A message as the log holds it. */
export interface MessageRecord extends NewMessage {
  readonly seq: number;
  /** The attempt that runs or would run next, from 1. */
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
  // Field by field: a spread costs a microsecond, and this runs for every message.
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
  /** Failed, and no dead letter is to be made of it. Left out: one is made of what failed. */
  readonly noDeadLetter?: boolean;
}

export interface Send {
  readonly entity: string;
  readonly message: NewMessage;
  /** Limit of the target entity; 0: unbounded. */
  readonly depthMax: number;
}

// ---- operations of a session -------------------------------------------------------------------------------------

export interface AppendOp {
  readonly op: 'append';
  readonly entity: string;
  readonly message: NewMessage;
  readonly depthMax: number;
  /** Begin it in the same step if the appender owns the entity and it is the head. Decided when the batch leaves. */
  begin: boolean;
}
export interface AppendAnswer {
  readonly ok: true;
  readonly seq: number;
  /** Messages of the entity that are not terminal, this one included. */
  readonly depth: number;
  readonly owner: number;
  readonly begun: boolean;
  /** Set if the id was there: where that message stands. */
  readonly known: RecalledMessage | undefined;
}
export interface KnownMessage {
  /** 'purged': it failed or was interrupted, and its dead letter was purged. */
  readonly state: 'live' | TerminalState | 'purged';
  readonly result: string;
  readonly error: string;
}
export interface RecalledMessage extends KnownMessage {
  /** The reply had no room for result and error, which are '' then: `lookup` has them. */
  readonly cut: boolean;
}
/** UTF-8 bytes of results and errors of known messages in the reply to one batch; the last of them may exceed it. */
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
/** Begins the head. `have`: the sequence whose payload the owner holds already, 0 for none. */
export interface BeginOp {
  readonly op: 'begin';
  readonly entity: string;
  readonly fence: number;
  have: number;
}
/** The message that runs now; `message` is undefined if the owner has it, or if the reply had no room for it. */
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
  /** Size of the message that ends (`sizeOf`): as much as that its sends may take where the store has no memory. Default 0. */
  readonly frees?: number;
  next: number;
}
export interface FinishAnswer {
  readonly ok: true;
  readonly next: Begun | undefined;
  /** Per send: its sequence and the owner of its entity. */
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
  /** With messages pending too: they stay in the ready set for the next owner. */
  readonly handoff: boolean;
}
export interface TakeoverOp {
  readonly op: 'takeover';
  readonly entity: string;
  readonly incarnation: number;
}
export interface TakeoverAnswer {
  readonly ok: true;
  /** The message that was running, if any. */
  readonly interrupted:
    | {
        readonly seq: number;
        readonly id: string;
        readonly name: string;
        readonly waiter: number;
        readonly requeued: boolean;
        /** A dead letter was made of it. */
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
  /** The dead incarnation whose handler ended late, or never started. */
  readonly incarnation: number;
  readonly outcome: 'completed' | 'failed' | 'not-run';
  /** Result or error, JSON text. */
  readonly detail: string;
}
/** Forgets what retention no longer keeps, at most `max` entries. */
export interface ExpireOp {
  readonly op: 'expire';
  readonly max: number;
}
/**
 * For a store without memory: drops large results that are kept by an id of the caller for longer than `resultTtlMs`. The id
 * stays known. A page at a time: `from` is 0, or what the page before answered.
 */
export interface ShedOp {
  readonly op: 'shed';
  readonly from: number;
}
export interface ShedAnswer {
  readonly ok: true;
  /** Where the next page begins, 0 if there is none. */
  readonly goOn: number;
}
/** What stands in the place of the error where a completed message's result was dropped (`ShedOp`). */
export const DROPPED = 'dropped';
export interface CountAnswer {
  readonly ok: true;
  readonly count: number;
}
export interface Done {
  readonly ok: true;
}

export interface WithdrawAnswer extends Done {
  /** The owner, if the message waited for its next attempt: what comes behind it can begin now. 0 otherwise. */
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

/** What a message takes in the log besides its texts, in characters: no message is free of charge. */
export const MESSAGE_OVERHEAD = 256;

/** Size of a message in the log, in characters. An estimate; what matters is that it is the same for what ends and what comes. */
export const sizeOf = (m: Pick<NewMessage, 'payload' | 'headers' | 'chain'>): number =>
  MESSAGE_OVERHEAD + m.payload.length + m.headers.length + m.chain.length;

/**
 * Whether the log grows by this step, so that a store without memory has to refuse it. All other steps end messages or move
 * them, and pass there: they are what makes room. A finish grows the log if its sends are larger than the message that it ends.
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
  /** Of the join that opened the session. */
  readonly token: string;
  /** Number of the batch within the session, from 1. */
  readonly n: number;
  readonly ops: readonly SessionOp[];
  /**
   * What earlier copies of this number carried, if that was more: the store may have applied one of those. The count of the
   * answers tells which.
   */
  readonly former?: readonly SessionOp[];
}
export type BatchReply =
  | { readonly status: 'applied'; readonly answers: readonly Answer[] }
  /** The incarnation was evicted, or has left. `last`: its highest batch that was applied; undefined if that is not kept any more. */
  | { readonly status: 'fenced'; readonly last?: number | undefined }
  /** The store does not hold the join of this session: it lost acknowledged writes. */
  | { readonly status: 'unknown' }
  /** Older than what the session keeps. */
  | { readonly status: 'stale' }
  /** A number is missing: `last` is the highest one applied. */
  | { readonly status: 'gap'; readonly last: number }
  /** Another generation, or none: the store lost its data. */
  | { readonly status: 'lost' };

/** Version of the stored records; a store of another one is refused at join. */
export const SCHEMA_VERSION = 1;
