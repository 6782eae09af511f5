/** Hand-written histories: a good one, and small changes that break one invariant each. */
import { check } from '../../sim/checkers/check.js';
import { History, type HistoryEvent } from '../../sim/history.js';
import type { RunFacts } from '../../sim/run-facts.js';

export const FACTS: RunFacts = {
  leaseTtlMs: 500,
  leaseMarginMs: 50,
  takeoverHoldMs: 500,
  types: {
    plain: { maxAttempts: 1, onInterrupt: 'dead-letter', depthMax: 3, fenced: false },
    fenced: { maxAttempts: 1, onInterrupt: 'dead-letter', depthMax: 0, fenced: true },
    retried: { maxAttempts: 2, onInterrupt: 'retry', depthMax: 0, fenced: true },
  },
  depthMaxTotal: 10,
  deadLetters: { max: 2, ttlMs: 60_000 },
  concurrentHandlersMax: 100,
  blockedAfterMs: 1000,
  settleMs: 5000,
  independentMs: 2000,
};

export type Raw = Parameters<History['add']>[0] & { at?: number };

/** Stamps events one millisecond apart, or at their `at`. */
export function historyOf(events: readonly Raw[], facts: RunFacts = FACTS): HistoryEvent[] {
  let nowMs = 0;
  const history = new History(() => nowMs);
  history.add({ kind: 'run', node: '', incarnation: 0, facts });
  for (const { at, ...event } of events) {
    nowMs = at ?? nowMs + 1;
    history.add(event as Raw);
  }
  return history.events;
}

export const ON1 = { node: 'n1', incarnation: 1 };
export const ON2 = { node: 'n2', incarnation: 2 };

type Where = typeof ON1;

export const invoke = (
  call: string,
  entity: string,
  more: Partial<Extract<Raw, { kind: 'invoke' }>> = {},
  on: Where = ON1,
): Raw => ({
  ...{ kind: 'invoke', ...on, call, how: 'wait', entity, op: 'deposit', amount: 5, id: '', deadlineMs: 1000, probe: false },
  ...more,
});
export const append = (call: string, entity: string, seq: number, more: Partial<Extract<Raw, { kind: 'append' }>> = {}): Raw => ({
  ...{ kind: 'append', ...ON1, entity, id: `id-${call}`, seq, call, given: false, replayOf: '' },
  ...{ depth: 1, total: 1, active: 1, workersMax: 10 },
  ...more,
});
export const move = (
  entity: string,
  seq: number,
  to: Extract<Raw, { kind: 'transition' }>['to'],
  more: Partial<Extract<Raw, { kind: 'transition' }>> = {},
): Raw => ({
  ...{
    kind: 'transition',
    ...ON1,
    entity,
    id: '',
    seq,
    attempt: 1,
    from: to === 'dispatched' ? 'enqueued' : 'dispatched',
    to,
    fence: 1,
  },
  ...more,
});
export const start = (call: string, entity: string, seq: number, on: Where = ON1, attempt = 1): Raw => ({
  ...{ kind: 'start', ...on, entity, id: '', seq, attempt, fence: 1, call, op: 'deposit', amount: 5 },
});
export const end = (entity: string, seq: number, result: string, on: Where = ON1, attempt = 1): Raw => ({
  ...{ kind: 'end', ...on, entity, seq, attempt, outcome: 'completed', result, sends: 0 },
});
export const ok = (call: string, result: string): Raw => ({ kind: 'ok', ...ON1, call, result, tookMs: 5 });
export const claim = (entity: string, owner: number, fence: number): Raw => ({
  ...{ kind: 'own', node: `n${owner}`, incarnation: owner, entity, owner, fence, how: 'claim' },
});
export const effect = (entity: string, seq: number, fence: number, accepted: boolean, on: Where = ON1): Raw => ({
  ...{ kind: 'effect', ...on, entity, seq, fence, what: 'write', accepted, balance: 0 },
});
export const final = (more: Partial<Extract<Raw, { kind: 'final' }>> = {}): Raw => ({
  ...{ kind: 'final', node: '', incarnation: 0, live: [], depth: 0, active: 0, ready: 0 },
  nodes: [{ node: 'n1', state: 'running', running: 0, waiting: 0, timers: 5, owned: 0 }],
  balances: {},
  ...more,
});
export const healed: Raw = { kind: 'healed', node: '', incarnation: 0 };

/** One message from call to result. */
export const whole = (call: string, entity: string, seq: number, balance: number): Raw[] => [
  invoke(call, entity),
  append(call, entity, seq),
  move(entity, seq, 'dispatched'),
  start(call, entity, seq),
  end(entity, seq, String(balance)),
  move(entity, seq, 'completed', { result: String(balance), sends: [] }),
  ok(call, String(balance)),
];

/** The invariants that this history breaks, each once. */
export const broken = (events: readonly Raw[]): string[] => [
  ...new Set(check(historyOf(events)).violations.map((v) => v.invariant)),
];
