import type { AtomicQueuesError } from '../core/errors.js';

/** Kept exactly: any well-formed string of 1 to 1024 UTF-8 bytes; numbers and bigints become their decimal string. */
export type EntityId = string | number | bigint;

export interface EnqueueOptions {
  /** Idempotency key within the entity: the same id again returns the first receipt, or its result. */
  readonly id?: string | undefined;
  /** Travels to the handler's EntityContext and to the dead letter. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface EnqueueAndWaitOptions extends EnqueueOptions {
  /** How long to wait for the result, ms. Default: the entity type's `replyTimeout`. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** 'withdraw' takes the message back at the timeout if it has not begun; the error is then definite. Default 'keep'. */
  readonly onTimeout?: 'keep' | 'withdraw' | undefined;
}

/** Proof that a message is durably logged. */
export interface Receipt {
  readonly id: string;
  /** Position in the entity's log. */
  readonly sequence: number;
  /** The id was there: this is the receipt of the message that has it, and nothing was logged. */
  readonly duplicate: boolean;
  /**
   * Given exactly if `duplicate`: where that message stands. 'live' waits or runs; 'purged' failed or was interrupted, and its dead
   * letter was purged.
   */
  readonly state?: 'live' | 'completed' | 'failed' | 'interrupted' | 'purged';
}

/** What became of one message of `enqueueBulk`. */
export type EnqueueOutcome =
  | { readonly ok: true; readonly receipt: Receipt }
  | { readonly ok: false; readonly error: AtomicQueuesError };

/** A message of `enqueueBulk` with options. */
export interface BulkMessage extends EnqueueOptions {
  readonly message: object;
}

/** The shape of the map that `generate --ts` writes: entity type, message name, payload and reply. */
export interface UntypedDispatchMap {
  readonly [type: string]: { readonly [name: string]: { readonly payload: object; readonly reply: unknown } };
}

/** `app.get(QueueBus)` has no map either: its type argument is inferred as unknown. */
type MapOf<D> = unknown extends D ? UntypedDispatchMap : D;
type Cell<D, T, N> = T extends keyof MapOf<D> ? (N extends keyof MapOf<D>[T] ? MapOf<D>[T][N] : never) : never;

export type TypeIn<D> = keyof MapOf<D> & string;
export type NameIn<D, T extends TypeIn<D>> = keyof MapOf<D>[T] & string;
export type PayloadIn<D, T, N> = Cell<D, T, N> extends { readonly payload: infer P } ? P : object;
export type ReplyIn<D, T, N> = Cell<D, T, N> extends { readonly reply: infer R } ? R : unknown;

/** `string` where the bus has no dispatch map, nothing where it has: there the map's overload is the only one. */
export type UntypedOnly<D> = string extends TypeIn<D> ? string : never;

/** A message of `enqueueBulk` by name. */
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
