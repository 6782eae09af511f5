/**
 * Linearizability of each account (Wing and Gong 1993, with Lowe's memo of visited states). Searches for one order of all
 * effects, each within its window, that explains every result and the final balance.
 */

import { overlapsOf } from './i2-single-writer.js';
import { type EntityView, type Findings, isTerminal, type View } from './view.js';

export interface Operation {
  readonly op: 'deposit' | 'withdraw' | 'read';
  readonly amount: number;
  /** The operation takes effect between these two event indexes. */
  readonly from: number;
  readonly to: number;
  /** Recorded balance after the operation; undefined if none was recorded. */
  readonly result: number | undefined;
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

/** Returns the operations that completed, and those that wrote without completing: the account itself recorded the write. */
function operationsOf({ appends, transitions, handlings, effects }: EntityView): Operation[] {
  const accepted = effects.filter((e) => e.accepted);
  const written = new Map(accepted.filter((e) => e.what === 'write').map((e) => [e.seq, e]));
  const appended = new Map(appends.map((a) => [a.seq, a.index]));
  const ends = new Map(transitions.filter((t) => isTerminal(t.to)).map((t) => [t.seq, t]));
  const operations = new Map<number, Operation>();
  for (const { start } of handlings) {
    const { seq, op, amount } = start;
    if (op === 'value') continue;
    const end = ends.get(seq);
    const write = written.get(seq);
    if (end?.to === 'completed') {
      const result = end.result === undefined || end.result === '' ? undefined : Number(end.result);
      operations.set(seq, { op, amount, from: appended.get(seq) ?? 0, to: end.index, result });
    } else if (write !== undefined) {
      const from = accepted.findLast((e) => e.seq === seq && e.what === 'read' && e.index < write.index)?.index ?? 0;
      operations.set(seq, { op, amount, from, to: write.index, result: write.balance });
    }
  }
  return [...operations.values()];
}

const after = ({ op, amount }: Operation, balance: number): number =>
  op === 'deposit' ? balance + amount : op === 'withdraw' ? balance - amount : balance;

/** Returns whether some order explains all results and the final balance; 'unknown' if the search ran out of budget. */
export function linearizable(all: readonly Operation[], finalBalance: number): 'valid' | 'invalid' | 'unknown' {
  // Sorted by end: this order nearly always explains a valid history at the first try.
  const operations = [...all].sort((a, b) => a.to - b.to || a.from - b.from);
  const search = new Search(operations, finalBalance);
  if (search.from(0)) return 'valid';
  return search.budget <= 0 ? 'unknown' : 'invalid';
}

class Search {
  budget = STATES_MAX;
  private readonly seen = new Set<string>();
  private readonly done: boolean[];
  private left: number;

  constructor(
    private readonly operations: readonly Operation[],
    private readonly finalBalance: number,
  ) {
    this.done = new Array<boolean>(operations.length).fill(false);
    this.left = operations.length;
  }

  from(balance: number): boolean {
    const { operations, done } = this;
    if (this.left === 0) return balance === this.finalBalance;
    if (--this.budget <= 0 || this.isKnown(balance)) return false;
    const firstEnd = this.firstEnd();
    for (let i = 0; i < operations.length; i++) {
      const o = operations[i] as Operation;
      // An operation whose window opens after another one's has closed cannot come before that one.
      if (done[i] === true || o.from > firstEnd) continue;
      const next = after(o, balance);
      if (o.result !== undefined && o.result !== next) continue;
      done[i] = true;
      this.left--;
      if (this.from(next)) return true;
      done[i] = false;
      this.left++;
    }
    return false;
  }

  private firstEnd(): number {
    return this.operations.find((_, i) => this.done[i] !== true)?.to ?? Number.POSITIVE_INFINITY;
  }

  private isKnown(balance: number): boolean {
    let key = `${balance} `;
    for (const d of this.done) key += d ? '1' : '0';
    if (this.seen.has(key)) return true;
    this.seen.add(key);
    return false;
  }
}
