import type { AtomicQueuesError } from '../core/errors.js';

/** Any well-formed string of 1 to 1024 UTF-8 bytes, kept unchanged. A number or bigint becomes its decimal string. */
export type EntityId = string | number | bigint;

export interface EnqueueOptions {
  /** Idempotency key within the entity. A second call with the same id returns the first receipt, or the first result. */
  readonly id?: string | undefined;
  /** Passed to the handler's EntityContext, and kept in the dead letter. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface EnqueueAndWaitOptions extends EnqueueOptions {
  /** Maximum wait for the result, ms. Default: the entity type's `replyTimeout`. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** 'withdraw' removes a message that has not begun by the timeout; the error is then definite. Default 'keep'. */
  readonly onTimeout?: 'keep' | 'withdraw' | undefined;
}

/** Proof that a message is durably logged. */
export interface Receipt {
  readonly id: string;
  /** Position in the entity's log. */
  readonly sequence: number;
  /** True if a message with this id existed already. The receipt is that of the existing message, and nothing was logged. */
  readonly duplicate: boolean;
  /**
   * State of the existing message; present exactly if `duplicate` is true. 'live': it waits or runs. 'purged': it failed or was
   * interrupted, and its dead letter was purged.
   */
  readonly state?: 'live' | 'completed' | 'failed' | 'interrupted' | 'purged';
}

/** Outcome of one message of `enqueueBulk`. */
export type EnqueueOutcome =
  | { readonly ok: true; readonly receipt: Receipt }
  | { readonly ok: false; readonly error: AtomicQueuesError };

/** A message of `enqueueBulk` with options. */
export interface BulkMessage extends EnqueueOptions {
  readonly message: object;
}

/** The shape of the map that `generate --ts` writes: payload and reply by entity type and message name. */
export interface UntypedDispatchMap {
  readonly [type: string]: { readonly [name: string]: { readonly payload: object; readonly reply: unknown } };
}

/** `app.get(QueueBus)` has no map either: TypeScript infers its type argument as unknown. */
type MapOf<D> = unknown extends D ? UntypedDispatchMap : D;
type Cell<D, T, N> = T extends keyof MapOf<D> ? (N extends keyof MapOf<D>[T] ? MapOf<D>[T][N] : never) : never;

export type TypeIn<D> = keyof MapOf<D> & string;
export type NameIn<D, T extends TypeIn<D>> = keyof MapOf<D>[T] & string;
export type PayloadIn<D, T, N> = Cell<D, T, N> extends { readonly payload: infer P } ? P : object;
export type ReplyIn<D, T, N> = Cell<D, T, N> extends { readonly reply: infer R } ? R : unknown;

/** `string` for a bus without a dispatch map, else `never`: with a map, only the overload of the map applies. */
export type UntypedOnly<D> = string extends TypeIn<D> ? string : never;

/** A message of `enqueueBulk`, given by entity type and message name. */
export type NamedMessage<D> = {
  [T in TypeIn<D>]: {
    [N in NameIn<D, T>]: EnqueueOptions & {
      readonly type: T;
      readonly name: N;
      readonly entityId: EntityId;
      readonly payload: PayloadIn<D, T, N>;
    };
  }[NameIn<D, T>];
}[TypeIn<D>];
