import type { Cluster } from '../cluster.js';
import type { FaultPlan } from '../plan.js';
import type { Stream } from '../sim-random.js';

/** A kind of fault: how it is drawn, and what it does. */
export interface FaultKind {
  readonly kind: string;
  /** It may break an assumption of design §2, so that a checker may have to excuse something. */
  readonly excuses: boolean;
  /** How often it comes in a run in which it is on, at the middle weight. */
  readonly perRun: number;
  /** What is drawn besides time and node. `forMs` 0: it happens once. */
  draw(chance: Stream, nodeTTLMs: number): Pick<FaultPlan, 'forMs'> & Partial<Pick<FaultPlan, 'amount'>>;
  /** Does it; answers how it ends. Undefined: it could not be done now, and does not count. */
  begin(cluster: Cluster, fault: FaultPlan): (() => void) | undefined;
}

export const nothing = (): void => undefined;
