/** Judges a history: the simulator's verdict, the outcomes that callers got, and the time that recovery took. */
import { check, IN_WORDS } from '../sim/checkers/check.js';
import type { Violation } from '../sim/checkers/view.js';
import type { HistoryEvent, NodeChange } from '../sim/history.js';
import type { Expectation } from './scenarios/scenario.js';
import { RECOVERY_MS_MAX } from './settings.js';

export interface Judgement {
  readonly verdict: 'valid' | 'invalid' | 'unknown';
  readonly violations: readonly { readonly invariant: string; readonly what: string; readonly index: number }[];
  readonly excused: Readonly<Record<string, number>>;
  /** Number of client calls. Each has one of the next four outcomes. A call whose process ended first is unknown as well. */
  readonly messages: number;
  readonly ok: number;
  readonly failed: number;
  readonly rejected: number;
  readonly unknown: number;
  /** Number of times that messages came to each end in the log, including messages that handlers sent. */
  readonly log: Readonly<Record<'completed' | 'failed' | 'interrupted' | 'withdrawn', number>>;
  /** Number of effects that the fence refused. */
  readonly refusedEffects: number;
  /** Number of leases that live processes lost, by a fault or because the machine gave them no time. */
  readonly leasesLost: number;
  /** Names of the nodes that lost a lease. */
  readonly leaseLosers: readonly string[];
  /** Number of times that a node stopped starting handlers because its own clock said that its lease was over. */
  readonly suspensions: number;
  /** Median duration in ms of the calls that were made during a fault and got their results. */
  readonly faultMsMedian: number;
  /** Observations that the scenario looked for and made. */
  readonly seen: readonly string[];
  /** Time in ms from the heal until every message accepted before it has ended and every node has served a call. Null: never. */
  readonly recoveredMs: number | null;
  /**
   * Smallest time in ms from the log's begin of an attempt to the start of its handler. It shows how well the clocks of the
   * history agree.
   */
  readonly clockSlackMs: number;
}

/** Returns the judgement of a history. `must` lists what has to have happened besides the invariants. */
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
