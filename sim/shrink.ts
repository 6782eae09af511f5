/** Makes a failing plan small: leaves out faults, messages and nodes as long as the same invariant breaks (delta debugging). */
import type { InvariantId } from './checkers/view.js';
import type { Plan } from './plan.js';
import { type RunResult, runPlan } from './run.js';

export interface Shrunk {
  readonly plan: Plan;
  readonly result: RunResult;
  readonly runs: number;
}

export type RunOne = (plan: Plan) => RunResult;

const RUNS_MAX = 600;

export function shrink(
  plan: Plan,
  invariant: InvariantId,
  drain: () => void,
  run: RunOne = (p) => runPlan(p, { drain }),
): Shrunk {
  const shrinker = new Shrinker(plan, invariant, run);
  return shrinker.shrink();
}

class Shrinker {
  private runs = 0;
  private best: Plan;
  private result: RunResult;

  constructor(
    plan: Plan,
    private readonly invariant: InvariantId,
    private readonly run: RunOne,
  ) {
    this.best = plan;
    this.result = run(plan);
  }

  shrink(): Shrunk {
    let size = -1;
    while (size !== sizeOf(this.best) && this.runs < RUNS_MAX) {
      size = sizeOf(this.best);
      this.reduce('faults');
      this.reduce('messages');
      this.reduce('nodes');
      this.healSooner();
    }
    return { plan: this.best, result: this.result, runs: this.runs };
  }

  private fails(plan: Plan): boolean {
    this.runs++;
    const result = this.run(plan);
    if (!result.verdict.violations.some((v) => v.invariant === this.invariant)) return false;
    this.best = plan;
    this.result = result;
    return true;
  }

  /** Leaves out ever smaller parts of one list. */
  private reduce(list: 'faults' | 'messages' | 'nodes'): void {
    for (let part = Math.ceil(this.best[list].length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
      for (let at = 0; at < this.best[list].length && this.runs < RUNS_MAX; ) {
        const kept = [...this.best[list].slice(0, at), ...this.best[list].slice(at + part)];
        const isAllowed = list !== 'nodes' || kept.length > 0;
        if (!isAllowed || !this.fails({ ...this.best, [list]: kept })) at += part;
      }
    }
  }

  private healSooner(): void {
    const { faults, messages } = this.best;
    const lastMs = Math.max(1000, ...faults.map((f) => f.atMs + f.forMs), ...messages.map((m) => m.atMs)) + 500;
    if (lastMs < this.best.healAtMs) this.fails({ ...this.best, healAtMs: lastMs });
  }
}

const sizeOf = (plan: Plan): number => plan.faults.length + plan.messages.length + plan.nodes.length;
