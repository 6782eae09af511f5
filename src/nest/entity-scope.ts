import type {
  BulkMessage,
  EnqueueAndWaitOptions,
  EnqueueOptions,
  EnqueueOutcome,
  EntityId,
  NamedMessage,
  NameIn,
  PayloadIn,
  Receipt,
  ReplyIn,
  TypeIn,
  UntypedOnly,
} from './bus-types.js';
import type { Scope } from './outgoing.js';
import type { MessageWithReply } from './reply.js';
import type { Sender } from './sender.js';

type Named<D, T extends TypeIn<D>, Fixed extends string> = Omit<Extract<NamedMessage<D>, { readonly type: T }>, Fixed>;

/** `QueueBus` for one entity type. Rejects a message of another type with CONFIG_INVALID and logs nothing. */
export class EntityTypeScope<D, T extends TypeIn<D>> {
  readonly #sender: Sender;
  readonly #scope: Scope;

  /** @internal */
  constructor(sender: Sender, scope: Scope) {
    this.#sender = sender;
    this.#scope = scope;
  }

  enqueue(message: object, options?: EnqueueOptions): Promise<Receipt>;
  enqueue<N extends NameIn<D, T>>(name: N, id: EntityId, payload: PayloadIn<D, T, N>, options?: EnqueueOptions): Promise<Receipt>;
  enqueue(first: unknown, second?: unknown, payload?: unknown, options?: EnqueueOptions): Promise<Receipt> {
    if (typeof first !== 'string') return this.#sender.enqueueObject(first, second as EnqueueOptions | undefined, this.#scope);
    return this.#sender.enqueueParts(this.#scope.type, first, second, payload, options);
  }

  enqueueAndWait<R = unknown>(message: MessageWithReply<R>, options?: EnqueueAndWaitOptions): Promise<R>;
  enqueueAndWait<R = unknown>(name: UntypedOnly<D>, id: EntityId, payload: object, options?: EnqueueAndWaitOptions): Promise<R>;
  enqueueAndWait<N extends NameIn<D, T>>(
    name: N,
    id: EntityId,
    payload: PayloadIn<D, T, N>,
    options?: EnqueueAndWaitOptions,
  ): Promise<ReplyIn<D, T, N>>;
  enqueueAndWait(first: unknown, second?: unknown, payload?: unknown, options?: EnqueueAndWaitOptions): Promise<unknown> {
    if (typeof first !== 'string') return this.#sender.askObject(first, second as EnqueueAndWaitOptions | undefined, this.#scope);
    return this.#sender.askParts(this.#scope.type, first, second, payload, options);
  }

  enqueueBulk(messages: readonly (Named<D, T, 'type'> | BulkMessage | object)[]): Promise<EnqueueOutcome[]> {
    return this.#sender.enqueueBulk(messages, this.#scope);
  }
}

/** `QueueBus` for one entity. Rejects a message of another entity with INVALID_ENTITY_ID and logs nothing. */
export class EntityScope<D, T extends TypeIn<D>> {
  readonly #sender: Sender;
  readonly #scope: Scope;

  /** @internal */
  constructor(sender: Sender, scope: Scope) {
    this.#sender = sender;
    this.#scope = scope;
  }

  enqueue(message: object, options?: EnqueueOptions): Promise<Receipt>;
  enqueue<N extends NameIn<D, T>>(name: N, payload: PayloadIn<D, T, N>, options?: EnqueueOptions): Promise<Receipt>;
  enqueue(first: unknown, second?: unknown, options?: EnqueueOptions): Promise<Receipt> {
    if (typeof first !== 'string') return this.#sender.enqueueObject(first, second as EnqueueOptions | undefined, this.#scope);
    return this.#sender.enqueueParts(this.#scope.type, first, this.#scope.id, second, options);
  }

  enqueueAndWait<R = unknown>(message: MessageWithReply<R>, options?: EnqueueAndWaitOptions): Promise<R>;
  enqueueAndWait<R = unknown>(name: UntypedOnly<D>, payload: object, options?: EnqueueAndWaitOptions): Promise<R>;
  enqueueAndWait<N extends NameIn<D, T>>(
    name: N,
    payload: PayloadIn<D, T, N>,
    options?: EnqueueAndWaitOptions,
  ): Promise<ReplyIn<D, T, N>>;
  enqueueAndWait(first: unknown, second?: unknown, options?: EnqueueAndWaitOptions): Promise<unknown> {
    if (typeof first !== 'string') return this.#sender.askObject(first, second as EnqueueAndWaitOptions | undefined, this.#scope);
    return this.#sender.askParts(this.#scope.type, first, this.#scope.id, second, options);
  }

  enqueueBulk(messages: readonly (Named<D, T, 'type' | 'entityId'> | BulkMessage | object)[]): Promise<EnqueueOutcome[]> {
    return this.#sender.enqueueBulk(messages, this.#scope);
  }
}
