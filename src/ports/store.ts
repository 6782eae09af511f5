import type { ControlAnswerOf, ControlOp } from '../core/log/control-operations.js';
import type { Batch, BatchReply } from '../core/log/operations.js';

/**
 * The write-ahead log, as the runtime sees it. core/log is its definition; an adapter adds only transport.
 *
 * Every call settles within the adapter's own deadline for one try. It resolves with the store's answer, or rejects with a
 * `StoreCallError` and nothing else.
 */
export interface Store {
  /**
   * Applies one numbered batch. Atomic: all of it or nothing.
   * May be lost, may be applied although the call failed, may be applied long after (a copy in a stalled socket).
   * All of that is harmless as long as the same number always carries the same operations.
   * `patience`: how many of the adapter's deadlines this try may take, at least 1; default 1. For what is large.
   */
  apply(batch: Batch, patience?: number): Promise<BatchReply>;
  /** Runs one operation outside of sessions. Atomic; may be lost or late like a batch; idempotent by what it carries. */
  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]>;
  /** Told when the store shows itself to be another one than before (run id), until `close`. */
  onReplaced(listener: (why: string) => void): void;
  /** Opens the connection. Rejects with a `StoreCallError` that says what is wrong (address, password, foreign keys). */
  open(): Promise<void>;
  close(): Promise<void>;
}

/** A call to the store that got no answer from the protocol. */
export class StoreCallError extends Error {
  override readonly name = 'StoreCallError';

  constructor(
    message: string,
    /**
     * True: this copy was certainly not applied (the server refused it, or it was never sent).
     * False: unknown; it may have been applied, or may be later.
     */
    readonly refused: boolean,
    /** True: only an operator can mend it (wrong password, foreign key type); trying again is pointless at start. */
    readonly permanent = false,
    // Not ErrorOptions of lib ES2022: declarations compile in applications of an older target.
    options?: { readonly cause?: unknown },
    /** 'full': the server has no memory left. 'broken': the script itself failed, as it does where something in the store is missing. */
    readonly kind: '' | 'full' | 'broken' = '',
  ) {
    super(message, options);
  }
}
