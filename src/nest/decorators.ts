import { AtomicQueuesError } from '../core/errors.js';
import { isEntityTypeName, isMessageName } from '../core/ids.js';
import { propertyOfParameter } from './constructor-source.js';
import { type IdProperty, metadata } from './metadata.js';
import { isStandardSchema, type StandardSchema } from './standard-schema.js';

/** Decorates a property or a constructor parameter. */
export type QueueEntityIdDecorator = (target: object, property: string | symbol | undefined, parameterIndex?: number) => void;

const nameOf = (target: object): string => (typeof target === 'function' ? target.name : target.constructor.name) || 'a class';

const invalid = (message: string): AtomicQueuesError => new AtomicQueuesError('CONFIG_INVALID', message);

export interface EntityTypeOptions {
  /**
   * The message's name in the log and in the registry: 1 to 128 letters, digits, `_`, `$`, `.`, `:`, `/`, `-`. Default: the name
   * of the class, which a minifier changes. A subclass does not inherit this name.
   */
  readonly name?: string | undefined;
}

/**
 * Sets the entity type of a message class, such as 'account': 1 to 128 letters, digits, `_`, `.`, `-`.
 * Throws CONFIG_INVALID.
 */
export function EntityType(type: string, { name }: EntityTypeOptions = {}): ClassDecorator {
  return (target) => {
    if (!isEntityTypeName(type)) {
      throw invalid(
        `@EntityType(${JSON.stringify(type)}) on ${nameOf(target)}: allowed: 1 to 128 letters, digits, "_", "." and "-"`,
      );
    }
    if (name !== undefined && !isMessageName(name)) {
      throw invalid(
        `@EntityType('${type}', { name: ${JSON.stringify(name)} }) on ${nameOf(target)}: allowed as name: 1 to 128 letters, digits, "_", "$", ".", ":", "/" and "-"`,
      );
    }
    metadata.setType(target, type);
    if (name !== undefined) metadata.setName(target, name);
  };
}

/**
 * Marks the property that holds the entity's id, or the constructor parameter that fills that property. Throws CONFIG_INVALID if
 * the property of a parameter cannot be found.
 */
export function QueueEntityId(): QueueEntityIdDecorator {
  return (target, property, parameterIndex) => {
    if (typeof parameterIndex === 'number') setIdParameter(target, property, parameterIndex);
    else if (typeof property === 'string' && typeof target !== 'function') setIdProperty(target.constructor, { name: property });
    else
      throw invalid(`@QueueEntityId() on ${nameOf(target)}: allowed: a property with a string name, or a constructor parameter`);
  };
}

function setIdParameter(target: object, method: string | symbol | undefined, parameterIndex: number): void {
  if (method !== undefined || typeof target !== 'function') {
    throw invalid(
      `@QueueEntityId() on a parameter of ${nameOf(target)}.${String(method)}: allowed: the constructor's parameters`,
    );
  }
  const found = propertyOfParameter(Function.prototype.toString.call(target), parameterIndex);
  if ('why' in found) {
    throw invalid(`@QueueEntityId() on a constructor parameter of ${nameOf(target)}: ${found.why}; put it on a property instead`);
  }
  setIdProperty(target, { name: found.property, parameterIndex });
}

function setIdProperty(target: object, property: IdProperty): void {
  const before = metadata.ownIdPropertyOf(target);
  if (before !== undefined && before.name !== property.name) {
    throw invalid(`${nameOf(target)} has two @QueueEntityId(): "${before.name}" and "${property.name}"; keep one`);
  }
  metadata.setIdProperty(target, property);
}

/** Combines `@EntityType(type, options)` with `@QueueEntityId()` on `property`. Throws CONFIG_INVALID. */
export function QueueEntity(type: string, property: string, options?: EntityTypeOptions): ClassDecorator {
  return (target) => {
    if (typeof property !== 'string' || property === '') {
      throw invalid(`@QueueEntity('${type}', ...) on ${nameOf(target)}: the second argument is the name of the id's property`);
    }
    EntityType(type, options)(target);
    setIdProperty(target, { name: property });
  };
}

/**
 * Sets the schema of the payload's JSON. The sender checks the payload before anything is logged; the check never changes it.
 * Takes any Standard Schema (zod 4, valibot, arktype, ...). Throws CONFIG_INVALID.
 */
export function Schema(schema: StandardSchema): ClassDecorator {
  return (target) => metadata.setSchema(target, checked('Schema', schema, target));
}

/** Sets the schema of the handler's result. A result that does not match is a failure without retry. Throws CONFIG_INVALID. */
export function ReplySchema(schema: StandardSchema): ClassDecorator {
  return (target) => metadata.setReplySchema(target, checked('ReplySchema', schema, target));
}

function checked(decorator: string, schema: unknown, target: object): StandardSchema {
  if (isStandardSchema(schema)) return schema;
  throw invalid(`@${decorator}() on ${nameOf(target)}: allowed: a schema of a Standard Schema library, such as zod 4`);
}
