/**
 * The record of a run. The checkers judge a run by this record alone. A simulated run and a run of real processes record the
 * same events. `atMs` is the observer's time, one clock for all. Each event is plain data, one line of JSON.
 *
 * Events of the store (append, transition, own, `letter`, epoch, evict) are recorded when the store applies them. Events of a node
 * (invoke, ok, fail, unknown, start, end, abort, effect) are recorded when the process does them. The store names a message by
 * entity and sequence. The caller names it by `call`, until the receipt gives entity and sequence.
 */
import type { ErrorCode } from '../src/core/errors.js';
import type { TerminalState } from '../src/core/log/operations.js';
import type { PeerMessage } from '../src/ports/network.js';
import type { DeadLetterFilter } from '../src/runtime/dead-letters.js';
import type { RunFacts } from './run-facts.js';

interface Base {
  index: number;
  atMs: number;
  readonly node: string;
  readonly incarnation: number;
}

export interface Invoke extends Base {
  readonly kind: 'invoke';
  readonly call: string;
  readonly how: 'enqueue' | 'wait';
  readonly entity: string;
  /** `value`: the message carries a drawn value and touches no account. */
  readonly op: 'deposit' | 'withdraw' | 'read' | 'value';
  readonly amount: number;
  /** The id that the caller gave, or ''. */
  readonly id: string;
  /** The call must settle within this time, in ms of the node's running time. Slack is included. */
  readonly deadlineMs: number;
  /** For a call that waits: the call must not time out sooner. In ms. */
  readonly timeoutMs?: number;
  /** Set if the call is sent after the heal to check that new work is accepted. */
  readonly probe: boolean;
}
export interface Ok extends Base {
  readonly kind: 'ok';
  readonly call: string;
  /** Id and sequence from the receipt. */
  readonly id?: string;
  readonly seq?: number;
  /** The result as JSON text, for a call that waits. */
  readonly result?: string;
  readonly tookMs: number;
}
export interface Fail extends Base {
  readonly kind: 'fail';
  readonly call: string;
  readonly code: ErrorCode | 'OTHER';
  /** True if the message was certainly not accepted, or certainly not run. */
  readonly definite: boolean;
  readonly tookMs: number;
  /** Time in ms by the clock of the node. This clock goes on while the process is paused. Left out: not known. */
  readonly elapsedMs?: number;
  /** Index of the invoke event. A node may get the same call twice. Left out: the last invoke of this call. */
  readonly invoked?: number;
}
/** The call ended with an error that leaves the outcome unknown. */
export interface Unknown extends Base {
  readonly kind: 'unknown';
  readonly call: string;
  readonly code: ErrorCode | 'OTHER';
  readonly tookMs: number;
  readonly elapsedMs?: number;
  readonly invoked?: number;
}

export interface Appended extends Base {
  readonly kind: 'append';
  readonly entity: string;
  readonly id: string;
  readonly seq: number;
  readonly call: string;
  readonly given: boolean;
  readonly replayOf: string;
  /** Set if the replay was forced although the handler of the dead letter had returned late. */
  readonly isForced?: boolean;
  /** Set if the handler changes nothing. No dead letter may remain of such a message. */
  readonly isQuery?: boolean;
  /**
   * After this step: the messages that are not terminal, of the entity (`depth`) and of the whole prefix (`total`), and the
   * number of entities that have such messages (`active`).
   */
  readonly depth: number;
  readonly total: number;
  readonly active: number;
  /** The limit in force. 0 means no limit. */
  readonly workersMax: number;
}
export interface Transition extends Base {
  readonly kind: 'transition';
  readonly entity: string;
  readonly id: string;
  readonly seq: number;
  readonly attempt: number;
  readonly from: 'enqueued' | 'dispatched';
  readonly to: 'enqueued' | 'dispatched' | TerminalState;
  readonly fence: number;
  /** The result as JSON text, for a completed message. */
  readonly result?: string;
  /** Set if the message failed and the owner asked for no dead letter. */
  readonly noDeadLetter?: boolean;
  /** Ids of the messages that were sent with the completion. */
  readonly sends?: readonly string[];
}
export interface Owned extends Base {
  readonly kind: 'own';
  readonly entity: string;
  /** Incarnation of the owner. 0: the entity has no owner from now on. */
  readonly owner: number;
  readonly fence: number;
  readonly how: 'claim' | 'release' | 'takeover';
}
export interface LetterMade extends Base {
  readonly kind: 'letter';
  readonly letter: string;
  readonly entity: string;
  readonly id: string;
  readonly seq: number;
  readonly attempt: number;
  readonly reason: 'failed' | 'interrupted';
}
/** The log recorded a late note: how the handler of an interrupted message ended. */
export interface LateNote extends Base {
  readonly kind: 'late';
  readonly entity: string;
  readonly seq: number;
  readonly attempt: number;
  /** The incarnation in which the handler ran. */
  readonly of: number;
  readonly outcome: 'completed' | 'failed' | 'not-run';
}
/** A dead letter was deleted. */
export interface LetterDropped extends Base {
  readonly kind: 'drop';
  readonly letter: string;
  /** Number of dead letters left. */
  readonly left: number;
  /** Age of the deleted dead letter in ms, by the store's clock. */
  readonly ageMs: number;
}
/** What the operator saw of the log at one moment. */
export interface Shown extends Base {
  readonly kind: 'shown';
  readonly counts: {
    readonly depth: number;
    readonly active: number;
    readonly letters: number;
    readonly lastLetter: number;
    /** Result of a dry run that replays all: how many would be replayed, and how many would be refused without force. */
    readonly replayable: number;
    readonly needForce: number;
  };
  readonly types: Readonly<Record<string, { readonly running: number; readonly pending: number }>>;
  /**
   * Some entities with a running message. `running` is the sequence of that message. `pending` holds the number of waiting
   * messages as given by the survey and by the entity's own page.
   */
  readonly entities: readonly { readonly entity: string; readonly running: number; readonly pending: readonly number[] }[];
  readonly letters: readonly ShownLetter[];
  readonly lists: readonly ShownList[];
  /** Id of the first dead letter, read by its number. */
  readonly first?: string | undefined;
  /** Id of the dead letter that was found under a number which no dead letter has. */
  readonly surplus?: string;
}
export interface ShownLetter {
  readonly id: string;
  readonly entity: string;
  readonly sequence: number;
  readonly attempts: number;
  readonly reason: 'failed' | 'interrupted';
  /** Time in ms by the store's clock. */
  readonly diedAtMs: number;
  readonly isReplayed: boolean;
}
export interface ShownList {
  readonly filter: DeadLetterFilter;
  readonly ids: readonly string[];
}
export interface Epoch extends Base {
  readonly kind: 'epoch';
  readonly group: string;
  readonly epoch: number;
  /**
   * `lead`: the store named this incarnation master. `again`: the store named it once more under the same epoch, although the
   * term before was over. `accept`, `refuse`: this node accepted or refused a command of that epoch. `overdue`: this node sent a
   * command after its term.
   */
  readonly what: 'lead' | 'again' | 'accept' | 'refuse' | 'overdue';
}

/** The store has evicted that incarnation. */
export interface Evict extends Base {
  readonly kind: 'evict';
  readonly evicted: number;
}

export interface Start extends Base {
  readonly kind: 'start';
  readonly entity: string;
  readonly id: string;
  readonly seq: number;
  readonly attempt: number;
  readonly fence: number;
  readonly call: string;
  readonly op: Invoke['op'];
  readonly amount: number;
  /** Set if the handler never ends, whether or not its signal aborts. */
  readonly isEndless?: true;
}
export interface End extends Base {
  readonly kind: 'end';
  readonly entity: string;
  readonly seq: number;
  readonly attempt: number;
  readonly outcome: 'completed' | 'failed';
  /** Set if the handler failed with a refusal: a reply to the caller that makes no dead letter. */
  readonly isRefusal?: boolean;
  readonly result: string;
  /** Number of transactional sends that the handler made. */
  readonly sends: number;
}
export interface Aborted extends Base {
  readonly kind: 'abort';
  readonly entity: string;
  readonly seq: number;
  readonly attempt: number;
}
export interface Effect extends Base {
  readonly kind: 'effect';
  readonly entity: string;
  readonly seq: number;
  readonly fence: number;
  readonly what: 'read' | 'write';
  readonly accepted: boolean;
  readonly balance: number;
}

export type NodeChange =
  | 'starting'
  | 'joined'
  | 'start-failed'
  | 'suspended'
  | 'resumed'
  | 'lease-lost'
  | 'store-lost'
  | 'closed'
  | 'draining'
  | 'stopped'
  | 'crashed'
  | 'exited'
  | 'degraded'
  | 'recovered'
  | 'leading'
  | 'rebuilt'
  | 'stepped-down';
export interface NodeChanged extends Base {
  readonly kind: 'node';
  readonly state: NodeChange;
  readonly why?: string;
}
export interface Blocked extends Base {
  readonly kind: 'blocked';
  readonly entity: string;
}
/** The node has reported the event in its trace, as logs and listeners of dead letters receive it. */
export interface Reported extends Base {
  readonly kind: 'reported';
  readonly event: 'dead-letter' | 'dropping-dead-letter';
  readonly entity: string;
  readonly id: string;
  /** Id of the dead letter that is deleted next. */
  readonly letter?: string;
}
export interface FaultEvent extends Base {
  readonly kind: 'fault';
  readonly fault: string;
  readonly phase: 'begin' | 'end' | 'once';
  /** For a pause: the rest of the node's lease in ms, by the node's own clock. */
  readonly leaseLeftMs?: number;
  /** For a clock fault: the rate of the clock, or the size of its jump in ms. */
  readonly rate?: number;
  readonly jumpMs?: number;
  readonly note?: string;
  /** For a loss of writes: the nodes that live and had the writes acknowledged. Left out: all nodes that had joined. */
  readonly rememberedBy?: readonly string[];
  /** For a store that was emptied and is used again: the nodes that live on from before. */
  readonly former?: readonly string[];
}
/** A hint reached this node. Scenarios record it for their timelines. No checker may depend on it. */
export interface Told extends Base {
  readonly kind: 'told';
  readonly from: string;
  readonly message: PeerMessage;
}
/** The last fault has healed. From here on the liveness invariants hold. */
export interface Healed extends Base {
  readonly kind: 'healed';
}
/** What is left at the end of the run, after the cluster had time to settle. */
export interface Final extends Base {
  readonly kind: 'final';
  /** Messages that are not terminal in the store, by entity and sequence. */
  readonly live: readonly (readonly [entity: string, seq: number])[];
  readonly depth: number;
  readonly active: number;
  readonly ready: number;
  readonly nodes: readonly NodeAtRest[];
  /** Left out: not recorded. */
  readonly store?: StoreAtRest;
  /** Service groups with a running node that handles at least one entity type. */
  readonly groups?: readonly string[];
  /** The user's balances. */
  readonly balances: Readonly<Record<string, number>>;
}
export interface NodeAtRest {
  readonly node: string;
  readonly state: string;
  readonly running: number;
  readonly waiting: number;
  readonly timers: number;
  readonly owned: number;
  /** Sizes of the collections that the node holds, by their path. Empty collections are left out. Left out: not recorded. */
  readonly holds?: Readonly<Record<string, number>>;
}
export interface StoreAtRest {
  /**
   * `members`: members that are not evicted. `unwilling`: those of them that handle something and are listed as taking no new
   * work. `sessions`: sessions.
   */
  readonly members: number;
  readonly unwilling: number;
  readonly sessions: number;
  /** Number of entity records with no live message, no owner and no hold. */
  readonly idleRecords: number;
  /** Number of ids and results that are kept longer than the retention allows, by more than two clean-ups. */
  readonly overdue: number;
  /** Groups that had a master at some time in the last part of the run. */
  readonly led: readonly string[];
}
/** A defect of the library that must never occur: an unhandled rejection, or a call that threw. */
export interface Defect extends Base {
  readonly kind: 'defect';
  readonly what: string;
}
/** The scripts of the adapter for Redis return or store something else than the core. */
export interface Differs extends Base {
  readonly kind: 'differs';
  readonly what: string;
}
export interface Begun extends Base {
  readonly kind: 'run';
  readonly facts: RunFacts;
}

export type HistoryEvent =
  | Invoke
  | Ok
  | Fail
  | Unknown
  | Appended
  | Transition
  | Owned
  | LetterMade
  | LateNote
  | LetterDropped
  | Shown
  | Epoch
  | Evict
  | Start
  | End
  | Aborted
  | Effect
  | NodeChanged
  | Blocked
  | Reported
  | FaultEvent
  | Told
  | Healed
  | Final
  | Defect
  | Differs
  | Begun;

/** Omits the fields that the recorder fills in, per member of the union. */
type Unstamped<T> = T extends HistoryEvent ? Omit<T, 'index' | 'atMs'> : never;

export class History {
  readonly events: HistoryEvent[] = [];

  constructor(private readonly nowMs: () => number) {}

  add(event: Unstamped<HistoryEvent>): void {
    const stamped = event as HistoryEvent;
    stamped.index = this.events.length;
    stamped.atMs = this.nowMs();
    this.events.push(stamped);
  }
}

export const toLines = (events: readonly HistoryEvent[]): string => events.map((e) => `${JSON.stringify(e)}\n`).join('');

export const fromLines = (text: string): HistoryEvent[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as HistoryEvent);
