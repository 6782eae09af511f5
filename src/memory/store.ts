import { applyBatch, applyControl } from '../core/log/apply.js';
import type { ControlAnswerOf, ControlOp } from '../core/log/control-operations.js';
import type { Batch, BatchReply } from '../core/log/operations.js';
import { PartitionState } from '../core/log/state.js';
import type { Clock } from '../ports/clock.js';
import type { Store } from '../ports/store.js';

/**
 * The embedded store: the state machine of core/log in the memory of this process. Every call is applied before it returns, so no
 * call is lost, late or duplicated. Several nodes of one process may share one instance: `close` keeps the data for the others.
 */
export class MemoryStore implements Store {
  readonly #state = new PartitionState();
  readonly #clock: Clock;
  readonly #offsetMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    // Store time starts at the wall clock's time, but never jumps.
    this.#offsetMs = clock.wallMs() - clock.monotonicMs();
  }

  apply(batch: Batch): Promise<BatchReply> {
    return Promise.resolve(applyBatch(this.#state, batch, this.#nowMs()));
  }

  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    return Promise.resolve(applyControl(this.#state, op, this.#nowMs()) as ControlAnswerOf[O['op']]);
  }

  onReplaced(): void {}

  open(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #nowMs(): number {
    return Math.floor(this.#clock.monotonicMs() + this.#offsetMs);
  }
}
