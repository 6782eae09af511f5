/**
 * The record of a run, from which alone the checkers judge it: the same events come from a simulated run and from real
 * processes. `atMs` is the observer's time, one clock for all. Each event is plain data, one line of JSON.
 *
 * Events of the store (append, transition, own, letter, epoch, bury) are recorded as it applies them; those of a node (invoke, ok,
 * fail, unknown, start, end, abort, effect) as the process does them. A message is named by entity and sequence in the
 * store, and by `call` where the caller made it, until the receipt tells both.
 */
import type { ErrorCode } from '../src/core/errors.js';
import type { LetterLimits } from '../src/core/log/control-operations.js';
import type { TerminalState } from '../src/core/log/operations.js';
import type { PeerMessage } from '../src/ports/network.js';
import type { DeadLetterFilter } from '../src/runtime/dead-letters.js';

/** What the checkers must know of the run's configuration. */
export interface RunFacts {
  readonly leaseTtlMs: number;
  readonly leaseMarginMs: number;
  readonly takeoverHoldMs: number;
  /** Left out: not known. */
  readonly leaderTtlMs?: number;
  readonly types: Readonly<Record<string, TypeFacts>>;
  readonly depthMaxTotal: number;
  /** `deadLetters` of the configuration; left out: unbounded. */
  readonly deadLetters?: LetterLimits;
  readonly concurrentHandlersMax: number;
  /** Entities with live messages that one node allows. Left out: not known. */
  readonly workersMax?: number;
  /** A handler that runs for longer is reported as blocking its entity. */
  readonly blockedAfterMs: number;
  /** After the last fault has healed, everything accepted is terminal within this time. */
  readonly settleMs: number;
  /** A message to an idle entity of a healed cluster is done within this time, whatever others do. */
  readonly independentMs: number;
  /** Given if no fault is injected: so many ms after the last join, nothing waits for a sweep and no call is refused without need. */
  readonly calmAfterJoinMs?: number;
  /** The times in which a fault may have an effect, in order; left out: any. */
  readonly disturbedMs?: readonly (readonly [fromMs: number, toMs: number])[];
  /** The links to the store are thin, and no fault is injected: no node may lose its lease. */
  readonly keepsLeases?: true;
}

export interface TypeFacts {
  readonly maxAttempts: number;
  readonly onInterrupt: 'dead-letter' | 'retry';
  readonly depthMax: number;
  /** Effects carry the fence, and the resource refuses lower ones. */
  readonly fenced: boolean;
  /** Shortest wait before the second attempt, in ms; it doubles with each further one. Left out: not known. */
  readonly backoffMs?: number;
}

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
  /** `value`: carries a drawn value, and touches no account. */
  readonly op: 'deposit' | 'withdraw' | 'read' | 'value';
  readonly amount: number;
  /** The caller's own id, or ''. */
  readonly id: string;
  /** It must settle within this time, of the node's own running time; slack included. */
  readonly deadlineMs: number;
  /** Of a call that waits: it must not time out sooner. */
  readonly timeoutMs?: number;
  /** Sent after the heal, to see that new work is accepted. */
  readonly probe: boolean;
}
export interface Ok extends Base {
  readonly kind: 'ok';
  readonly call: string;
  /** Id and sequence of a receipt. */
  readonly id?: string;
  readonly seq?: number;
  /** JSON text of a result, for a call that waits. */
  readonly result?: string;
  readonly tookMs: number;
}
export interface Fail extends Base {
  readonly kind: 'fail';
  readonly call: string;
  readonly code: ErrorCode | 'OTHER';
  /** True: certainly not accepted, or certainly not run. */
  readonly definite: boolean;
  readonly tookMs: number;
  /** By the clock of its node, which goes on while the process is paused. Left out: not known. */
  readonly elapsedMs?: number;
  /** Index of its invocation, since a node may be given the same call twice. Left out: the last one. */
  readonly invoked?: number;
}
/** The caller was told that nobody knows. */
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
  /** The replay was forced, although the handler of the dead letter had returned late. */
  readonly isForced?: boolean;
  /** Its handler changes nothing, so no dead letter may be left of it. */
  readonly isQuery?: boolean;
  /** Not terminal after this step: of the entity, of the whole prefix; and entities that have such. */
  readonly depth: number;
  readonly total: number;
  readonly active: number;
  /** Limits in force; 0 is none. */
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
  /** JSON text, of a completed one. */
  readonly result?: string;
  /** It failed, and the owner asked for no dead letter. */
  readonly noDeadLetter?: boolean;
  /** Ids of what was sent with the completion. */
  readonly sends?: readonly string[];
}
export interface Owned extends Base {
  readonly kind: 'own';
  readonly entity: string;
  /** 0: nobody from now on. */
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
/** The log took a note of how an interrupted handler ended after all. */
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
  /** How many were left. */
  readonly left: number;
  /** Of the deleted one, by the store's clock. */
  readonly ageMs: number;
}
/** What an operator was shown of the log at one moment. */
export interface Shown extends Base {
  readonly kind: 'shown';
  readonly counts: {
    readonly depth: number;
    readonly active: number;
    readonly letters: number;
    readonly lastLetter: number;
    /** What a dry run says of a replay of all: how many it would replay, and how many it would refuse without force. */
    readonly replayable: number;
    readonly needForce: number;
  };
  readonly types: Readonly<Record<string, { readonly running: number; readonly pending: number }>>;
  /** Some entities with a running message: its sequence, and how many wait, as the survey and as the entity's own page say. */
  readonly entities: readonly { readonly entity: string; readonly running: number; readonly pending: readonly number[] }[];
  readonly letters: readonly ShownLetter[];
  readonly lists: readonly ShownList[];
  /** The first letter, asked for by its number. */
  readonly first?: string | undefined;
  /** What was found under a number that no letter has. */
  readonly surplus?: string;
}
export interface ShownLetter {
  readonly id: string;
  readonly entity: string;
  readonly sequence: number;
  readonly attempts: number;
  readonly reason: 'failed' | 'interrupted';
  /** By the store's clock. */
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
   * `lead`: the store named this incarnation master; `again`: it did so once more under the same epoch, though the term before was over.
   * `accept`, `refuse`: this node did so with a command of that epoch. `overdue`: this node sent a command after its term.
   */
  readonly what: 'lead' | 'again' | 'accept' | 'refuse' | 'overdue';
}

/** The store counts that incarnation as dead from now on. */
export interface Bury extends Base {
  readonly kind: 'bury';
  readonly buried: number;
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
  /** It never ends, whatever its signal says. */
  readonly isEndless?: true;
}
export interface End extends Base {
  readonly kind: 'end';
  readonly entity: string;
  readonly seq: number;
  readonly attempt: number;
  readonly outcome: 'completed' | 'failed';
  /** It failed with a refusal: an answer to its caller, which makes no dead letter. */
  readonly isRefusal?: boolean;
  readonly result: string;
  /** Transactional sends that the handler made. */
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
/** The node has said so to those who watch it, as logs and listeners of dead letters do. */
export interface Reported extends Base {
  readonly kind: 'reported';
  readonly event: 'dead-letter' | 'dropping-dead-letter';
  readonly entity: string;
  readonly id: string;
  /** Of one that is deleted next. */
  readonly letter?: string;
}
export interface FaultEvent extends Base {
  readonly kind: 'fault';
  readonly fault: string;
  readonly phase: 'begin' | 'end' | 'once';
  /** Of a pause: what was left of the node's lease by its own clock. */
  readonly leaseLeftMs?: number;
  /** Of a clock: its rate, or how far it jumped. */
  readonly rate?: number;
  readonly jumpMs?: number;
  readonly note?: string;
  /** Of a loss of writes: the nodes that had them acknowledged and live; left out: all that had joined. */
  readonly rememberedBy?: readonly string[];
  /** Of a store that was emptied and is used again: the nodes that live on from before. */
  readonly former?: readonly string[];
}
/** A hint reached this node. Scenarios record them, for their timelines; no checker may need them. */
export interface Told extends Base {
  readonly kind: 'told';
  readonly from: string;
  readonly message: PeerMessage;
}
/** The last fault has healed: liveness is owed from here on. */
export interface Healed extends Base {
  readonly kind: 'healed';
}
/** What is left at the end, when the cluster had its time. */
export interface Final extends Base {
  readonly kind: 'final';
  /** Not terminal in the store: entity and sequence. */
  readonly live: readonly (readonly [entity: string, seq: number])[];
  readonly depth: number;
  readonly active: number;
  readonly ready: number;
  readonly nodes: readonly NodeAtRest[];
  /** Left out: not looked at. */
  readonly store?: StoreAtRest;
  /** Service groups with a running node that handles something. */
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
  /** Sizes of the collections that it holds, by where; those that are empty are left out. Left out: not looked at. */
  readonly holds?: Readonly<Record<string, number>>;
}
export interface StoreAtRest {
  /** Members that are not dead; those of them that handle something and are listed as taking no new work; and sessions. */
  readonly members: number;
  readonly unwilling: number;
  readonly sessions: number;
  /** Records of entities that have nothing live, no owner and no hold. */
  readonly idleRecords: number;
  /** Ids and results that are kept for longer than retention says, by more than two clean-ups. */
  readonly overdue: number;
  /** Groups that had a master at some time in the last part of the run. */
  readonly led: readonly string[];
}
/** Something that the library must never let happen: an unhandled rejection, a call that threw. */
export interface Defect extends Base {
  readonly kind: 'defect';
  readonly what: string;
}
/** The scripts of the adapter for Redis do or store something else than the core. */
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
  | Bury
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

/** Omits what the recorder fills in, per member of the union. */
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
