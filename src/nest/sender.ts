import { AsyncContext } from '@nestjs/cqrs';
import { AtomicQueuesError } from '../core/errors.js';
import { decodeJson } from '../core/payload.js';
import type { Node } from '../runtime/node.js';
import type { WaitOptions } from '../runtime/replies.js';
import type { NodeStatus } from '../runtime/status.js';
import type { EnqueueAndWaitOptions, EnqueueOptions, EnqueueOutcome, Receipt } from './bus-types.js';
import { rejectWithHttpCause } from './http-exceptions.js';
import type { Catalog } from './introspection.js';
import { checkEnqueueOptions, checkWaitOptions, type OutgoingMessages, type RoutedMessage, type Scope } from './outgoing.js';
import type { MessageRegistry } from './registry.js';

/** The part of the module that the bus uses. */
export interface BusHost {
  readonly registry: MessageRegistry;
  /** Entity types and messages that this application can send to, as currently known. */
  readonly catalog: Catalog;
  readonly outgoing: OutgoingMessages;
  status(): NodeStatus;
  /** The running node. Throws SHUTTING_DOWN before the start and after the stop. */
  node(): Node;
}

const ITEM_FIELDS: ReadonlySet<string> = new Set(['message', 'type', 'name', 'entityId', 'payload', 'id', 'headers']);

/** Passes the calls of applications to the node. Every error rejects the promise; no call throws. */
export class Sender {
  readonly #host: BusHost;

  constructor(host: BusHost) {
    this.#host = host;
  }

  enqueueObject(message: unknown, options: EnqueueOptions | undefined, scope?: Scope): Promise<Receipt> {
    try {
      const node = this.#host.node();
      checkEnqueueOptions(options);
      return this.#enqueue(node, this.#host.outgoing.ofObject(message, options, scope));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  enqueueParts(type: string, name: string, id: unknown, payload: unknown, options: EnqueueOptions | undefined): Promise<Receipt> {
    try {
      const node = this.#host.node();
      checkEnqueueOptions(options);
      return this.#enqueue(node, this.#host.outgoing.ofParts(type, name, id, payload, options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** `context` is the AsyncContext of @nestjs/cqrs for the handler. Default: the one attached to the message. */
  askObject(
    message: unknown,
    options: EnqueueAndWaitOptions | undefined,
    scope?: Scope,
    context?: AsyncContext,
  ): Promise<unknown> {
    try {
      const node = this.#host.node();
      checkWaitOptions(options);
      const routed = this.#host.outgoing.ofObject(message, options, scope);
      const carried = context ?? AsyncContext.of(message as object);
      const outgoing = carried === undefined ? routed : { ...routed, carried };
      return this.#ask(node, outgoing, this.#host.outgoing.waitOf(outgoing.type, options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  askParts(
    type: string,
    name: string,
    id: unknown,
    payload: unknown,
    options: EnqueueAndWaitOptions | undefined,
  ): Promise<unknown> {
    try {
      const node = this.#host.node();
      checkWaitOptions(options);
      const outgoing = this.#host.outgoing.ofParts(type, name, id, payload, options);
      return this.#ask(node, outgoing, this.#host.outgoing.waitOf(type, options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Resolves with one outcome per message, in the order of the messages. A wrong message does not affect the others. */
  async enqueueBulk(items: readonly unknown[], scope?: Scope): Promise<EnqueueOutcome[]> {
    const node = this.#host.node();
    if (!Array.isArray(items)) throw new AtomicQueuesError('CONFIG_INVALID', 'enqueueBulk takes an array of messages');
    const found = items.map((item) => this.#foundIn(item, scope));
    const outgoing = found.filter((one): one is RoutedMessage => !(one instanceof AtomicQueuesError));
    const sent = outgoing.length === 0 ? [] : await node.enqueueBulk(outgoing);
    let next = 0;
    return found.map((one) => (one instanceof AtomicQueuesError ? { ok: false, error: one } : sent[next++]!));
  }

  #enqueue(node: Node, outgoing: RoutedMessage): Promise<Receipt> {
    return node.enqueue(this.#checked(outgoing));
  }

  #ask(node: Node, outgoing: RoutedMessage, wait: WaitOptions): Promise<unknown> {
    return node.enqueueAndWait(this.#checked(outgoing), wait).then(decodeJson, rejectWithHttpCause);
  }

  /** Starts the schema check. Throws if a synchronous schema rejects the payload; else `checked` holds a pending check. */
  #checked(outgoing: RoutedMessage): RoutedMessage {
    const checked = this.#host.outgoing.check(outgoing);
    // Only an asynchronous schema costs a promise.
    if (checked === undefined) return outgoing;
    // The call may fail for another reason first. The rejection must then not count as unhandled.
    checked.catch(() => undefined);
    return { ...outgoing, checked };
  }

  #foundIn(item: unknown, scope: Scope | undefined): RoutedMessage | AtomicQueuesError {
    try {
      return this.#checked(this.#outgoingOf(item, scope));
    } catch (error) {
      if (error instanceof AtomicQueuesError) return error;
      throw error;
    }
  }

  /** Converts an item: a message object, or a plain object with `{ message, ...options }` or a message by name. */
  #outgoingOf(item: unknown, scope: Scope | undefined): RoutedMessage {
    if (!isPlainObject(item)) return this.#host.outgoing.ofObject(item, undefined, scope);
    const unknown = Object.keys(item).find((field) => !ITEM_FIELDS.has(field));
    if (unknown !== undefined || (item.message === undefined && item.name === undefined)) {
      const why = unknown === undefined ? 'has neither "message" nor "name"' : `has the field ${JSON.stringify(unknown)}`;
      throw new AtomicQueuesError(
        'CONFIG_INVALID',
        `an item of enqueueBulk ${why}; allowed: a message, { message, id?, headers? } or { type, name, entityId, payload, id?, headers? }`,
      );
    }
    const options = { id: item.id, headers: item.headers } as EnqueueOptions;
    if (item.message !== undefined) return this.#host.outgoing.ofObject(item.message, options, scope);
    const type = fixedPart('type', item.type, scope?.type);
    const entityId = fixedPart('entityId', item.entityId, scope?.id);
    return this.#host.outgoing.ofParts(type as string, item.name as string, entityId, item.payload, options);
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function fixedPart(field: string, given: unknown, fixed: string | undefined): unknown {
  if (fixed === undefined) return given;
  if (given === undefined || String(given) === fixed) return fixed;
  throw new AtomicQueuesError(
    field === 'entityId' ? 'INVALID_ENTITY_ID' : 'CONFIG_INVALID',
    `an item of enqueueBulk has ${field} ${JSON.stringify(String(given))}, but the scope is for ${JSON.stringify(fixed)}`,
  );
}
