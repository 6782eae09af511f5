import type { MessageClass } from './metadata.js';
import type { StandardSchema } from './standard-schema.js';

/** What a sender knows of one kind of message. */
export interface Route {
  readonly type: string;
  readonly name: string;
  /** Undefined where only its handler knows. */
  readonly idProperty: string | undefined;
  /** How errors name its id and its payload: made once, not for every message. */
  readonly idLabel: string;
  readonly payloadLabel: string;
  readonly schema: StandardSchema | undefined;
}

/** One kind of message that this process handles. */
export interface HandledMessage extends Route {
  readonly idProperty: string;
  readonly messageClass: MessageClass;
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

  /** The kind of message that an object of this class is. */
  findClass(messageClass: object): HandledMessage | undefined {
    return this.#classes.get(messageClass);
  }

  types(): readonly string[] {
    return [...this.#types.keys()];
  }

  namesOf(type: string): readonly string[] {
    return [...(this.#types.get(type)?.keys() ?? [])];
  }

  messagesOf(type: string): readonly HandledMessage[] {
    return [...(this.#types.get(type)?.values() ?? [])];
  }
}
