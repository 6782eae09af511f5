/**
 * Linearizability of each account (Wing and Gong 1993, with Lowe's memo of visited states): is there one order of all
 * effects, each within its window, in which every result and the last balance come out?
 */

import { overlapsOf } from './i2-single-writer.js';
import { type EntityView, type Findings, isTerminal, type View } from './view.js';

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

const STATES_MAX = 20_000;

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
    if (verdict === 'invalid')
      findings.violated('bank', `${entity.entity}: no order of its effects explains the results`, view.final.index);
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
  // In order of their ends, those that need not have happened last: a valid history is nearly always explained at once.
  const operations = [...all].sort((a, b) => a.to - b.to || a.from - b.from);
  const search = new Search(operations, finalBalance);
  if (search.from(0)) return 'valid';
  return search.budget <= 0 ? 'unknown' : 'invalid';
}

class Search {
  budget = STATES_MAX;
  private readonly seen = new Set<string>();
  private readonly done: boolean[];
  private required: number;

  constructor(
    private readonly operations: readonly Operation[],
    private readonly finalBalance: number,
  ) {
    this.done = new Array<boolean>(operations.length).fill(false);
    this.required = operations.reduce((n, o) => n + (o.optional ? 0 : 1), 0);
  }

  from(balance: number): boolean {
    const { operations, done } = this;
    if (this.required === 0 && balance === this.finalBalance) return true;
    if (--this.budget <= 0 || this.isKnown(balance)) return false;
    const firstEnd = this.firstEnd();
    for (let i = 0; i < operations.length; i++) {
      const o = operations[i] as Operation;
      // What began after another had to be over cannot come before it.
      if (done[i] === true || o.from > firstEnd) continue;
      const next = after(o, balance);
      if (o.result !== undefined && o.result !== next) continue;
      done[i] = true;
      if (!o.optional) this.required--;
      if (this.from(next)) return true;
      done[i] = false;
      if (!o.optional) this.required++;
    }
    return false;
  }

  private firstEnd(): number {
    for (let i = 0; i < this.operations.length; i++) {
      const o = this.operations[i] as Operation;
      if (this.done[i] !== true && !o.optional) return o.to;
    }
    return Number.POSITIVE_INFINITY;
  }

  private isKnown(balance: number): boolean {
    let key = `${balance} `;
    for (const d of this.done) key += d ? '1' : '0';
    if (this.seen.has(key)) return true;
    this.seen.add(key);
    return false;
  }
}
