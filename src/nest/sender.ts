import { AtomicQueuesError } from '../core/errors.js';
import { entityKeyOf } from '../core/ids.js';
import { decodeJson } from '../core/payload.js';
import { EntityContext } from '../runtime/context.js';
import type { Node } from '../runtime/node.js';
import type { WaitOptions } from '../runtime/replies.js';
import type { NodeStatus } from '../runtime/status.js';
import type { EnqueueAndWaitOptions, EnqueueOptions, EnqueueOutcome, Receipt } from './bus-types.js';
import { CallOrder } from './call-order.js';
import type { Catalog } from './introspection.js';
import { checkEnqueueOptions, checkWaitOptions, type OutgoingMessages, type RoutedMessage, type Scope } from './outgoing.js';
import type { MessageRegistry } from './registry.js';

/** What the bus needs of the module. */
export interface BusHost {
  readonly registry: MessageRegistry;
  /** What can be sent from here, as far as that is known now. */
  readonly catalog: Catalog;
  readonly outgoing: OutgoingMessages;
  status(): NodeStatus;
  /** The running node. Throws SHUTTING_DOWN before the start and after the stop. */
  node(): Node;
}

const ITEM_FIELDS: ReadonlySet<string> = new Set(['message', 'type', 'name', 'entityId', 'payload', 'id', 'headers']);

interface Prepared {
  readonly found: readonly (RoutedMessage | AtomicQueuesError)[];
  /** Schemas that answer later, by the index of their item. */
  readonly checks: ReadonlyMap<number, Promise<void>>;
}

/** From a caller's arguments to the node. Whatever is wrong rejects the promise; nothing throws. */
export class Sender {
  readonly #host: BusHost;
  readonly #order = new CallOrder();

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

  askObject(message: unknown, options: EnqueueAndWaitOptions | undefined, scope?: Scope): Promise<unknown> {
    try {
      const node = this.#host.node();
      checkWaitOptions(options);
      const outgoing = this.#host.outgoing.ofObject(message, options, scope);
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

  /** Resolves with one outcome for each message, in their order; a wrong message does not hinder the others. */
  async enqueueBulk(items: readonly unknown[], scope?: Scope): Promise<EnqueueOutcome[]> {
    const node = this.#host.node();
    if (!Array.isArray(items)) throw new AtomicQueuesError('CONFIG_INVALID', 'enqueueBulk takes an array of messages');
    const { found, checks } = this.#prepareAll(items, scope);
    const atOnce: RoutedMessage[] = [];
    const late = new Map<number, Promise<EnqueueOutcome>>();
    // Not a turn later than needed: what the caller sends next for the same entity must not overtake.
    found.forEach((one, i) => {
      if (one instanceof AtomicQueuesError) return;
      const checking = checks.get(i);
      if (this.#goesAtOnce(one, checking)) atOnce.push(one);
      else late.set(i, outcomeOf(this.#order.inTurn(keyOf(one), checking, () => node.enqueue(one))));
    });
    const sent = atOnce.length === 0 ? [] : await node.enqueueBulk(atOnce);
    let next = 0;
    const outcomes = found.map((one, i): EnqueueOutcome | Promise<EnqueueOutcome> =>
      one instanceof AtomicQueuesError ? { ok: false, error: one } : (late.get(i) ?? sent[next++]!),
    );
    return late.size === 0 ? (outcomes as EnqueueOutcome[]) : Promise.all(outcomes);
  }

  #goesAtOnce(outgoing: RoutedMessage, checking: Promise<void> | undefined): boolean {
    return checking === undefined && (this.#order.isEmpty || !this.#order.mustWait(keyOf(outgoing)));
  }

  #enqueue(node: Node, outgoing: RoutedMessage): Promise<Receipt> {
    const checking = this.#host.outgoing.check(outgoing);
    if (this.#goesAtOnce(outgoing, checking)) return node.enqueue(outgoing);
    return this.#order.inTurn(keyOf(outgoing), checking, () => node.enqueue(outgoing));
  }

  #ask(node: Node, outgoing: RoutedMessage, wait: WaitOptions): Promise<unknown> {
    // Refused there, whatever a schema says.
    if (wait.signal?.aborted === true) return node.enqueueAndWait(outgoing, wait);
    const checking = this.#host.outgoing.check(outgoing);
    const asking = this.#goesAtOnce(outgoing, checking)
      ? node.enqueueAndWait(outgoing, wait)
      : this.#askInTurn(node, outgoing, checking, wait);
    return asking.then(decodeJson);
  }

  /** The caller's time counts from the call, also where the message has to wait before it is sent. */
  #askInTurn(node: Node, outgoing: RoutedMessage, checking: Promise<void> | undefined, wait: WaitOptions): Promise<string> {
    const entity = keyOf(outgoing);
    const endsAtMs = performance.now() + wait.timeoutMs;
    const onTimeout = wait.onTimeout ?? (EntityContext.currentOrNone() === undefined ? 'keep' : 'withdraw');
    const withdraws = onTimeout === 'withdraw';
    return new Promise((resolve, reject) => {
      let isOver = false;
      const stopWatch = watch(wait, (why) => {
        isOver = true;
        reject(unsent(why, withdraws, entity, outgoing.id));
      });
      const send = async (): Promise<string> => {
        stopWatch();
        if (isOver && withdraws) return '';
        // What is kept is sent for a caller that has gone: its signal would keep it from the log.
        const signal = isOver ? undefined : wait.signal;
        return node.enqueueAndWait(outgoing, { onTimeout, signal, timeoutMs: Math.max(1, endsAtMs - performance.now()) });
      };
      this.#order.inTurn(entity, checking, send).finally(stopWatch).then(resolve, reject);
    });
  }

  #prepareAll(items: readonly unknown[], scope: Scope | undefined): Prepared {
    const found: (RoutedMessage | AtomicQueuesError)[] = [];
    const checks = new Map<number, Promise<void>>();
    items.forEach((item, i) => {
      try {
        const outgoing = this.#outgoingOf(item, scope);
        found[i] = outgoing;
        const checking = this.#host.outgoing.check(outgoing);
        if (checking !== undefined) checks.set(i, checking);
      } catch (error) {
        if (!(error instanceof AtomicQueuesError)) throw error;
        found[i] = error;
      }
    });
    return { found, checks };
  }

  /** An item is a message itself; or a plain object: `{ message, ...options }`, or a message by name. */
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

const keyOf = ({ type, entityId }: RoutedMessage): string => entityKeyOf(type, entityId);

const outcomeOf = (sending: Promise<Receipt>): Promise<EnqueueOutcome> =>
  sending.then(
    (receipt) => ({ ok: true, receipt }),
    (error) => ({ ok: false, error }),
  );

/** Calls `over` once, at the end of the time or when the caller aborts, unless the returned function was called before. */
function watch({ timeoutMs, signal }: WaitOptions, over: (why: string) => void): () => void {
  const end = (why: string): void => {
    stop();
    over(why);
  };
  const onAbort = (): void => end('the caller aborted');
  const timer = setTimeout(() => end(`no result within ${timeoutMs} ms`), timeoutMs);
  const stop = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  return stop;
}

/** The wait ended before the message was sent: what was to be withdrawn then is not sent at all. */
function unsent(why: string, withdrawn: boolean, entity: string, id: string | undefined): AtomicQueuesError {
  const tail = withdrawn ? 'the message was withdrawn and will not run' : 'the message is not logged yet: it may run later';
  return new AtomicQueuesError('REPLY_TIMEOUT', `${why}; ${tail}`, { definite: withdrawn, details: { entity, id, withdrawn } });
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
