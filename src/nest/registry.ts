import type { MessageShape } from '../core/catalog.js';
import type { HandlerKind, MessageClass } from './metadata.js';
import { jsonSchemaOf, type StandardSchema } from './standard-schema.js';

/** What a sender needs to send one kind of message. */
export interface Route {
  readonly type: string;
  readonly name: string;
  /** Property of the payload that holds the entity id. Undefined if only the handler's process knows it. */
  readonly idProperty: string | undefined;
  /** Names of the id and of the payload in error messages. Built once, not per message. */
  readonly idLabel: string;
  readonly payloadLabel: string;
  readonly schema: StandardSchema | undefined;
}

/** One kind of message that this process handles. */
export interface HandledMessage extends Route {
  readonly idProperty: string;
  readonly messageClass: MessageClass;
  readonly kind: HandlerKind;
  readonly replySchema: StandardSchema | undefined;
  /** Class and module of the handler, for error messages. */
  readonly handler: string;
  /** Runs the handler through its bus. */
  readonly execute: (message: object, context?: object) => unknown;
}

/** The messages that this process handles, by entity type and message name, and by class. */
export class MessageRegistry {
  readonly #types = new Map<string, Map<string, HandledMessage>>();
  readonly #classes = new Map<object, HandledMessage>();
  /** Cache, filled on demand: each schema is converted to JSON Schema once. */
  readonly #shapes = new Map<HandledMessage, MessageShape>();

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

  /** Returns the message whose class is exactly `messageClass`. */
  findClass(messageClass: object): HandledMessage | undefined {
    return this.#classes.get(messageClass);
  }

  types(): readonly string[] {
    return [...this.#types.keys()];
  }

  namesOf(type: string): readonly string[] {
    return [...(this.#types.get(type)?.keys() ?? [])];
  }

  /** Returns the names of the messages that are queries. */
  queriesOf(type: string): readonly string[] {
    return this.messagesOf(type).flatMap(({ name, kind }) => (kind === 'query' ? [name] : []));
  }

  shapeOf(type: string, name: string): MessageShape | undefined {
    const message = this.find(type, name);
    if (message === undefined) return undefined;
    let shape = this.#shapes.get(message);
    if (shape === undefined) {
      const { schema, replySchema, idProperty } = message;
      shape = { payload: jsonSchemaOf(schema), reply: jsonSchemaOf(replySchema), idProperty };
      this.#shapes.set(message, shape);
    }
    return shape;
  }

  shapesOf(type: string): ReadonlyMap<string, MessageShape> {
    return new Map(this.namesOf(type).map((name) => [name, this.shapeOf(type, name) ?? {}]));
  }

  messagesOf(type: string): readonly HandledMessage[] {
    return [...(this.#types.get(type)?.values() ?? [])];
  }
}
