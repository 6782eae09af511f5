/**
 * Linearizability of each account (Wing and Gong 1993, with Lowe's memo of visited states): is there one order of all
 * effects, each within its window, in which every result and the last balance come out?
 */
import { type EntityView, type Findings, isTerminal, type View } from './view.js';
import { overlapsOf } from './i2-single-writer.js';

export interface Operation {
  readonly op: 'deposit' | 'withdraw' | 'read';
  readonly amount: number;
  /** It takes effect between these two indexes. */
  readonly from: number;
  readonly to: number;
  /** Result of a completed one. */
  readonly result: number | undefined;
  /** It need not have taken effect at all. */
  readonly optional: boolean;
}

const STATES_MAX = 50_000;

export function bank(view: View, findings: Findings): void {
  if (view.lossIndex < Number.POSITIVE_INFINITY || view.final === undefined) return;
  for (const entity of view.entities.values()) {
    const operations = operationsOf(entity);
    if (operations.length === 0) continue;
    const { fenced } = view.typeFacts(entity.entity);
    if (!fenced && overlapsOf(view, entity).length > 0) {
      findings.excuse('bank', 'unfenced handlers overlapped');
      continue;
    }
    const verdict = linearizable(operations, view.final.balances[entity.entity] ?? 0);
    if (verdict === 'unknown') findings.unknown('bank');
    if (verdict === 'invalid') findings.violated('bank', `${entity.entity}: no order of its effects explains the results`, view.final.index);
  }
}

function operationsOf({ appends, transitions, handlings }: EntityView): Operation[] {
  const appended = new Map(appends.map((a) => [a.seq, a.index]));
  const ends = new Map(transitions.filter((t) => isTerminal(t.to)).map((t) => [t.seq, t]));
  const operations = new Map<number, Operation>();
  for (const { start } of handlings) {
    const { seq, op, amount } = start;
    const end = ends.get(seq);
    const isDone = end?.to === 'completed';
    operations.set(seq, {
      ...{ op, amount, from: appended.get(seq) ?? 0, optional: !isDone },
      to: isDone ? end.index : Number.POSITIVE_INFINITY,
      result: isDone && end.result !== undefined && end.result !== '' ? Number(end.result) : undefined,
    });
  }
  return [...operations.values()];
}

const after = ({ op, amount }: Operation, balance: number): number =>
  op === 'deposit' ? balance + amount : op === 'withdraw' ? balance - amount : balance;

/** Whether some order explains everything, the balance at the end included. */
export function linearizable(all: readonly Operation[], finalBalance: number): 'valid' | 'invalid' | 'unknown' {
  const operations = [...all].sort((a, b) => a.from - b.from);
  const seen = new Set<string>();
  const done = new Array<boolean>(operations.length).fill(false);
  let budget = STATES_MAX;
  const search = (balance: number): boolean => {
    let firstEnd = Number.POSITIVE_INFINITY;
    let required = 0;
    operations.forEach((o, i) => {
      if (done[i] === true || o.optional) return;
      required++;
      firstEnd = Math.min(firstEnd, o.to);
    });
    if (required === 0 && balance === finalBalance) return true;
    const key = `${balance} ${done.map((d) => (d ? '1' : '0')).join('')}`;
    if (seen.has(key) || --budget <= 0) return false;
    seen.add(key);
    for (let i = 0; i < operations.length; i++) {
      const o = operations[i] as Operation;
      // Nothing that began after another had to be over can come before it.
      if (o.from > firstEnd) break;
      const next = after(o, balance);
      if (done[i] === true || (o.result !== undefined && o.result !== next)) continue;
      done[i] = true;
      if (search(next)) return true;
      done[i] = false;
    }
    return false;
  };
  if (search(0)) return 'valid';
  return budget <= 0 ? 'unknown' : 'invalid';
}
