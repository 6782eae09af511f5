/** Operations outside of sessions. Each is idempotent by its arguments. */
import type { CountAnswer, Done, KnownMessage, MessageRecord, Refusal } from './operations.js';

export interface Settings {
  readonly leaseTtlMs: number;
  readonly takeoverHoldMs: number;
  readonly entryTtlMs: number;
  readonly resultTtlMs: number;
  /** `maxTotalQueueDepth`; 0: unbounded. */
  readonly depthMax: number;
  readonly leaderTtlMs: number;
  readonly leaderDebounceMs: number;
}
/** How an incarnation handles an entity type. The contract never changes during the life of that incarnation. */
export interface Contract {
  readonly type: string;
  readonly maxAttempts: number;
  readonly onInterrupt: 'dead-letter' | 'retry';
  readonly names: readonly string[];
  /** Those of `names` that change nothing. The store adds no dead letter if such a message is interrupted. Left out: none. */
  readonly queries?: readonly string[];
  /** `workerMaxQueueDepth`, for senders that do not handle the type themselves; 0: unbounded. */
  readonly depthMax: number;
  /** Digest of the schemas that the member published for this type. Left out: it published none. */
  readonly version?: string;
}
/** Schemas that a member publishes for the messages of an entity type, as JSON text. The store does not parse the text. */
export interface PublishedSchemas {
  readonly type: string;
  readonly text: string;
}
/** The fields by which a member proves to the store which one it is. */
export interface Identity {
  readonly generation: string;
  readonly incarnation: number;
  /** Token of the join that made the incarnation. */
  readonly token: string;
}
/** A member, and the numbers that the store acknowledged to it. A store that holds lower numbers lost acknowledged writes. */
export interface Remembered extends Identity {
  /** Number of the last acknowledged heartbeat; 0 if there is none. */
  readonly lastHeartbeat: number;
  /** Number of the last acknowledged batch; 0 if there is none. */
  readonly lastBatch: number;
}
/** Counters of the partition. No counter decreases while the store keeps what it acknowledged. */
export interface Counters {
  /** Number of incarnations given to joins. */
  readonly incarnation: number;
  /** Number of fences given to claims. */
  readonly fence: number;
  /** Number of epochs given to masters of all groups. */
  readonly epoch: number;
  /** Number of dead letters added. */
  readonly letter: number;
}
export interface JoinOp {
  readonly op: 'join';
  readonly serverId: string;
  readonly group: string;
  readonly address: string;
  /** Random. A join with the same token gets the same incarnation while that member is live. */
  readonly token: string;
  /** Version of the stored records. */
  readonly schema: number;
  /** Becomes the generation of the store if the store has none. */
  readonly generation: string;
  /** `maxTotalWorkers` of this node; 0: unbounded. */
  readonly workersMax: number;
  /**
   * Earlier incarnation of the joining process. The join is refused with LOST or UNKNOWN if the store does not hold what that
   * incarnation remembers.
   */
  readonly former?: Remembered;
  readonly settings: Settings;
  readonly contracts: readonly Contract[];
  /** Schemas of types that the contracts declare. The store keeps them as long as it lists the member. Left out: none. */
  readonly schemas?: readonly PublishedSchemas[];
}
export interface JoinAnswer {
  readonly ok: true;
  readonly incarnation: number;
  readonly generation: string;
  readonly nowMs: number;
  readonly leaseUntilMs: number;
  readonly counters: Counters;
}
export interface HeartbeatOp extends Identity {
  readonly op: 'heartbeat';
  /** Number of this heartbeat, from 1. */
  readonly heartbeat: number;
  /** Number of the last acknowledged heartbeat, 0 if there is none. A store that holds a lower number lost that heartbeat. */
  readonly acknowledged: number;
}
export interface HeartbeatAnswer {
  readonly ok: true;
  readonly nowMs: number;
  readonly leaseUntilMs: number;
  readonly counters: Counters;
}
export interface LeaveOp extends Remembered {
  readonly op: 'leave';
}
export interface EvictOp {
  readonly op: 'evict';
  /** Generation of the store in which the caller watched the member. */
  readonly generation: string;
  readonly incarnation: number;
  /** Number of the last heartbeat of the member that the caller saw. Refused with BEATING if there is a newer one. */
  readonly heartbeatSeen: number;
}
/** What a member reports of itself and of others. A report replaces the one before. */
export interface ReportOp extends Identity {
  readonly op: 'report';
  /** The member may lead: it is not degraded, and has not resigned. */
  readonly eligible: boolean;
  /** Incarnations that the member cannot reach. */
  readonly unreachable: readonly number[];
}
/**
 * Closes the store to all members of that generation and to new ones, because it lost acknowledged writes. The rest of the log
 * may show no run where a handler did run. Has no effect on a store of another generation.
 */
export interface CloseStoreOp {
  readonly op: 'closeStore';
  readonly generation: string;
}
export interface LeadOp extends Identity {
  readonly op: 'lead';
}
export interface LeadAnswer {
  readonly ok: true;
  readonly epoch: number;
  readonly untilMs: number;
}
export interface ReplayOp {
  readonly op: 'replay';
  readonly letter: string;
  readonly force: boolean;
}
export interface ReplayAnswer {
  readonly ok: true;
  readonly id: string;
  readonly seq: number;
}
export interface PurgeOp {
  readonly op: 'purge';
  readonly letter: string;
  /** Deletes the dead letter only if it exceeds one of these limits now. Left out: deletes it in any case. */
  readonly limits?: LetterLimits;
}
/**
 * Limits on the number of dead letters and on their age in ms; 0: unbounded. If there are more than `max`, the oldest one exceeds
 * the limit.
 */
export interface LetterLimits {
  readonly max: number;
  readonly ttlMs: number;
}
export interface MembersOp {
  readonly op: 'members';
  /** Asks for the contracts of the members with a higher incarnation too. Left out: asks for none. */
  readonly contractsAbove?: number;
}
export interface Member {
  readonly incarnation: number;
  readonly serverId: string;
  readonly group: string;
  readonly address: string;
  readonly heartbeat: number;
  readonly leaseUntilMs: number;
  readonly dead: boolean;
  /** Number of entities that the member owns. */
  readonly owns: number;
  /** Entity types that the member declared at join. */
  readonly types: readonly string[];
  /** `eligible` and `unreachable` are those of its last report. */
  readonly eligible: boolean;
  readonly unreachable: readonly number[];
}
/** The last master of a service group. It is listed after its term too, until another member becomes master. */
export interface Leader {
  readonly group: string;
  readonly incarnation: number;
  readonly epoch: number;
  readonly untilMs: number;
}
export interface MembersAnswer {
  readonly ok: true;
  /** Generation of the store; '' if it has none yet. */
  readonly generation: string;
  readonly nowMs: number;
  readonly members: readonly Member[];
  readonly leaders: readonly Leader[];
  /** The contracts that `contractsAbove` asks for, ordered by incarnation. */
  readonly contracts: readonly { readonly incarnation: number; readonly contract: Contract }[];
}
/**
 * Lists a page of the entities that can begin now. First come those that needed no wait when they became ready, then those whose
 * hold or backoff is over; each part is ordered oldest first.
 */
export interface ReadyOp {
  readonly op: 'ready';
  /** `next` of the previous page; '' for the first page. */
  readonly after: string;
  readonly max: number;
}
export interface ReadyAnswer {
  readonly ok: true;
  readonly entities: readonly {
    readonly entity: string;
    readonly owner: number;
    /** Store time in ms since which the entity can begin. */
    readonly sinceMs: number;
  }[];
  /** `after` of the next page; '' if this is the last page. */
  readonly next: string;
}
/**
 * Lists the entities that an incarnation owns, page by page. `cursor` is '0' for the first page, then `cursor` of the previous
 * answer. An answer with '0' is the last page. A page may be empty.
 */
export interface OwnedOp {
  readonly op: 'owned';
  readonly incarnation: number;
  readonly cursor: string;
}
export interface OwnedAnswer {
  readonly ok: true;
  readonly cursor: string;
  readonly entities: readonly string[];
}
/** Reads the state of a message. Refused with ABSENT if the store knows no such message. */
export interface LookupOp {
  readonly op: 'lookup';
  /** The lookup is refused with LOST if the store has another generation. Left out: any generation will do. */
  readonly generation?: string;
  readonly entity: string;
  readonly id: string;
  readonly seq: number;
}
export interface LookupAnswer extends KnownMessage {
  readonly ok: true;
}
/** Selects dead letters that match all given fields. */
export interface LetterFilter {
  readonly type?: string | undefined;
  /** Key of the entity. */
  readonly entity?: string | undefined;
  readonly reason?: Letter['reason'] | undefined;
  /** Selects dead letters whose `diedAtMs` is this time or later. */
  readonly sinceMs?: number | undefined;
  readonly replayed?: boolean | undefined;
}
/**
 * Lists the matching dead letters behind `after` ('' for the first page), oldest first. A page may hold fewer than `max` or none,
 * which bounds the time of a call. Only `next` '' marks the last page.
 */
export interface LettersOp extends LetterFilter {
  readonly op: 'letters';
  readonly after: string;
  readonly max: number;
}
export interface Letter {
  /** Number of the dead letter within the partition, as text. */
  readonly id: string;
  readonly entity: string;
  readonly message: MessageRecord;
  readonly reason: 'failed' | 'interrupted';
  readonly error: string;
  readonly incarnation: number;
  readonly diedAtMs: number;
  /** Outcome that a late end of the attempt reported: 'completed', 'failed' or 'not-run'; '' if there was none. */
  readonly late: string;
  readonly lateDetail: string;
  /** Id of the message that replays the dead letter, or ''. */
  readonly replayedAs: string;
}
export interface LettersAnswer {
  readonly ok: true;
  readonly letters: readonly Letter[];
  /** `after` of the next page; '' if this is the last page. */
  readonly next: string;
}
/** Reads the schemas that a member published for a type at its join. */
export interface SchemasOp {
  readonly op: 'schemas';
  readonly incarnation: number;
  readonly type: string;
}
export interface SchemasAnswer {
  readonly ok: true;
  readonly text: string;
}
/** Reads the log of one entity, for people. */
export interface EntityOp {
  readonly op: 'entity';
  readonly entity: string;
  /** Maximum number of pending messages in the answer, from the head on. The size of the answer is limited too. */
  readonly max: number;
}
export interface EntityAnswer {
  readonly ok: true;
  /** Owning incarnation; 0 if there is none. */
  readonly owner: number;
  readonly fence: number;
  readonly holdUntilMs: number;
  readonly running: MessageRecord | undefined;
  readonly pendingCount: number;
  readonly pending: readonly MessageRecord[];
}
/** Lists the ended messages of an entity that the store still keeps, page by page as `owned`. */
export interface HistoryOp {
  readonly op: 'history';
  readonly entity: string;
  readonly cursor: string;
}
export interface HistoryAnswer {
  readonly ok: true;
  readonly cursor: string;
  readonly ended: readonly {
    readonly id: string;
    readonly seq: number;
    readonly state: KnownMessage['state'];
    readonly expiresAtMs: number;
  }[];
}
/** Reads counts by entity type, and the entities with a running message, page by page as `owned`. */
export interface SurveyOp {
  readonly op: 'survey';
  readonly cursor: string;
}
export interface SurveyAnswer {
  readonly ok: true;
  readonly cursor: string;
  readonly types: readonly {
    readonly type: string;
    readonly entities: number;
    readonly running: number;
    readonly pending: number;
  }[];
  /** Entities with a running message, and the number of messages pending behind it. */
  readonly running: readonly { readonly entity: string; readonly pending: number }[];
}
/** Reads the sizes of the partition, for status and tests. */
export interface CountsOp {
  readonly op: 'counts';
}
export interface CountsAnswer {
  readonly ok: true;
  readonly depth: number;
  readonly active: number;
  readonly entities: number;
  readonly letters: number;
  readonly kept: number;
  /** Number of the last dead letter that was added; 0 if there was none. Numbers rise in the order of addition. */
  readonly lastLetter: number;
}
/**
 * Finds keys that were deleted by hand or evicted by Redis, because other keys of the store contradict them. Changes nothing.
 * Examines the entities page by page: `cursor` is '0' for the first page, then `cursor` of the previous answer.
 */
export interface AuditOp {
  readonly op: 'audit';
  readonly incarnation: number;
  /** Number of entities that the caller certainly owns. */
  readonly owned: number;
  readonly cursor: string;
}
export interface AuditAnswer {
  readonly ok: true;
  /** Names of keys that hold less, or more, than other keys of the store say. */
  readonly missing: readonly string[];
  /** Entities, each with its owner, that can begin a message but are not in the ready set, or whose owner is not a member. */
  readonly unready: readonly { readonly entity: string; readonly owner: number }[];
  readonly cursor: string;
}

export interface ControlAnswerOf {
  join: JoinAnswer | Refusal;
  heartbeat: HeartbeatAnswer | Refusal;
  leave: Done | Refusal;
  evict: CountAnswer | Refusal;
  report: Done | Refusal;
  closeStore: Done;
  lead: LeadAnswer | Refusal;
  replay: ReplayAnswer | Refusal;
  purge: Done | Refusal;
  members: MembersAnswer;
  ready: ReadyAnswer;
  owned: OwnedAnswer;
  lookup: LookupAnswer | Refusal;
  letters: LettersAnswer;
  schemas: SchemasAnswer | Refusal;
  entity: EntityAnswer | Refusal;
  history: HistoryAnswer;
  survey: SurveyAnswer;
  counts: CountsAnswer;
  audit: AuditAnswer;
}
export type ControlOp =
  | JoinOp
  | HeartbeatOp
  | LeaveOp
  | EvictOp
  | ReportOp
  | CloseStoreOp
  | LeadOp
  | ReplayOp
  | PurgeOp
  | MembersOp
  | ReadyOp
  | OwnedOp
  | LookupOp
  | LettersOp
  | SchemasOp
  | EntityOp
  | HistoryOp
  | SurveyOp
  | CountsOp
  | AuditOp;
export type ControlAnswer = ControlAnswerOf[keyof ControlAnswerOf];
