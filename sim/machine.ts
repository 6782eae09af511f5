import { applyBatch, applyControl } from '../src/core/log/apply.js';
import type { ControlAnswer, ControlOp } from '../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../src/core/log/operations.js';
import type { PartitionState } from '../src/core/log/state.js';

/** The store protocol as the simulated store runs it. A canary replaces it with a changed one. */
export interface Machine {
  applyBatch(state: PartitionState, batch: Batch, nowMs: number): BatchReply;
  applyControl(state: PartitionState, op: ControlOp, nowMs: number): ControlAnswer;
}

export const MACHINE: Machine = { applyBatch, applyControl };
