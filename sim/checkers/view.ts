/** A history, indexed once for all checkers. Events are ordered by index, which also orders events of the same instant. */
import type {
  Appended,
  Effect,
  End,
  Fail,
  FaultEvent,
  Final,
  HistoryEvent,
  Invoke,
  LateNote,
  LetterDropped,
  LetterMade,
  Owned,
  Start,
  Transition,
  Unknown,
} from '../history.js';
import { isQuiet } from '../nearby.js';
import type { RunFacts, TypeFacts } from '../run-facts.js';

export const INVARIANTS = [
  'I1',
  'I2',
  'I2f',
  'I3',
  'I4',
  'I5',
  'I6',
  'I7',
  'L1',
  'L2',
  'L3',
  'L4',
  'L5',
  'bank',
  'defect',
  'lua',
] as const;
export type InvariantId = (typeof INVARIANTS)[number];

export interface Violation {
  readonly invariant: InvariantId;
  readonly what: string;
  /** Index of the event that shows the violation. */
  readonly index: number;
}

export interface Findings {
  violated(invariant: InvariantId, what: string, index: number): void;
  /** Counts what would be a violation if the run had kept the assumptions of that invariant (docs/invariants.md). */
  excuse(invariant: InvariantId, why: string): void;
  /** Counts a check that ran out of budget. */
  unknown(invariant: InvariantId): void;
}

/** One run of a handler. `endIndex` and `endMs` are infinite while it runs; `abortMs` is infinite until its signal aborts. */
export interface Handling {
  readonly start: Start;
  end: End | undefined;
  endIndex: number;
  endMs: number;
  abortMs: number;
}

export interface Span {
  readonly fromMs: number;
  toMs: number;
  readonly value: number;
  /** True for a pause in which the clock stood still. The node may count its lease as valid for up to one lease time after it. */
  readonly suspended: boolean;
}

export interface EntityView {
  readonly entity: string;
  readonly appends: Appended[];
  readonly transitions: Transition[];
  readonly handlings: Handling[];
  readonly effects: Effect[];
  readonly letters: LetterMade[];
  /** Late ends that the log noted on dead letters. */
  readonly notes: LateNote[];
  readonly owned: Owned[];
  /** True if a node has reported the entity as blocked at any time. */
  blocked: boolean;
}

const NEVER = Number.POSITIVE_INFINITY;
/** Longest wait between two attempts, in ms. Simulated nodes keep the default of the configuration. */
const BACKOFF_MS_MAX = 30_000;

export class View {
  facts!: RunFacts;
  final: Final | undefined;
  healedMs = NEVER;
  /** Index of the event at which the store lost writes. */
  lossIndex = NEVER;
  /** The key that a fault deleted from the store, with the field if only a field was deleted; undefined if none was. */
  lostKey: string | undefined;
  /** True if the store lost everything. */
  isEmptied = false;
  /** Index of the event after which an operator deletes dead letters regardless of their limits. */
  purgedFromIndex = NEVER;
  /** Live nodes that had an acknowledgement of a lost write; undefined: all nodes that had joined. */
  rememberedBy: ReadonlySet<string> | undefined;
  /** Index of the event at which the first node that noticed the loss closed the store. */
  closedIndex = NEVER;
  readonly entities = new Map<string, EntityView>();
  readonly invokes: Invoke[] = [];
  readonly drops: LetterDropped[] = [];
  /** Pauses by node. The value is the lease that was left at the begin of the pause, in ms. */
  readonly pauses = new Map<string, Span[]>();
  /** Spans in which a clock ran at another rate than 1, by node. The value is the rate. */
  readonly clocks = new Map<string, Span[]>();
  /** Times in ms at which the store's clock jumped ahead. */
  readonly jumpsMs: number[] = [];
  /** Crashes and exits of processes by node: index and time. */
  readonly deaths = new Map<string, { index: number; atMs: number }[]>();
  /** Index of the last join, by node. */
  readonly joined = new Map<string, number>();
  private readonly joinsMs: number[] = [];
  private readonly open = new Map<string, Handling>();

  constructor(readonly events: readonly HistoryEvent[]) {
    for (const event of events) this.take(event);
  }

  entity(entity: string): EntityView {
    let view = this.entities.get(entity);
    if (view === undefined) {
      view = {
        entity,
        appends: [],
        transitions: [],
        handlings: [],
        effects: [],
        letters: [],
        notes: [],
        owned: [],
        blocked: false,
      };
      this.entities.set(entity, view);
    }
    return view;
  }

  typeFacts(entity: string): TypeFacts {
    const facts = this.facts.types[entity.slice(0, entity.indexOf(':'))];
    if (facts === undefined) throw new Error(`the history tells nothing of the type of ${entity}`);
    return facts;
  }

  private take(event: HistoryEvent): void {
    switch (event.kind) {
      case 'run':
        this.facts = event.facts;
        return;
      case 'invoke':
        this.invokes.push(event);
        return;
      case 'append':
        this.entity(event.entity).appends.push(event);
        return;
      case 'transition':
        this.entity(event.entity).transitions.push(event);
        return;
      case 'own':
        this.entity(event.entity).owned.push(event);
        return;
      case 'effect':
        this.entity(event.entity).effects.push(event);
        return;
      case 'letter':
        this.entity(event.entity).letters.push(event);
        return;
      case 'late':
        this.entity(event.entity).notes.push(event);
        return;
      case 'drop':
        this.drops.push(event);
        return;
      case 'blocked':
        this.entity(event.entity).blocked = true;
        return;
      case 'start':
      case 'end':
      case 'abort':
        this.handling(event);
        return;
      case 'node':
        if (event.state === 'joined') {
          this.joined.set(event.node, event.index);
          this.joinsMs.push(event.atMs);
        }
        if (event.state === 'crashed' || event.state === 'exited') this.died(event.node, event.index, event.atMs);
        return;
      case 'fault':
        this.fault(event);
        return;
      case 'healed':
        this.healedMs = event.atMs;
        return;
      case 'final':
        this.final = event;
    }
  }

  private handling(event: Start | End | (HistoryEvent & { kind: 'abort' })): void {
    const key = `${event.node} ${event.incarnation} ${event.entity} ${event.seq} ${event.attempt}`;
    if (event.kind === 'start') {
      const handling: Handling = { start: event, end: undefined, endIndex: NEVER, endMs: NEVER, abortMs: NEVER };
      this.open.set(key, handling);
      this.entity(event.entity).handlings.push(handling);
      return;
    }
    const handling = this.open.get(key);
    if (handling === undefined) return;
    if (event.kind === 'abort') {
      handling.abortMs = Math.min(handling.abortMs, event.atMs);
      return;
    }
    handling.end = event;
    handling.endIndex = event.index;
    handling.endMs = event.atMs;
    this.open.delete(key);
  }

  private died(node: string, index: number, atMs: number): void {
    listOf(this.deaths, node).push({ index, atMs });
    for (const [key, handling] of this.open) {
      if (handling.start.node !== node) continue;
      handling.endIndex = index;
      handling.endMs = atMs;
      this.open.delete(key);
    }
  }

  private fault(event: FaultEvent): void {
    const { node, atMs } = event;
    if (event.fault === 'storeLoss') {
      this.lossIndex = Math.min(this.lossIndex, event.index);
      this.isEmptied = event.note === 'storeEmpty';
      this.rememberedBy = event.rememberedBy === undefined ? undefined : new Set(event.rememberedBy);
    } else if (event.fault === 'keyLost') {
      this.lossIndex = Math.min(this.lossIndex, event.index);
      this.lostKey = event.note;
    } else if (event.fault === 'operatorPurges') this.purgedFromIndex = Math.min(this.purgedFromIndex, event.index);
    else if (event.fault === 'storeClosed') this.closedIndex = Math.min(this.closedIndex, event.index);
    else if (event.fault === 'storeJump' && (event.jumpMs ?? 0) > 0) this.jumpsMs.push(atMs);
    else if (event.fault === 'pause') span(this.pauses, node, event, event.leaseLeftMs ?? 0);
    else if (event.fault === 'clock') span(this.clocks, node, event, event.rate ?? 1);
  }

  /** Returns the time in ms from which a run without faults has settled; undefined if the run injects faults. */
  calmFromMs(): number | undefined {
    const { calmAfterJoinMs } = this.facts;
    if (calmAfterJoinMs === undefined) return undefined;
    return Math.max(0, ...this.joinsMs) + calmAfterJoinMs;
  }

  /** Returns whether no fault has an effect between these two times. */
  isQuiet(fromMs: number, toMs: number): boolean {
    const { disturbedMs } = this.facts;
    return disturbedMs !== undefined && isQuiet(disturbedMs, fromMs, toMs);
  }

  /** Returns the shortest wait in ms after that attempt has failed. */
  backoffMs(entity: string, attempt: number): number {
    const { backoffMs = 0 } = this.typeFacts(entity);
    return attempt === 0 ? 0 : Math.min(backoffMs * 2 ** (attempt - 1), BACKOFF_MS_MAX);
  }

  /** Returns the event of that index; undefined if the part of the history that this view judges does not contain it. */
  at(index: number): HistoryEvent | undefined {
    const event = this.events[index];
    return event?.index === index ? event : this.events.find((e) => e.index === index);
  }

  /**
   * Returns the invocation of a call that ended; if its index is unknown, the last one of that call on that node before the end.
   */
  invokeOf({ call, node, index, invoked }: Fail | Unknown): Invoke | undefined {
    const known = invoked === undefined ? undefined : this.at(invoked);
    if (known?.kind === 'invoke') return known;
    return this.invokes.findLast((i) => i.call === call && i.node === node && i.index <= index);
  }

  /** Returns false if the same message was sent by a second caller or a second time. */
  isSoleCaller(call: string): boolean {
    return this.invokes.find((i) => i.call === call) === this.invokes.findLast((i) => i.call === call);
  }

  /** Returns the terminal transition of the first message of that call; undefined while the message is live. */
  endOf({ call, entity }: Invoke): Transition | undefined {
    const { appends, transitions } = this.entity(entity);
    const seq = appends.find((a) => a.call === call && a.replayOf === '')?.seq;
    return transitions.find((t) => t.seq === seq && isTerminal(t.to));
  }

  /** Returns how many handlings that the workload never lets end run on that node. */
  stuckOn(node: string): number {
    let n = 0;
    for (const { start } of this.open.values()) if (start.node === node && start.isEndless === true) n++;
    return n;
  }

  /** Returns whether the process of that node ended after the event of that index. */
  diedAfter(node: string, index: number): boolean {
    return this.deaths.get(node)?.some((d) => d.index > index) === true;
  }

  /** Returns for how many ms between the two times the node was paused. */
  pausedMs(node: string, fromMs: number, toMs: number): number {
    let sum = 0;
    for (const p of this.pauses.get(node) ?? []) sum += Math.max(0, Math.min(p.toMs, toMs) - Math.max(p.fromMs, fromMs));
    return sum;
  }
}

function listOf<T>(map: Map<string, T[]>, key: string): T[] {
  const known = map.get(key);
  if (known !== undefined) return known;
  const list: T[] = [];
  map.set(key, list);
  return list;
}

function span(map: Map<string, Span[]>, node: string, event: FaultEvent, value: number): void {
  const list = listOf(map, node);
  if (event.phase === 'begin') list.push({ fromMs: event.atMs, toMs: NEVER, value, suspended: event.note === 'suspended' });
  else for (const open of list) if (open.toMs === NEVER) open.toMs = event.atMs;
}

/** Largest deviation of a clock rate from 1. Clocks that keep it are within about 1 % of each other. */
const RATE_MAX = 0.0051;

/**
 * Returns which assumption of I2 was broken for the handler `earlier` before another handler started beside it at `laterMs`;
 * undefined if none was. Excuses exactly what docs/invariants.md allows.
 */
export function excuseOf(view: View, earlier: Handling, laterMs: number): string | undefined {
  const { takeoverHoldMs } = view.facts;
  const { node, entity, atMs } = earlier.start;
  const takenMs = view.entity(entity).owned.find((o) => o.how === 'takeover' && o.atMs >= atMs)?.atMs ?? NEVER;
  const clocks =
    pastLeaseOf(view, view.pauses.get(node) ?? [], atMs, laterMs, takenMs) ?? outOfBoundOf(view, node, atMs, laterMs);
  if (clocks !== undefined) return clocks;
  // The take-over hold is in store time, so a jump of the store's clock within the hold shortens it. A jump before the take-over
  // excuses nothing, since no node is evicted by the store's clock alone.
  if (view.jumpsMs.some((jumpMs) => jumpMs >= takenMs && jumpMs <= laterMs))
    return 'the clock of the store jumped within the hold';
  if (earlier.abortMs + takeoverHoldMs < Math.min(earlier.endMs, laterMs)) return 'it ignored its signal beyond the hold';
  return undefined;
}

/**
 * Returns the excuse for a handler that starts after its node has lost the right to run it; undefined if there is none. The lease
 * is checked before each start, so only a clock that stood still or was out of bound excuses the start. A pause in which the
 * clock went on does not.
 */
export function lateStartExcuseOf(view: View, { start: { node, atMs } }: Handling): string | undefined {
  const suspensions = (view.pauses.get(node) ?? []).filter((p) => p.suspended);
  return pastLeaseOf(view, suspensions, atMs, atMs, atMs) ?? outOfBoundOf(view, node, atMs, atMs);
}

/** Returns which wrong clock (the node's or the store's) explains that a node acted as master after its term; or undefined. */
export function overdueExcuseOf(view: View, node: string, atMs: number): string | undefined {
  const { leaderTtlMs = view.facts.leaseTtlMs } = view.facts;
  const fromMs = atMs - 2 * leaderTtlMs;
  if (view.jumpsMs.some((jumpMs) => jumpMs >= fromMs && jumpMs <= atMs)) return 'the clock of the store jumped within the term';
  if ((view.pauses.get(node) ?? []).some((p) => p.suspended && p.toMs >= fromMs)) return 'its node was suspended within the term';
  return outOfBoundOf(view, node, atMs, atMs);
}

/** `lostMs`: time at which the node lost the entity, or later. */
function pastLeaseOf(view: View, pauses: readonly Span[], atMs: number, laterMs: number, lostMs: number): string | undefined {
  const { leaseTtlMs } = view.facts;
  for (const pause of pauses) {
    const leaseEndMs = pause.fromMs + pause.value - unseenMs(view, pauses, pause);
    // A pause that was over when the handler started excuses nothing, since the lease is checked before each start. After a
    // suspension the clock is behind until the next heartbeat, which is sent within one lease time.
    const wrongUntilMs = pause.suspended ? pause.toMs + leaseTtlMs : pause.toMs;
    const isMeanwhile = pause.fromMs <= laterMs && wrongUntilMs > atMs;
    if (isMeanwhile && Math.min(pause.toMs, laterMs) >= leaseEndMs) return 'its node was paused past its lease';
    // The suspension was shorter than the lease, but the node's lease lasts longer by it. An evicted node has sent no heartbeat
    // for one lease time, so it has sent none since it woke.
    if (pause.suspended && lostMs >= Math.max(leaseEndMs, pause.toMs) && lostMs < wrongUntilMs)
      return 'its node was suspended, and its lease ended unseen';
  }
  return undefined;
}

/**
 * Returns for how many ms the node's clock stood still between its last heartbeat and the pause: its lease is shorter by that.
 */
function unseenMs({ facts }: View, pauses: readonly Span[], pause: Span): number {
  let sinceHeartbeatMs = (facts.leaseTtlMs - facts.leaseMarginMs - pause.value) * (1 + RATE_MAX);
  let fromMs = pause.fromMs;
  let sum = 0;
  for (const { fromMs: stoodMs, toMs: wokeMs } of pauses.filter((p) => p.suspended && p.toMs <= fromMs).reverse()) {
    sinceHeartbeatMs -= fromMs - wokeMs;
    if (sinceHeartbeatMs < 0) break;
    sum += wokeMs - stoodMs;
    fromMs = stoodMs;
  }
  return sum;
}

function outOfBoundOf({ clocks, facts }: View, node: string, atMs: number, laterMs: number): string | undefined {
  for (const clock of clocks.get(node) ?? [])
    if (Math.abs(clock.value - 1) > RATE_MAX && clock.fromMs <= laterMs && clock.toMs >= atMs - facts.leaseTtlMs)
      return 'the clock of its node was out of bound';
  return undefined;
}

export const isTerminal = (state: Transition['to']): boolean => state !== 'enqueued' && state !== 'dispatched';
