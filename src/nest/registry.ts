import { nearestName } from '../core/config/nearest.js';
import { AtomicQueuesError } from '../core/errors.js';
import { type MessageClass, metadata } from './metadata.js';
import type { StandardSchema } from './standard-schema.js';

/** One kind of message that this process handles. */
export interface HandledMessage {
  readonly type: string;
  readonly name: string;
  readonly messageClass: MessageClass;
  readonly idProperty: string;
  /** How errors name its id and its payload: made once, not for every message. */
  readonly idLabel: string;
  readonly payloadLabel: string;
  readonly schema: StandardSchema | undefined;
  readonly replySchema: StandardSchema | undefined;
  /** Class and module of the handler, for people. */
  readonly handler: string;
  /** Runs the handler through its bus. */
  readonly execute: (message: object) => unknown;
}

/** The messages that this process handles, by entity type and message name, and by class. */
export class MessageRegistry {
  readonly #types = new Map<string, Map<string, HandledMessage>>();
  readonly #classes = new Map<object, HandledMessage>();

  add(message: HandledMessage): void {
    let names = this.#types.get(message.type);
    if (names === undefined) {
      names = new Map();
      this.#types.set(message.type, names);
    }
    names.set(message.name, message);
    this.#classes.set(message.messageClass, message);
  }

  find(type: string, name: string): HandledMessage | undefined {
    return this.#types.get(type)?.get(name);
  }

  types(): readonly string[] {
    return [...this.#types.keys()];
  }

  messagesOf(type: string): readonly HandledMessage[] {
    return [...(this.#types.get(type)?.values() ?? [])];
  }

  /** Throws UNKNOWN_ENTITY_TYPE or UNKNOWN_MESSAGE. */
  require(type: string, name: string): HandledMessage {
    return this.find(type, name) ?? this.#refuse(type, name);
  }

  /** The kind of message that an object of this class is. Throws UNKNOWN_ENTITY_TYPE or UNKNOWN_MESSAGE. */
  requireOf(messageClass: object): HandledMessage {
    return this.#classes.get(messageClass) ?? this.#refuseClass(messageClass);
  }

  #refuse(type: string, name: string): never {
    const names = this.#types.get(type);
    if (names === undefined) {
      const nearest = nearestName(String(type), this.#types.keys());
      throw new AtomicQueuesError('UNKNOWN_ENTITY_TYPE', `no handler for entity type ${quote(type)}${didYouMean(nearest)}`, {
        details: { type, nearest, known: this.types() },
      });
    }
    const nearest = nearestName(String(name), names.keys());
    throw new AtomicQueuesError(
      'UNKNOWN_MESSAGE',
      `no handler for message ${quote(name)} of entity type ${quote(type)}${didYouMean(nearest)}`,
      { details: { type, name, nearest, known: [...names.keys()] } },
    );
  }

  #refuseClass(messageClass: object): never {
    const name = typeof messageClass === 'function' ? messageClass.name : '';
    const type = metadata.typeOf(messageClass);
    if (type === undefined) {
      throw new AtomicQueuesError(
        'UNKNOWN_ENTITY_TYPE',
        `${name || 'the message'} is no entity message: put @EntityType on its class, or use enqueue(type, name, entityId, payload)`,
        { details: { name } },
      );
    }
    if (this.find(type, name) === undefined) this.#refuse(type, name);
    throw new AtomicQueuesError(
      'UNKNOWN_MESSAGE',
      `another class named ${name} is the one that is handled for entity type ${quote(type)}: import that one`,
      { details: { type, name } },
    );
  }
}

const quote = (text: string): string => JSON.stringify(text);

const didYouMean = (nearest: string | undefined): string => (nearest === undefined ? '' : `; did you mean ${quote(nearest)}?`);
