/**
 * Makes a failing plan small (delta debugging). Leaves out faults, messages and nodes as long as the same invariant breaks, and
 * then the hits of the fault windows that are not needed.
 */
import type { InvariantId } from './checkers/view.js';
import { TYPES } from './job.js';
import type { NodePlan, Plan } from './plan.js';
import { type RunResult, runPlan } from './run.js';

export interface Shrunk {
  readonly plan: Plan;
  readonly result: RunResult;
  readonly runs: number;
  /** Description of the violation before the plan was made smaller. */
  readonly whatAtFirst: string | undefined;
}

export type RunOne = (plan: Plan) => RunResult;

const RUNS_MAX = 600;
/** A run in lockstep with the scripts takes thirty times as long. */
const LUA_RUNS_MAX = 60;

type List = 'faults' | 'messages' | 'nodes' | 'hits';

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
  private readonly runsMax: number;
  /**
   * Entity types with a handling node that stays. Without such a node, messages would wait for a reason that the plan never had.
   */
  private readonly handled: ReadonlySet<string>;
  private best: Plan;
  private result: RunResult;

  constructor(
    plan: Plan,
    private readonly invariant: InvariantId,
    private readonly run: RunOne,
  ) {
    this.best = plan;
    this.handled = handledBy(plan.nodes, plan.gone);
    this.runsMax = plan.store === 'lua' ? LUA_RUNS_MAX : RUNS_MAX;
    this.result = run(plan);
  }

  shrink(): Shrunk {
    const whatAtFirst = this.result.verdict.violations.find((v) => v.invariant === this.invariant)?.what;
    this.reduceAll(['faults', 'messages', 'nodes']);
    this.leaveCrowdOut();
    this.pinHits();
    this.reduceAll(['hits', 'faults', 'messages']);
    return { plan: this.best, result: this.result, runs: this.runs, whatAtFirst };
  }

  private fails(plan: Plan): boolean {
    this.runs++;
    const result = this.run(plan);
    if (!result.verdict.violations.some((v) => v.invariant === this.invariant)) return false;
    this.best = plan;
    this.result = result;
    return true;
  }

  private leaveCrowdOut(): void {
    const { crowd, ...rest } = this.best;
    if (crowd !== undefined) this.fails(rest);
  }

  private reduceAll(lists: readonly List[]): void {
    for (let size = -1; size !== sizeOf(this.best) && this.runs < this.runsMax; ) {
      size = sizeOf(this.best);
      for (const list of lists) this.reduce(list);
      this.healSooner();
    }
  }

  /** Fixes the hits of the run by name, so that they are not drawn any more. */
  private pinHits(): void {
    const hits = this.result.hits.map(({ name }) => name);
    if (hits.length > 0) this.fails({ ...this.best, hits });
  }

  /** Leaves out smaller and smaller parts of one list. */
  private reduce(list: List): void {
    const itemsOf = (plan: Plan): readonly unknown[] => plan[list] ?? [];
    for (let part = Math.ceil(itemsOf(this.best).length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
      for (let at = 0; at < itemsOf(this.best).length && this.runs < this.runsMax; ) {
        const items = itemsOf(this.best);
        const kept = [...items.slice(0, at), ...items.slice(at + part)];
        const isAllowed = list !== 'nodes' || this.isEnough(kept as readonly NodePlan[]);
        if (!isAllowed || !this.fails({ ...this.best, [list]: kept })) at += part;
      }
    }
  }

  private isEnough(nodes: readonly NodePlan[]): boolean {
    const handled = handledBy(nodes, this.best.gone);
    return nodes.length > 0 && [...this.handled].every((type) => handled.has(type));
  }

  private healSooner(): void {
    const { faults, messages } = this.best;
    const lastMs = Math.max(1000, ...faults.map((f) => f.atMs + f.forMs), ...messages.map((m) => m.atMs)) + 500;
    if (lastMs < this.best.healAtMs) this.fails({ ...this.best, healAtMs: lastMs });
  }
}

const handledBy = (nodes: readonly NodePlan[], gone: readonly string[]): Set<string> =>
  new Set(nodes.filter(({ name }) => !gone.includes(name)).flatMap(({ types = TYPES }) => types));

const sizeOf = ({ faults, messages, nodes, hits = [] }: Plan): number =>
  faults.length + messages.length + nodes.length + hits.length;
