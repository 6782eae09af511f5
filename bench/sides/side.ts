/** The interface of a measured side. A new side is a file here and a line in `../plan.ts`. */
import { Witness } from '../witness.js';

export interface BenchMessage {
  readonly entity: string;
  /** Number of the message: counts up from 0 within its entity, in workload `idle` over all entities. */
  readonly number: number;
}

export interface SideOptions {
  readonly workload: string;
  readonly redisPort: number | undefined;
  readonly idleTimeoutMs: number;
  readonly witness: Witness;
}

export interface Side {
  /** Number of bulk calls that are in flight at once. */
  readonly window: number;
  /** Resolves when all messages are durably accepted. */
  bulk(messages: readonly BenchMessage[]): Promise<void>;
  /** Resolves with the handler's result. */
  call(message: BenchMessage): Promise<number>;
  /** Returns the CPU seconds of the processes that work beside this one. */
  othersCpuSeconds?(): Promise<number>;
  close(): Promise<void>;
}

export type StartSide = (options: SideOptions) => Promise<Side>;

/** Makes every message about 200 B of JSON, the same on all sides. */
export const PADDING = 'x'.repeat(170);
