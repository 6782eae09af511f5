import { MinHeap } from '../heap.js';
import { typeOfKey } from '../ids.js';
import { SeqQueue } from '../seq-queue.js';
import type { Contract, Letter, Settings } from './control-operations.js';
import type { Answer, KnownMessage, MessageRecord } from './operations.js';

/** The log of one entity. Only the functions of this folder change the state of a partition. */
export interface EntityRecord {
  /** Owning incarnation; 0 if there is none. */
  owner: number;
  fence: number;
  /** Highest sequence given to this entity since this record was created. */
  tail: number;
  readonly pending: SeqQueue<MessageRecord>;
  running: MessageRecord | undefined;
  holdUntilMs: number;
}

export interface Session {
  /** Number of the last batch applied. */
  last: number;
  /** Answers of `last` and of the one before it. */
  answers: readonly Answer[];
  answersBefore: readonly Answer[];
}

export interface MemberRecord {
  readonly incarnation: number;
  readonly serverId: string;
  readonly group: string;
  readonly address: string;
  readonly token: string;
  readonly joinedAtMs: number;
  readonly workersMax: number;
  readonly contracts: ReadonlyMap<string, Contract>;
  readonly schemas: ReadonlyMap<string, string>;
  heartbeat: number;
  leaseUntilMs: number;
  dead: boolean;
  owns: number;
  eligible: boolean;
  unreachable: readonly number[];
}

/** What the store remembers of a join. */
export interface JoinRecord {
  readonly token: string;
  /** Numbers of the last heartbeat and the last batch of the incarnation; set when it is evicted or leaves. */
  readonly ended?: { readonly heartbeat: number; readonly batch: number };
}

/**
 * What the store keeps of a message by its id: while the message is live if the caller gave the id, and after its end as long as
 * retention says.
 */
export interface KeptRecord {
  readonly seq: number;
  readonly digest: string;
  state: KnownMessage['state'];
  result: string;
  error: string;
  expiresAtMs: number;
}

export interface LeaderRecord {
  readonly incarnation: number;
  readonly epoch: number;
  untilMs: number;
}

/** An entry of the expiry heap: a kept record, or an entity record that exists only for its take-over hold. */
interface Expiry {
  readonly atMs: number;
  readonly kept: string;
  readonly held: string;
}

const NO_SETTINGS: Settings = {
  leaseTtlMs: 1500,
  takeoverHoldMs: 1500,
  entryTtlMs: 86_400_000,
  resultTtlMs: 60_000,
  depthMax: 0,
  leaderTtlMs: 2000,
  leaderDebounceMs: 800,
};

export class PartitionState {
  generation = '';
  schema = 0;
  /** Never reset. So an entity record that is deleted and created again repeats neither a sequence nor a fence. */
  seq = 0;
  fence = 0;
  incarnation = 0;
  letter = 0;
  /** No dead letter below this number is left; see `oldestLetter`. */
  letterFloor = 1;
  epoch = 0;
  /** Number of messages that were accepted and are not terminal. */
  depth = 0;
  /** Number of entities with pending or running messages. */
  active = 0;
  settings: Settings = NO_SETTINGS;
  readonly sessions = new Map<number, Session>();
  readonly members = new Map<number, MemberRecord>();
  /** The newest joins, by incarnation. */
  readonly joins = new Map<number, JoinRecord>();
  readonly leaders = new Map<string, LeaderRecord>();
  readonly entities = new Map<string, EntityRecord>();
  /** Entities with a pending message and none running, with the store time in ms from which it can begin; see AT_ONCE_MS. */
  readonly ready = new Map<string, number>();
  readonly kept = new Map<string, KeptRecord>();
  readonly expiry = new MinHeap<Expiry>((e) => e.atMs);
  readonly letters = new Map<string, Letter>();
  /** Dead letter id by entity, sequence and attempt. */
  readonly letterOf = new Map<string, string>();

  /** Sum of the live nodes' `maxTotalWorkers`; 0: unbounded. */
  workersMax = 0;
}

/** Updates `workersMax` after a member joins, leaves or is evicted. Members without handlers add no worker capacity. */
export function sumWorkersMax(state: PartitionState): void {
  let sum = 0;
  for (const m of state.members.values()) {
    if (m.dead || m.contracts.size === 0) continue;
    if (m.workersMax === 0) {
      sum = 0;
      break;
    }
    sum += m.workersMax;
  }
  state.workersMax = sum;
}

export const keptKey = (entity: string, id: string): string => `${entity}\x1e${id}`;
export const letterKey = (entity: string, seq: number, attempt: number): string => `${entity}\x1e${seq}\x1e${attempt}`;

export const liveCount = (rec: EntityRecord): number => rec.pending.length + (rec.running === undefined ? 0 : 1);

export function entityOrNew(state: PartitionState, key: string): EntityRecord {
  let rec = state.entities.get(key);
  if (rec === undefined) {
    rec = { owner: 0, fence: 0, tail: state.seq, pending: new SeqQueue(), running: undefined, holdUntilMs: 0 };
    state.entities.set(key, rec);
  }
  return rec;
}

/**
 * An entity that can begin at once gets a time that lies this many ms in the past. So it is due by the store's clock even if that
 * clock is set back later, and such entities stay in the order in which they came. Only a hold and a backoff depend on the clock.
 */
export const AT_ONCE_MS = 1e13;

/** Updates the ready set after a step on the entity, and deletes the entity record if nothing needs it. */
export function settle(state: PartitionState, key: string, rec: EntityRecord, nowMs: number): void {
  const head = rec.pending.peek();
  if (head !== undefined && rec.running === undefined) {
    if (!state.ready.has(key)) {
      const fromMs = Math.max(rec.holdUntilMs, head.notBeforeMs);
      state.ready.set(key, fromMs > nowMs ? fromMs : nowMs - AT_ONCE_MS);
    }
  } else state.ready.delete(key);
  if (head === undefined && rec.running === undefined && rec.owner === 0) {
    if (rec.holdUntilMs <= nowMs) {
      state.entities.delete(key);
      state.seq = Math.max(state.seq, rec.tail);
    } else state.expiry.push({ atMs: rec.holdUntilMs, kept: '', held: key });
  }
}

/** Returns the contract by which an incarnation handles this entity; undefined if it did not declare the type. */
export const contractOf = (state: PartitionState, incarnation: number, entity: string): Contract | undefined =>
  state.members.get(incarnation)?.contracts.get(typeOfKey(entity));

/** Clears the owner of the entity. An evicted member that owns no entity any more is deleted. */
export function disown(state: PartitionState, rec: EntityRecord): void {
  const member = state.members.get(rec.owner);
  rec.owner = 0;
  if (member === undefined) return;
  member.owns--;
  if (member.dead && member.owns === 0) state.members.delete(member.incarnation);
}
