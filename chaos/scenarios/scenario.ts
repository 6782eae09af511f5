import type { Stage } from '../stage.js';

/** What is done to a cluster that works. */
export interface Scenario {
  readonly name: string;
  /** What it shows, in one sentence. */
  readonly shows: string;
  /** What is done, for people. */
  readonly faults: readonly string[];
  /** Its twin in the simulator: a scenario, or a kind of fault that seeds draw. */
  readonly twin: string;
  /** Default 3. */
  readonly nodes?: number;
  readonly perSecond?: number;
  /** Nodes talk over pub/sub instead of gRPC. */
  readonly pubsub?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: both drivers. */
  readonly only?: 'docker' | 'local';
  /** Faults; load runs before, meanwhile and after. What is not healed here is healed after it. */
  play(stage: Stage): Promise<void>;
}
