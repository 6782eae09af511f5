/** Operations outside of sessions: idempotent by what they carry. */
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
/** How an incarnation handles an entity type; it never changes while that incarnation lives. */
export interface Contract {
  readonly type: string;
  readonly maxAttempts: number;
  readonly onInterrupt: 'dead-letter' | 'retry';
  readonly names: readonly string[];
  /** Of `names`, those that change nothing: an interruption of such a message leaves no dead letter. Left out: none. */
  readonly queries?: readonly string[];
  /** `workerMaxQueueDepth`, for senders that do not handle the type themselves; 0: unbounded. */
  readonly depthMax: number;
  /** Tells what was published of this type from what others publish; left out: nothing was. */
  readonly version?: string;
}
/** What a member publishes of the messages of an entity type: JSON text that the store does not look into. */
export interface PublishedSchemas {
  readonly type: string;
  readonly text: string;
}
/** A member, as it proves itself to the store. */
export interface Identity {
  readonly generation: string;
  readonly incarnation: number;
  /** Of the join that made the incarnation. */
  readonly token: string;
}
/** A member, and what it remembers of the store's acknowledgements. A store that holds less of it lost the rest. */
export interface Remembered extends Identity {
  /** Number of the last heartbeat that was acknowledged; 0: none was. */
  readonly lastHeartbeat: number;
  /** Number of the last batch that was acknowledged; 0: none was. */
  readonly lastBatch: number;
}
/** Counters of the partition. None goes down while the store keeps what it acknowledged. */
export interface Counters {
  /** Incarnations given to joins. */
  readonly incarnation: number;
  /** Fences given to claims. */
  readonly fence: number;
  /** Epochs given to masters, of all groups. */
  readonly epoch: number;
  /** Dead letters made. */
  readonly letter: number;
}
export interface JoinOp {
  readonly op: 'join';
  readonly serverId: string;
  readonly group: string;
  readonly address: string;
  /** Random; the same token again gets the same answer. */
  readonly token: string;
  /** Version of the stored records. */
  readonly schema: number;
  /** Becomes the store's generation if it has none. */
  readonly generation: string;
  /** `maxTotalWorkers` of this node; 0: unbounded. */
  readonly workersMax: number;
  /** The incarnation that the joining process was before; refused with LOST or UNKNOWN if the store does not hold what it remembers. */
  readonly former?: Remembered;
  readonly settings: Settings;
  readonly contracts: readonly Contract[];
  /** Of types that the contracts declare; kept as long as the member is listed. Left out: none. */
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
export interface BeatOp extends Identity {
  readonly op: 'beat';
  /** Number of this heartbeat, from 1. */
  readonly beat: number;
  /** Number of the last heartbeat that was acknowledged, 0 for none: a store that holds a lower one lost it. */
  readonly acknowledged: number;
}
export interface BeatAnswer {
  readonly ok: true;
  readonly nowMs: number;
  readonly leaseUntilMs: number;
  readonly counters: Counters;
}
export interface LeaveOp extends Remembered {
  readonly op: 'leave';
}
export interface BuryOp {
  readonly op: 'bury';
  /** Of the store in which the member was watched. */
  readonly generation: string;
  readonly incarnation: number;
  readonly beatSeen: number;
}
/** What a member says of itself and of others. The newest report counts. */
export interface ReportOp extends Identity {
  readonly op: 'report';
  /** It may lead: it is not degraded, and has not resigned. */
  readonly eligible: boolean;
  /** Incarnations that it cannot reach. */
  readonly unreachable: readonly number[];
}
/**
 * Closes the store to whoever works with that generation, and to newcomers: it lost acknowledged writes, and what is left of
 * the log may say that nothing ran where something did. Another generation is left alone.
 */
export interface ShutOp {
  readonly op: 'shut';
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
  /** Deletes it only if it is past one of these limits now. Left out: it is deleted in any case. */
  readonly limits?: LetterLimits;
}
/** How many dead letters there may be, and for how long; 0: any. The oldest of more than `max` is past its limit. */
export interface LetterLimits {
  readonly max: number;
  readonly ttlMs: number;
}
export interface MembersOp {
  readonly op: 'members';
  /** Asks for the contracts of members with a higher incarnation too; left out: of nobody. */
  readonly contractsAbove?: number;
}
export interface Member {
  readonly incarnation: number;
  readonly serverId: string;
  readonly group: string;
  readonly address: string;
  readonly beat: number;
  readonly leaseUntilMs: number;
  readonly dead: boolean;
  /** Entities it owns. */
  readonly owns: number;
  /** Entity types it declared at join. */
  readonly types: readonly string[];
  /** Its last report. */
  readonly eligible: boolean;
  readonly unreachable: readonly number[];
}
/** The last master of a service group, as long as its record stands. */
export interface Leader {
  readonly group: string;
  readonly incarnation: number;
  readonly epoch: number;
  readonly untilMs: number;
}
export interface MembersAnswer {
  readonly ok: true;
  /** Of the store; '' if it has none yet. */
  readonly generation: string;
  readonly nowMs: number;
  readonly members: readonly Member[];
  readonly leaders: readonly Leader[];
  /** What was asked for, by incarnation. */
  readonly contracts: readonly { readonly incarnation: number; readonly contract: Contract }[];
}
/**
 * A page of the entities that can begin now: first those that could at once when they came, then those whose hold or backoff is over,
 * each the oldest first. `after`: `next` of the page before, '' for the first one.
 */
export interface ReadyOp {
  readonly op: 'ready';
  readonly after: string;
  readonly max: number;
}
export interface ReadyAnswer {
  readonly ok: true;
  readonly entities: readonly {
    readonly entity: string;
    readonly owner: number;
    /** Store time in ms since which it could begin. */
    readonly sinceMs: number;
  }[];
  /** `after` of the next page; '' if this was the last one. */
  readonly next: string;
}
/** Entities that an incarnation owns, a page at a time: `cursor` '0' starts, answer '0' ends. A page may be empty. */
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
/** Where a message stands. */
export interface LookupOp {
  readonly op: 'lookup';
  /** Refused with LOST in a store of another generation; left out: whichever it is. */
  readonly generation?: string;
  readonly entity: string;
  readonly id: string;
  readonly seq: number;
}
export interface LookupAnswer extends KnownMessage {
  readonly ok: true;
}
/** Which dead letters are meant: those that have all that is given. */
export interface LetterFilter {
  readonly type?: string | undefined;
  /** Key of the entity. */
  readonly entity?: string | undefined;
  readonly reason?: Letter['reason'] | undefined;
  /** Died at that time or later. */
  readonly sinceMs?: number | undefined;
  readonly replayed?: boolean | undefined;
}
/**
 * Dead letters after `after` ('' for the first page) that match, oldest first. So that no call takes long, a page may have fewer
 * than `max`, or none: only `next` '' ends.
 */
export interface LettersOp extends LetterFilter {
  readonly op: 'letters';
  readonly after: string;
  readonly max: number;
}
export interface Letter {
  /** A number of the partition, as text. */
  readonly id: string;
  readonly entity: string;
  readonly message: MessageRecord;
  readonly reason: 'failed' | 'interrupted';
  readonly error: string;
  readonly incarnation: number;
  readonly diedAtMs: number;
  /** What a late end of the attempt told: '', 'completed', 'failed' or 'not-run'. */
  readonly late: string;
  readonly lateDetail: string;
  /** Id of the message that replays it, or ''. */
  readonly replayedAs: string;
}
export interface LettersAnswer {
  readonly ok: true;
  readonly letters: readonly Letter[];
  /** `after` of the next page; '' if there is none. */
  readonly next: string;
}
/** What a member published when it joined. */
export interface SchemasOp {
  readonly op: 'schemas';
  readonly incarnation: number;
  readonly type: string;
}
export interface SchemasAnswer {
  readonly ok: true;
  readonly text: string;
}
/** One entity as the log has it, for people. */
export interface EntityOp {
  readonly op: 'entity';
  readonly entity: string;
  /** Pending messages that are answered, from the head on. A page is bounded by its size too. */
  readonly max: number;
}
export interface EntityAnswer {
  readonly ok: true;
  /** Owning incarnation; 0: nobody. */
  readonly owner: number;
  readonly fence: number;
  readonly holdUntilMs: number;
  readonly running: MessageRecord | undefined;
  readonly pendingCount: number;
  readonly pending: readonly MessageRecord[];
}
/** What is kept of the ended messages of an entity, a page at a time, as `owned`. */
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
/** Counts by entity type, and what runs, a page at a time, as `owned`. */
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
  /** Entities with a running message, and how many wait behind it. */
  readonly running: readonly { readonly entity: string; readonly pending: number }[];
}
/** Counters of the partition, for status and tests. */
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
  /** Number of the last letter that was made; 0: none ever was. Letters are numbered in the order in which they are made. */
  readonly lastLetter: number;
}
/**
 * Looks for keys that were deleted or evicted, by what the others say of them. Reads only. Entities are looked at a page at a time:
 * the cursor of the answer before, '0' for the first one.
 */
export interface AuditOp {
  readonly op: 'audit';
  readonly incarnation: number;
  /** So many entities the caller certainly owns. */
  readonly owned: number;
  readonly cursor: string;
}
export interface AuditAnswer {
  readonly ok: true;
  /** Names of keys that do not hold what others say they hold. */
  readonly missing: readonly string[];
  /** Entities that could begin a message and are not in the ready set, or whose owner is no member, with their owners. */
  readonly unready: readonly { readonly entity: string; readonly owner: number }[];
  readonly cursor: string;
}

export interface ControlAnswerOf {
  join: JoinAnswer | Refusal;
  beat: BeatAnswer | Refusal;
  leave: Done | Refusal;
  bury: CountAnswer | Refusal;
  report: Done | Refusal;
  shut: Done;
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
  | BeatOp
  | LeaveOp
  | BuryOp
  | ReportOp
  | ShutOp
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
