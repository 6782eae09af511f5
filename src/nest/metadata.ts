import 'reflect-metadata';
import type { StandardSchema } from './standard-schema.js';

// Symbols of the global registry, so that this copy reads what the decorators of another copy of this package recorded.
const TYPE = Symbol.for('atomic-queues:entity-type');
const NAME = Symbol.for('atomic-queues:message-name');
const ID_PROPERTY = Symbol.for('atomic-queues:entity-id');
const SCHEMA = Symbol.for('atomic-queues:schema');
const REPLY_SCHEMA = Symbol.for('atomic-queues:reply-schema');

/** A message class as a value. */
export type MessageClass = abstract new (...args: never[]) => object;

/** The property of a message that holds its entity's id. */
export interface IdProperty {
  readonly name: string;
  /** Index of the decorated constructor parameter, if any. The property was then found in the constructor's source. */
  readonly parameterIndex?: number;
}

/** Reads and writes the metadata of the decorators. A subclass inherits all of it except the name, and may override it. */
export const metadata = {
  setType: (target: object, type: string): void => Reflect.defineMetadata(TYPE, type, target),
  typeOf: (target: object): string | undefined => Reflect.getMetadata(TYPE, target) as string | undefined,

  setName: (target: object, name: string): void => Reflect.defineMetadata(NAME, name, target),
  /** Returns the name that the decorator gave to exactly this class. A subclass does not inherit it: it is another message. */
  givenNameOf: (target: object): string | undefined => Reflect.getOwnMetadata(NAME, target) as string | undefined,
  /** Returns the message's name in the log; '' for a class without a name. */
  nameOf: (target: object): string => metadata.givenNameOf(target) ?? (typeof target === 'function' ? target.name : ''),

  setIdProperty: (target: object, property: IdProperty): void => Reflect.defineMetadata(ID_PROPERTY, property, target),
  idPropertyOf: (target: object): IdProperty | undefined => Reflect.getMetadata(ID_PROPERTY, target) as IdProperty | undefined,
  ownIdPropertyOf: (target: object): IdProperty | undefined =>
    Reflect.getOwnMetadata(ID_PROPERTY, target) as IdProperty | undefined,

  setSchema: (target: object, schema: StandardSchema): void => Reflect.defineMetadata(SCHEMA, schema, target),
  schemaOf: (target: object): StandardSchema | undefined => Reflect.getMetadata(SCHEMA, target) as StandardSchema | undefined,

  setReplySchema: (target: object, schema: StandardSchema): void => Reflect.defineMetadata(REPLY_SCHEMA, schema, target),
  replySchemaOf: (target: object): StandardSchema | undefined =>
    Reflect.getMetadata(REPLY_SCHEMA, target) as StandardSchema | undefined,
};

// @nestjs/cqrs does not export its metadata keys. They are the same in versions 11 and 12.
const COMMAND_HANDLER = '__commandHandler__';
const QUERY_HANDLER = '__queryHandler__';

export type HandlerKind = 'command' | 'query';

/** Returns the message class that a @CommandHandler or @QueryHandler class handles. */
export function handledMessageOf(handler: object): { readonly kind: HandlerKind; readonly message: MessageClass } | undefined {
  const command = Reflect.getMetadata(COMMAND_HANDLER, handler) as MessageClass | undefined;
  if (command !== undefined) return { kind: 'command', message: command };
  const query = Reflect.getMetadata(QUERY_HANDLER, handler) as MessageClass | undefined;
  return query === undefined ? undefined : { kind: 'query', message: query };
}
