/** A history sorted by what the checkers ask for: by message, by entity, by process run. */
import { givenKey, type History, type StoredLetter, type StoredState } from './history.js';
import type { Effect } from './ledger.js';
import { entityKey, type Plan } from './plan.js';
import type { End, Exit, Invoke, Stall, Start, Told } from './record.js';

/** One run of a handler. */
export interface HandlerRun extends Start {
  /** Undefined: its process was killed in the middle. */
  readonly end: End | undefined;
}

export interface Call extends Invoke {
  readonly told: Told | undefined;
}

/** All that is known of one message. */
export interface Message {
  readonly ref: string;
  readonly entity: string;
  readonly plan: Plan;
  /** The message whose handler sends it. */
  readonly parent: Message | undefined;
  readonly calls: Call[];
  /** In order of time. */
  readonly runs: HandlerRun[];
  readonly letters: StoredLetter[];
  /** Undefined: no caller gave an id, so the store keeps nothing once it has ended. */
  stored: StoredState | undefined;
}

export type Verdict = 'none' | 'lost' | 'completed' | 'failed' | 'interrupted' | 'withdrawn';

/** When it began. */
const fromUs = ({ atUs, forMs }: Stall): number => atUs - forMs * 1000;

/** Codes by which a caller learns that the message had been accepted. */
const ACCEPTED_CODES = new Set(['HANDLER_FAILED', 'INTERRUPTED', 'WITHDRAWN']);

export class Facts {
  readonly messages = new Map<string, Message>();
  readonly byEntity = new Map<string, HandlerRun[]>();
  readonly exits = new Map<number, Exit>();
  /** Those that outlasted the lease. */
  readonly #stalls: Stall[] = [];
  readonly #effects = new Map<string, Effect[]>();
  /** Starts and letters of messages that nobody has sent. */
  readonly strangers: (Start | StoredLetter)[] = [];

  constructor(readonly history: History) {
    const told = new Map<string, Told>();
    for (const event of history.events) {
      if (event.kind === 'told') told.set(event.call, event);
      else if (event.kind === 'exit') this.exits.set(event.run, event);
      else if (event.kind === 'stall' && event.forMs >= history.leaseMs) this.#stalls.push(event);
    }
    for (const event of history.events) if (event.kind === 'invoke') this.#invoked({ ...event, told: told.get(event.call) });
    for (const effect of history.final.effects) this.#effects.set(effect.ref, [...this.effectsOf(effect.ref), effect]);
    this.#collectRuns();
    for (const letter of history.final.letters) {
      const message = this.messages.get(letter.ref);
      if (message === undefined) this.strangers.push(letter);
      else message.letters.push(letter);
    }
  }

  #invoked(call: Call): void {
    const known = this.messages.get(call.plan.ref);
    if (known === undefined) this.#add(call.plan, undefined);
    const message = this.messages.get(call.plan.ref) as Message;
    message.calls.push(call);
    if (call.id === undefined) return;
    message.stored = this.history.final.given.get(givenKey(message.entity, call.id)) ?? 'absent';
  }

  #add(plan: Plan, parent: Message | undefined): void {
    const entity = entityKey(plan);
    const message: Message = { ref: plan.ref, entity, plan, parent, calls: [], runs: [], letters: [], stored: undefined };
    this.messages.set(plan.ref, message);
    for (const sent of plan.sends) this.#add(sent, message);
  }

  #collectRuns(): void {
    const attemptKey = (event: Start | End): string => `${event.run} ${event.entity} ${event.id} ${event.seq} ${event.attempt}`;
    const ends = new Map<string, End[]>();
    for (const event of this.history.events) {
      if (event.kind !== 'end') continue;
      const same = ends.get(attemptKey(event));
      if (same === undefined) ends.set(attemptKey(event), [event]);
      else same.push(event);
    }
    const starts = this.history.events.filter((event): event is Start => event.kind === 'start');
    starts.sort((a, b) => a.atUs - b.atUs);
    for (const start of starts) {
      const run: HandlerRun = { ...start, end: ends.get(attemptKey(start))?.shift() };
      const ofEntity = this.byEntity.get(start.entity);
      if (ofEntity === undefined) this.byEntity.set(start.entity, [run]);
      else ofEntity.push(run);
      const message = this.messages.get(start.ref);
      if (message === undefined) this.strangers.push(start);
      else message.runs.push(run);
    }
  }

  /**
   * From when on others may have taken over what that handler did: its process was killed, or stood still past its lease, which
   * was renewed a heartbeat before at the latest.
   */
  lostUs({ run, atUs, end }: HandlerRun): number {
    const endUs = end?.atUs ?? Number.POSITIVE_INFINITY;
    const stall = this.#stalls.find((each) => each.run === run && each.atUs >= atUs && fromUs(each) <= endUs);
    const { leaseMs, heartbeatMs } = this.history;
    const lapsedUs = stall === undefined ? Number.POSITIVE_INFINITY : fromUs(stall) + (leaseMs - heartbeatMs) * 1000;
    return Math.min(this.killedUs(run), lapsedUs);
  }

  /** What the handlers' own store has taken of a message. */
  effectsOf(ref: string): readonly Effect[] {
    return this.#effects.get(ref) ?? [];
  }

  /** When a handler can no longer have been running: its end, or that of its process. */
  endUs(run: HandlerRun): number {
    return run.end?.atUs ?? this.exits.get(run.run)?.atUs ?? Number.POSITIVE_INFINITY;
  }

  /** When the process run was killed by the campaign, or never. */
  killedUs(run: number): number {
    const exit = this.exits.get(run);
    return exit?.killed === true ? exit.atUs : Number.POSITIVE_INFINITY;
  }

  get kills(): number {
    return [...this.exits.values()].filter(({ killed }) => killed).length;
  }

  /** Whether anything shows that the log has, or had, the message. */
  isAccepted(message: Message): boolean {
    if (message.runs.length > 0 || message.letters.length > 0) return true;
    if (message.stored !== undefined && message.stored !== 'absent') return true;
    if (message.calls.some(({ told }) => saysAccepted(told) && !isWithdrawn(told))) return true;
    return message.parent !== undefined && this.verdictOf(message.parent) === 'completed';
  }

  /** How it ended: by the store if it keeps the id, else by the dead letter, else by the end of its handler. */
  verdictOf(message: Message): Verdict {
    const { stored } = message;
    if (stored !== undefined && stored !== 'absent') return stored === 'live' ? 'lost' : stored;
    if (!this.isAccepted(message)) return 'none';
    if (stored === 'absent') return 'lost';
    const letter = message.letters[0];
    if (letter !== undefined) return letter.reason;
    return message.runs.at(-1)?.end?.how === 'ok' ? 'completed' : 'lost';
  }
}

export function saysAccepted(told: Told | undefined): boolean {
  if (told === undefined) return false;
  if (told.verdict !== 'error') return true;
  return ACCEPTED_CODES.has(told.code ?? '') || isWithdrawn(told);
}

/** A timeout after the message was taken back: from the log, or before it had left its process. */
export const isWithdrawn = (told: Told | undefined): boolean => told?.code === 'REPLY_TIMEOUT' && told.definite === true;
