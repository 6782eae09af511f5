/** What a history says: the simulator's verdict, what callers were told, and how long it took to recover. */
import { check, IN_WORDS } from '../sim/checkers/check.js';
import type { Violation } from '../sim/checkers/view.js';
import type { HistoryEvent, NodeChange } from '../sim/history.js';
import type { Expectation } from './scenarios/scenario.js';
import { RECOVERY_MS_MAX } from './settings.js';

export interface Judgement {
  readonly verdict: 'valid' | 'invalid' | 'unknown';
  readonly violations: readonly { readonly invariant: string; readonly what: string; readonly index: number }[];
  readonly excused: Readonly<Record<string, number>>;
  /** Calls of clients; each is told one of the four, or its process ended first, which is unknown as well. */
  readonly messages: number;
  readonly ok: number;
  readonly failed: number;
  readonly rejected: number;
  readonly unknown: number;
  /** What became of them in the log, and of what handlers sent. */
  readonly log: Readonly<Record<'completed' | 'failed' | 'interrupted' | 'withdrawn', number>>;
  /** Effects that the fence refused. */
  readonly refusedEffects: number;
  /** Of living processes: by a fault, or because the machine gave them no time. */
  readonly leasesLost: number;
  /** The nodes that lost one. */
  readonly leaseLosers: readonly string[];
  /** How often a node stopped starting handlers by its own clock. */
  readonly suspensions: number;
  /** Calls that were made while something was wrong, and got their results: what half of them took at least. */
  readonly faultMsMedian: number;
  /** What a scenario has looked for and seen. */
  readonly seen: readonly string[];
  /** From the heal until all that was accepted before it has ended and every node has served a call; null: never. */
  readonly recoveredMs: number | null;
  /** Smallest time between the log's begin of an attempt and its start: how well the clocks of the history agree. */
  readonly clockSlackMs: number;
}

/** `must`: what, besides the invariants, has to have happened. */
export function judge(events: readonly HistoryEvent[], must: readonly Expectation[] = []): Judgement {
  const judgement = judgeInvariants(events);
  const missed = must
    .filter((m) => !m.holds(judgement))
    .map(({ what }) => ({ invariant: 'scenario', what: `not so: ${what}`, index: 0 }));
  if (missed.length === 0) return judgement;
  return { ...judgement, verdict: 'invalid', violations: [...judgement.violations, ...missed] };
}

function judgeInvariants(events: readonly HistoryEvent[]): Judgement {
  const { violations, excused, unknown: openSearches } = check(events);
  const recoveredMs = recoveryOf(events);
  const all: Judgement['violations'] = [...violations, ...tooLate(recoveredMs, events.length - 1)];
  return {
    verdict: all.length > 0 ? 'invalid' : openSearches > 0 ? 'unknown' : 'valid',
    violations: all,
    excused,
    ...toldOf(events),
    log: endsOf(events),
    refusedEffects: events.filter((e) => e.kind === 'effect' && !e.accepted).length,
    ...statesOf(events),
    faultMsMedian: faultMsMedianOf(events),
    seen: events.flatMap((e) => (e.kind === 'fault' && e.note === 'seen' ? [e.fault] : [])),
    recoveredMs,
    clockSlackMs: slackOf(events),
  };
}

function tooLate(recoveredMs: number | null, index: number): Violation[] {
  if (recoveredMs !== null && recoveredMs <= RECOVERY_MS_MAX) return [];
  const what = recoveredMs === null ? 'it never recovered' : `it recovered ${recoveredMs} ms after the heal`;
  return [{ invariant: 'L1', what: `${what}, allowed ${RECOVERY_MS_MAX}`, index }];
}

export const inWords = (invariant: string): string =>
  IN_WORDS[invariant as keyof typeof IN_WORDS] ?? 'what the fault must have led to';

function toldOf(events: readonly HistoryEvent[]): Pick<Judgement, 'messages' | 'ok' | 'failed' | 'rejected' | 'unknown'> {
  const count = { ok: 0, failed: 0, rejected: 0, unknown: 0 };
  const told = new Map<string, HistoryEvent>();
  const calls: string[] = [];
  for (const event of events) {
    if (event.kind === 'invoke') calls.push(`${event.call} ${event.node} ${event.index}`);
    else if (event.kind === 'ok' || event.kind === 'fail' || event.kind === 'unknown')
      told.set(`${event.call} ${event.node}`, event);
  }
  for (const call of calls) {
    const end = told.get(call.slice(0, call.lastIndexOf(' ')));
    if (end?.kind === 'ok') count.ok++;
    else if (end?.kind === 'fail') count[end.definite ? 'rejected' : 'failed']++;
    else count.unknown++;
  }
  return { messages: calls.length, ...count };
}

function statesOf(events: readonly HistoryEvent[]): Pick<Judgement, 'leasesLost' | 'leaseLosers' | 'suspensions'> {
  const nodesThat = (state: NodeChange): string[] =>
    events.flatMap((e) => (e.kind === 'node' && e.state === state ? [e.node] : []));
  const losers = nodesThat('lease-lost');
  return {
    leasesLost: losers.length,
    leaseLosers: [...new Set(losers)].sort(),
    suspensions: nodesThat('suspended').length,
  };
}

function faultMsMedianOf(events: readonly HistoryEvent[]): number {
  const open = new Set<string>();
  const invoked = new Set<string>();
  const tookMs: number[] = [];
  for (const event of events) {
    if (event.kind === 'fault') {
      if (event.phase === 'begin') open.add(`${event.fault} ${event.node}`);
      else if (event.phase === 'end') open.delete(`${event.fault} ${event.node}`);
    } else if (event.kind === 'invoke' && event.how === 'wait' && open.size > 0) invoked.add(`${event.call} ${event.node}`);
    else if (event.kind === 'ok' && invoked.has(`${event.call} ${event.node}`)) tookMs.push(event.tookMs);
  }
  return Math.round(tookMs.sort((a, b) => a - b)[Math.floor(tookMs.length / 2)] ?? 0);
}

function endsOf(events: readonly HistoryEvent[]): Judgement['log'] {
  const ends = { completed: 0, failed: 0, interrupted: 0, withdrawn: 0 };
  for (const event of events)
    if (event.kind === 'transition' && event.to !== 'enqueued' && event.to !== 'dispatched') ends[event.to]++;
  return ends;
}

function recoveryOf(events: readonly HistoryEvent[]): number | null {
  const healed = events.find((e) => e.kind === 'healed');
  const final = events.find((e) => e.kind === 'final');
  if (healed === undefined || final?.kind !== 'final') return null;
  const waiting = new Set<string>();
  const unserved = new Set(final.nodes.map((n) => n.node));
  const invoked = new Set<string>();
  let recoveredMs = healed.atMs;
  for (const event of events) {
    if (event.kind === 'append' && event.index < healed.index) waiting.add(`${event.entity} ${event.seq}`);
    else if (event.kind === 'transition' && event.to !== 'enqueued' && event.to !== 'dispatched') {
      if (waiting.delete(`${event.entity} ${event.seq}`)) recoveredMs = Math.max(recoveredMs, event.atMs);
    } else if (event.kind === 'invoke' && event.index > healed.index) invoked.add(`${event.call} ${event.node}`);
    else if (event.kind === 'ok' && invoked.has(`${event.call} ${event.node}`)) {
      if (unserved.delete(event.node)) recoveredMs = Math.max(recoveredMs, event.atMs);
    }
  }
  return waiting.size + unserved.size > 0 ? null : Math.round(recoveredMs - healed.atMs);
}

function slackOf(events: readonly HistoryEvent[]): number {
  const begun = new Map<string, number>();
  let slackMs = Number.POSITIVE_INFINITY;
  for (const event of events) {
    if (event.kind === 'transition' && event.to === 'dispatched')
      begun.set(`${event.entity} ${event.seq} ${event.attempt}`, event.atMs);
    else if (event.kind === 'start') {
      const atMs = begun.get(`${event.entity} ${event.seq} ${event.attempt}`);
      if (atMs !== undefined) slackMs = Math.min(slackMs, event.atMs - atMs);
    }
  }
  return Number(slackMs.toFixed(3));
}
