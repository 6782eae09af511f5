import type { ControlAnswerOf, ControlOp } from '../core/log/control-operations.js';
import type { Batch, BatchReply } from '../core/log/operations.js';

/**
 * The write-ahead log, as the runtime sees it. core/log defines its behaviour; an adapter adds only transport.
 *
 * Every call settles within the adapter's deadline for one try. It resolves with the store's answer, or rejects with a
 * `StoreCallError` and nothing else.
 */
export interface Store {
  /**
   * Applies one numbered batch. Atomic: the store applies all of the batch or nothing.
   * The batch may be lost, may be applied although the call failed, and may be applied much later (a copy in a stalled socket).
   * All three are harmless as long as the same number always carries the same operations.
   * `patience`: number of the adapter's deadlines that this try may take, at least 1; default 1. Larger for large batches.
   */
  apply(batch: Batch, patience?: number): Promise<BatchReply>;
  /** Runs one operation outside of sessions. Atomic; may be lost or late like a batch; idempotent by its arguments. */
  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]>;
  /** Calls `listener`, until `close`, when the store turns out to hold other data: its run id and its generation changed. */
  onReplaced(listener: (why: string) => void): void;
  /** Opens the connection. Rejects with a `StoreCallError` that says what is wrong (address, password, foreign keys). */
  open(): Promise<void>;
  close(): Promise<void>;
}

/** The failure of a call to the store that got no answer of the protocol. */
export class StoreCallError extends Error {
  override readonly name = 'StoreCallError';

  constructor(
    message: string,
    /**
     * True: the store certainly did not apply this copy (the server refused it, or it was never sent).
     * False: unknown; the store may have applied this copy, or may apply it later.
     */
    readonly refused: boolean,
    /** True: only an operator can fix the cause (wrong password, foreign key type). Trying again is pointless at start. */
    readonly permanent = false,
    // Not ErrorOptions of lib ES2022: the declarations must compile in applications with an older target.
    options?: { readonly cause?: unknown },
    /** 'full': the server is out of memory. 'broken': the script failed, for instance because data in the store is missing. */
    readonly kind: '' | 'full' | 'broken' = '',
  ) {
    super(message, options);
  }
}
