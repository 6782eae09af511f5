import type { ResolvedConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';
import { entityIdOf, messageIdOf, utf8Bytes } from '../core/ids.js';
import { decodeJson, encodeJson } from '../core/payload.js';
import { recordError } from '../core/recorded-error.js';
import type { OutgoingMessage } from '../runtime/enqueue.js';
import type { WaitOptions } from '../runtime/replies.js';
import type { EnqueueAndWaitOptions, EnqueueOptions } from './bus-types.js';
import type { MessageRegistry, Route } from './registry.js';
import { Routes } from './routes.js';
import { checkedInTime, checkSchema } from './standard-schema.js';

/** The entity type, and optionally the entity id, that a scope (`QueueBus.forEntity`) fixes. */
export interface Scope {
  readonly type: string;
  readonly id: string | undefined;
}

const ENQUEUE_OPTIONS: ReadonlySet<string> = new Set(['id', 'headers']);
const WAIT_OPTIONS: ReadonlySet<string> = new Set(['id', 'headers', 'timeoutMs', 'signal', 'onTimeout']);
const TIMEOUT_MAX_MS = 2 ** 31 - 1;

const invalid = (message: string): AtomicQueuesError => new AtomicQueuesError('CONFIG_INVALID', message);

const show = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value));

export interface RoutedMessage extends OutgoingMessage {
  readonly route: Route;
}

/** Converts the arguments of callers to messages of the runtime. Routes, encodes to JSON and checks before anything is logged. */
export class OutgoingMessages {
  readonly #routes: Routes;
  readonly #config: ResolvedConfig;
  readonly #bytesMax: number;
  /** Entity types that this application handles or configures. Their own `replyTimeout` applies. */
  readonly #ownTypes: ReadonlySet<string>;

  constructor(registry: MessageRegistry, config: ResolvedConfig) {
    this.#routes = new Routes(registry, config);
    this.#config = config;
    this.#bytesMax = config.limits.payloadBytesMax;
    this.#ownTypes = new Set([...registry.types(), ...config.configuredTypes]);
  }

  /**
   * Converts a message object. Throws UNKNOWN_ENTITY_TYPE, UNKNOWN_MESSAGE, INVALID_ENTITY_ID, SCHEMA_VIOLATION,
   * PAYLOAD_TOO_LARGE, CONFIG_INVALID.
   */
  ofObject(message: unknown, options: EnqueueOptions | undefined, scope: Scope | undefined): RoutedMessage {
    if (typeof message !== 'object' || message === null) {
      throw invalid(
        `the message is ${message === null ? 'null' : `a ${typeof message}`}; allowed: an object of a class with @EntityType`,
      );
    }
    const route = this.#routes.ofClass(classOf(message));
    const ownId = ownIdOf(message, route);
    const entityId = entityIdOf(ownId, route.idLabel);
    if (scope !== undefined) checkScope(scope, route, entityId);
    return this.#assemble(route, entityId, typeof ownId === 'bigint' ? withTextId(message, route) : message, options);
  }

  /** Converts a message given by name. Throws as `ofObject` does. */
  ofParts(type: string, name: string, entityId: unknown, payload: unknown, options: EnqueueOptions | undefined): RoutedMessage {
    const route = this.#routes.ofName(type, name);
    const id = entityIdOf(entityId, `${type}.${name}`);
    const ownId = typeof payload === 'object' && payload !== null ? ownIdOf(payload, route) : undefined;
    if (ownId !== undefined && entityIdOf(ownId, `${type}.${name} (property "${route.idProperty}")`) !== id) {
      throw new AtomicQueuesError(
        'INVALID_ENTITY_ID',
        `${type}.${name} is sent to ${show(id)}, but its "${route.idProperty}" is ${show(ownId)}`,
        { details: { entityId: id, property: route.idProperty } },
      );
    }
    return this.#assemble(route, id, typeof ownId === 'bigint' ? withTextId(payload as object, route) : payload, options);
  }

  /**
   * Checks the payload against its schema. Throws SCHEMA_VIOLATION, or returns a promise that may reject with it. The promise
   * settles within `enqueueTimeoutMs`, since other calls wait for it.
   */
  check(outgoing: RoutedMessage): undefined | Promise<void> {
    const checking = startCheck(outgoing);
    if (checking === undefined) return undefined;
    return checkedInTime(checking, outgoing.route.payloadLabel, this.#config.enqueueTimeoutMs, true);
  }

  /** Converts a transactional send, which cannot wait for an asynchronous schema. Throws as `ofObject` does. */
  ofSend(message: object, headers: Readonly<Record<string, string>> | undefined): OutgoingMessage {
    const outgoing = this.ofObject(message, headers === undefined ? undefined : { headers }, undefined);
    const checking = startCheck(outgoing);
    if (checking !== undefined) {
      checking.catch(() => {});
      throw invalid(`the schema of ${outgoing.name} is asynchronous: EntityContext.enqueue cannot wait for it; use QueueBus`);
    }
    return outgoing;
  }

  /** Returns the checked wait options, with the default timeout filled in. Throws CONFIG_INVALID. */
  waitOf(type: string, options: EnqueueAndWaitOptions | undefined): WaitOptions {
    const timeoutMs = options?.timeoutMs ?? this.#replyTimeoutMs(type);
    if (typeof timeoutMs !== 'number' || !(timeoutMs > 0 && timeoutMs <= TIMEOUT_MAX_MS)) {
      throw invalid(`option timeoutMs is ${show(timeoutMs)}; allowed: a number above 0 and at most ${TIMEOUT_MAX_MS}`);
    }
    const { signal, onTimeout } = options ?? {};
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw invalid(`option signal is ${show(signal)}; allowed: an AbortSignal`);
    }
    if (onTimeout !== undefined && onTimeout !== 'keep' && onTimeout !== 'withdraw') {
      throw invalid(`option onTimeout is ${show(onTimeout)}; allowed: 'keep' or 'withdraw'`);
    }
    return { timeoutMs, signal, onTimeout };
  }

  #replyTimeoutMs(type: string): number {
    return this.#ownTypes.has(type) ? this.#config.entitySettings(type).replyTimeoutMs : this.#config.deadlines.andWaitMs;
  }

  #assemble(route: Route, entityId: string, data: unknown, options: EnqueueOptions | undefined): RoutedMessage {
    const { type, name, payloadLabel } = route;
    const payload = encodeJson(data, payloadLabel, this.#bytesMax);
    if (payload[0] !== '{') {
      throw new AtomicQueuesError('SCHEMA_VIOLATION', `${payloadLabel} is no JSON object; allowed: an object`, {
        details: { path: '$' },
      });
    }
    if (options === undefined) return { type, entityId, name, payload, route };
    const id = options.id === undefined ? undefined : messageIdOf(options.id);
    return { type, entityId, name, payload, id, headers: this.#headersText(options.headers, payload), route };
  }

  /** Returns the headers as JSON, or '' for none. Headers count towards the payload limit. */
  #headersText(headers: unknown, payload: string): string {
    if (headers === undefined) return '';
    if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
      throw invalid(`option headers is ${Array.isArray(headers) ? 'an array' : show(headers)}; allowed: an object of strings`);
    }
    const wrong = Object.entries(headers).find(([, value]) => typeof value !== 'string');
    if (wrong !== undefined) {
      throw invalid(`header ${show(wrong[0])} is ${wrong[1] === null ? 'null' : `a ${typeof wrong[1]}`}; allowed: a string`);
    }
    if (Object.keys(headers).length === 0) return '';
    const text = encodeJson({ ...headers }, 'headers', this.#bytesMax);
    if (utf8Bytes(text) + utf8Bytes(payload) > this.#bytesMax) {
      throw new AtomicQueuesError('PAYLOAD_TOO_LARGE', `payload and headers are larger than ${this.#bytesMax} bytes together`, {
        details: { bytesMax: this.#bytesMax },
      });
    }
    return text;
  }
}

const startCheck = ({ route, payload }: RoutedMessage): undefined | Promise<void> =>
  route.schema === undefined ? undefined : checkSchema(route.schema, decodeJson(payload), route.payloadLabel, true);

/** Reads the class from the prototype, since a message may have an own property named "constructor". */
function classOf(message: object): object {
  const found = (Object.getPrototypeOf(message) as { constructor?: unknown } | null)?.constructor;
  return typeof found === 'function' ? found : Object;
}

/** Returns the value of the message's id property. Throws INVALID_ENTITY_ID if its getter throws. */
function ownIdOf(message: object, { idProperty, idLabel }: Route): unknown {
  if (idProperty === undefined) return undefined;
  try {
    return (message as Record<string, unknown>)[idProperty];
  } catch (cause) {
    const text = `entity id of ${idLabel} cannot be read: ${recordError(cause).message}`;
    throw new AtomicQueuesError('INVALID_ENTITY_ID', text, { cause });
  }
}

/** Returns the message with its bigint id as a decimal string, as in the entity's key. JSON has no bigint. */
function withTextId(message: object, route: Route): object {
  if (route.idProperty === undefined || typeof (message as { toJSON?: unknown }).toJSON === 'function') return message;
  return { ...message, [route.idProperty]: String(ownIdOf(message, route)) };
}

function checkScope(scope: Scope, { type, name }: Route, entityId: string): void {
  if (type !== scope.type) {
    throw invalid(`${name} is for entity type "${type}", but the scope is for "${scope.type}"`);
  }
  if (scope.id !== undefined && scope.id !== entityId) {
    throw new AtomicQueuesError(
      'INVALID_ENTITY_ID',
      `${name} is for ${type} ${show(entityId)}, but the scope is for ${show(scope.id)}`,
      { details: { entityId, scope: scope.id } },
    );
  }
}

function checkOptions(options: unknown, allowed: ReadonlySet<string>, call: string): void {
  if (options === undefined) return;
  if (typeof options !== 'object' || options === null)
    throw invalid(`the options of ${call} are ${show(options)}; allowed: an object`);
  for (const name in options) {
    if (!allowed.has(name)) throw invalid(`option ${show(name)} of ${call} is not known; allowed: ${[...allowed].join(', ')}`);
  }
}

export const checkEnqueueOptions = (options: unknown): void => checkOptions(options, ENQUEUE_OPTIONS, 'enqueue');
export const checkWaitOptions = (options: unknown): void => checkOptions(options, WAIT_OPTIONS, 'enqueueAndWait');
