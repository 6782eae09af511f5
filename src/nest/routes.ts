import type { ResolvedConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';
import { type MessageClass, metadata } from './metadata.js';
import { howToName, isSurelyMinified, minifiedNotice, outlivesBuild } from './minified.js';
import type { MessageRegistry, Route } from './registry.js';

/**
 * Finds the route of a message by class or by name. The handler may be in this process or in another service. The runtime knows
 * the cluster, so the runtime checks whether any service handles the message.
 */
export class Routes {
  readonly #registry: MessageRegistry;
  readonly #config: ResolvedConfig;
  /** Routes of message classes that this process does not handle. */
  readonly #classes = new WeakMap<object, Route>();

  constructor(registry: MessageRegistry, config: ResolvedConfig) {
    this.#registry = registry;
    this.#config = config;
  }

  /** Returns the route of a class. Throws UNKNOWN_ENTITY_TYPE, UNKNOWN_MESSAGE or INVALID_ENTITY_ID if it has none. */
  ofClass(messageClass: object): Route {
    return this.#registry.findClass(messageClass) ?? this.#classes.get(messageClass) ?? this.#learn(messageClass);
  }

  ofName(type: string, name: string): Route {
    return this.#registry.find(type, name) ?? routeOf(String(type), String(name), undefined);
  }

  #learn(messageClass: object): Route {
    const name = metadata.nameOf(messageClass);
    const type = metadata.typeOf(messageClass);
    if (type === undefined) {
      throw new AtomicQueuesError(
        'UNKNOWN_ENTITY_TYPE',
        `${name || 'the message'} is no entity message: put @EntityType on its class, or use enqueue(type, name, entityId, payload)`,
        { details: { name } },
      );
    }
    if (name === '' || this.#registry.find(type, name) !== undefined) {
      const why =
        name === ''
          ? `a message class of entity type ${JSON.stringify(type)} has no name: ${howToName(type)}`
          : `another class named ${name} is the one that is handled for entity type ${JSON.stringify(type)}: import that one`;
      throw new AtomicQueuesError('UNKNOWN_MESSAGE', why, { details: { type, name } });
    }
    if (outlivesBuild(this.#config) && isSurelyMinified(messageClass)) {
      throw new AtomicQueuesError('UNKNOWN_MESSAGE', `${minifiedNotice(type, name)}; nothing was logged`, {
        details: { type, name },
      });
    }
    const idProperty = idPropertyOf(messageClass as MessageClass, type, this.#config);
    if (idProperty === undefined) throw new AtomicQueuesError('INVALID_ENTITY_ID', noIdProperty(name, type));
    const route = { ...routeOf(type, name, idProperty), schema: metadata.schemaOf(messageClass) };
    this.#classes.set(messageClass, route);
    return route;
  }
}

export const idPropertyOf = (messageClass: MessageClass, type: string, config: ResolvedConfig): string | undefined =>
  metadata.idPropertyOf(messageClass)?.name ?? config.entitySettings(type).defaultEntityId;

export const noIdProperty = (name: string, type: string): string =>
  `${name} (entity type "${type}") says nowhere which property is the entity's id: put @QueueEntityId() on it, or set entities.${type}.defaultEntityId`;

export const routeOf = (type: string, name: string, idProperty: string | undefined): Route => ({
  ...{ type, name, idProperty, schema: undefined },
  idLabel: idProperty === undefined ? `${type}.${name}` : `${name} (property "${idProperty}")`,
  payloadLabel: `the payload of ${type}.${name}`,
});
