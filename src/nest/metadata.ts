import 'reflect-metadata';
import type { StandardSchema } from './standard-schema.js';

// Symbols of the registry, so that decorators of another copy of this package are understood.
const TYPE = Symbol.for('atomic-queues:entity-type');
const NAME = Symbol.for('atomic-queues:message-name');
const ID_PROPERTY = Symbol.for('atomic-queues:entity-id');
const SCHEMA = Symbol.for('atomic-queues:schema');
const REPLY_SCHEMA = Symbol.for('atomic-queues:reply-schema');

/** A message class as a value. */
export type MessageClass = abstract new (...args: never[]) => object;

/** Where a message carries its entity's id. */
export interface IdProperty {
  readonly name: string;
  /** The decorator stood on this constructor parameter and the property was found by reading the constructor. */
  readonly parameterIndex?: number;
}

/** What the decorators recorded; a subclass inherits it and may record its own. */
export const metadata = {
  setType: (target: object, type: string): void => Reflect.defineMetadata(TYPE, type, target),
  typeOf: (target: object): string | undefined => Reflect.getMetadata(TYPE, target) as string | undefined,

  setName: (target: object, name: string): void => Reflect.defineMetadata(NAME, name, target),
  /** The name that the decorator gave to this very class: a subclass is another message. */
  givenNameOf: (target: object): string | undefined => Reflect.getOwnMetadata(NAME, target) as string | undefined,
  /** The message's name in the log; '' for a class without one. */
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

// @nestjs/cqrs does not export its metadata keys; these are the same in 11 and 12.
const COMMAND_HANDLER = '__commandHandler__';
const QUERY_HANDLER = '__queryHandler__';

export type HandlerKind = 'command' | 'query';

/** The message class that a @CommandHandler or @QueryHandler class handles. */
export function handledMessageOf(handler: object): { readonly kind: HandlerKind; readonly message: MessageClass } | undefined {
  const command = Reflect.getMetadata(COMMAND_HANDLER, handler) as MessageClass | undefined;
  if (command !== undefined) return { kind: 'command', message: command };
  const query = Reflect.getMetadata(QUERY_HANDLER, handler) as MessageClass | undefined;
  return query === undefined ? undefined : { kind: 'query', message: query };
}
