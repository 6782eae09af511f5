import type { MessageShape } from '../core/catalog.js';
import type { HandlerKind, MessageClass } from './metadata.js';
import { jsonSchemaOf, type StandardSchema } from './standard-schema.js';

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
  readonly kind: HandlerKind;
  readonly replySchema: StandardSchema | undefined;
  /** Class and module of the handler, for people. */
  readonly handler: string;
  /** Runs the handler through its bus. */
  readonly execute: (message: object, context?: object) => unknown;
}

/** The messages that this process handles, by entity type and message name, and by class. */
export class MessageRegistry {
  readonly #types = new Map<string, Map<string, HandledMessage>>();
  readonly #classes = new Map<object, HandledMessage>();
  /** Made when asked for: a schema is turned into JSON Schema once. */
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

  /** Names of the messages that are queries. */
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
