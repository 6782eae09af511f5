import { AtomicQueuesError } from '../core/errors.js';
import { entityIdOf, isEntityTypeName } from '../core/ids.js';
import { brandForCopies } from '../core/shared.js';
import type { LogDepth, NodeStatus as QueueHealth } from '../runtime/status.js';
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
  UntypedDispatchMap,
  UntypedOnly,
} from './bus-types.js';
import { EntityScope, EntityTypeScope } from './entity-scope.js';
import { Introspection } from './introspection.js';
import type { MessageWithReply } from './reply.js';
import { type BusHost, Sender } from './sender.js';

/**
 * Sends messages to entities. Inject it as `QueueBus`, or as `QueueBus<DispatchMap>` to type the calls by name.
 *
 * A send never throws; it rejects with an AtomicQueuesError. A wrong call: UNKNOWN_ENTITY_TYPE, UNKNOWN_MESSAGE,
 * INVALID_ENTITY_ID, SCHEMA_VIOLATION, PAYLOAD_TOO_LARGE, CONFIG_INVALID. Before the start and after the stop: SHUTTING_DOWN.
 * A limit: QUEUE_DEPTH_EXCEEDED, WORKER_LIMIT_EXCEEDED. The store: STORE_UNAVAILABLE, OUTCOME_UNKNOWN.
 */
export class QueueBus<D = UntypedDispatchMap> {
  readonly #host: BusHost;
  readonly #sender: Sender;
  #introspection: Introspection | undefined;

  /** @internal */
  constructor(host: BusHost) {
    this.#host = host;
    this.#sender = new Sender(host);
  }

  /** Resolves when the message is durably logged. */
  enqueue(message: object, options?: EnqueueOptions): Promise<Receipt>;
  enqueue<T extends TypeIn<D>, N extends NameIn<D, T>>(
    type: T,
    name: N,
    entityId: EntityId,
    payload: PayloadIn<D, T, N>,
    options?: EnqueueOptions,
  ): Promise<Receipt>;
  enqueue(first: unknown, second?: unknown, entityId?: unknown, payload?: unknown, options?: EnqueueOptions): Promise<Receipt> {
    if (typeof first !== 'string') return this.#sender.enqueueObject(first, second as EnqueueOptions | undefined);
    return this.#sender.enqueueParts(first, second as string, entityId, payload, options);
  }

  /**
   * Resolves with the handler's result. Also rejects with HANDLER_FAILED, INTERRUPTED, REPLY_TIMEOUT, WITHDRAWN, CALL_CYCLE, and
   * with SCHEMA_VIOLATION (not definite) if the result does not match the reply schema.
   */
  enqueueAndWait<R = unknown>(message: MessageWithReply<R>, options?: EnqueueAndWaitOptions): Promise<R>;
  enqueueAndWait<R = unknown>(
    type: UntypedOnly<D>,
    name: string,
    entityId: EntityId,
    payload: object,
    options?: EnqueueAndWaitOptions,
  ): Promise<R>;
  enqueueAndWait<T extends TypeIn<D>, N extends NameIn<D, T>>(
    type: T,
    name: N,
    entityId: EntityId,
    payload: PayloadIn<D, T, N>,
    options?: EnqueueAndWaitOptions,
  ): Promise<ReplyIn<D, T, N>>;
  enqueueAndWait(
    first: unknown,
    second?: unknown,
    entityId?: unknown,
    payload?: unknown,
    options?: EnqueueAndWaitOptions,
  ): Promise<unknown> {
    if (typeof first !== 'string') return this.#sender.askObject(first, second as EnqueueAndWaitOptions | undefined);
    return this.#sender.askParts(first, second as string, entityId, payload, options);
  }

  /**
   * Logs many messages, with one store round trip per partition. Each item is a message, `{ message, id?, headers? }`, or
   * `{ type, name, entityId, payload, id?, headers? }`. Resolves with one outcome per item, in the order of the items.
   */
  enqueueBulk(messages: readonly (NamedMessage<D> | BulkMessage | object)[]): Promise<EnqueueOutcome[]> {
    return this.#sender.enqueueBulk(messages);
  }

  /** Returns the same calls for one entity type or one entity. Throws CONFIG_INVALID, INVALID_ENTITY_ID. */
  forEntity<T extends TypeIn<D>>(type: T): EntityTypeScope<D, T>;
  forEntity<T extends TypeIn<D>>(type: T, id: EntityId): EntityScope<D, T>;
  forEntity<T extends TypeIn<D>>(type: T, ...rest: [id?: EntityId]): EntityTypeScope<D, T> | EntityScope<D, T> {
    if (!isEntityTypeName(type)) {
      throw new AtomicQueuesError('CONFIG_INVALID', `forEntity: ${String(type)} is no name of an entity type`);
    }
    // An id that was passed as undefined is a mistake of the caller, not a request for the scope of the whole type.
    if (rest.length === 0) return new EntityTypeScope(this.#sender, { type, id: undefined });
    return new EntityScope(this.#sender, { type, id: entityIdOf(rest[0], `forEntity('${type}', ...)`) });
  }

  /** Returns a view of the entity types and messages that this application can send to. */
  introspect(): Introspection {
    this.#introspection ??= new Introspection(() => this.#host.catalog);
    return this.#introspection;
  }

  /** Returns the state of this node from local data. Cheap, calls no other component, and never throws, even before the start. */
  health(): QueueHealth {
    return this.#host.status();
  }

  /** Reads from the store how much the log holds. Rejects with STORE_UNAVAILABLE, SHUTTING_DOWN. */
  async depth(): Promise<LogDepth> {
    return this.#host.node().depth();
  }
}

brandForCopies(QueueBus, 'queue-bus');
