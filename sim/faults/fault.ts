import type { Cluster } from '../cluster.js';
import type { FaultPlan } from '../plan.js';
import type { Stream } from '../sim-random.js';

/** A kind of fault: how it is drawn, and what it does. */
export interface FaultKind {
  readonly kind: string;
  /**
   * Set if the fault may break an assumption of the invariants (docs/invariants.md), so that a checker may have to excuse a
   * violation.
   */
  readonly excuses: boolean;
  /** How often the fault occurs in a run in which its kind is on, at the middle weight. */
  readonly perRun: number;
  /** Draws the fields other than time and node. `forMs` 0: the fault happens once. */
  draw(chance: Stream, nodeTTLMs: number): Pick<FaultPlan, 'forMs'> & Partial<Pick<FaultPlan, 'amount'>>;
  /** Begins the fault. Returns the function that ends it. Undefined: the fault is not possible now, and does not count. */
  begin(cluster: Cluster, fault: FaultPlan): (() => void) | undefined;
}

export const nothing = (): void => undefined;
