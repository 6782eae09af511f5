import type { DiscoveryService } from '@nestjs/core';
import { type AsyncContext, CommandBus, EventBus, QueryBus } from '@nestjs/cqrs';
import type { ResolvedConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';
import { type HandlerKind, handledMessageOf, type MessageClass, metadata } from './metadata.js';
import { howToName, isSurelyMinified, minifiedNotice, outlivesBuild, takesMinifiedName } from './minified.js';
import { type HandledMessage, MessageRegistry } from './registry.js';
import { idPropertyOf, noIdProperty, routeOf } from './routes.js';

type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];

type Execute = (message: object, context?: object) => unknown;

/** A command bus or query bus of @nestjs/cqrs. */
export interface CqrsBus {
  execute(message: object, context?: AsyncContext): unknown;
}

/** The part of an event bus of @nestjs/cqrs that its sagas use: the bus that executes their commands. */
export interface SagaBus {
  commandBus: CqrsBus;
}

export interface Buses {
  readonly command: readonly CqrsBus[];
  readonly query: readonly CqrsBus[];
  readonly saga: readonly SagaBus[];
}

export interface Explored {
  readonly registry: MessageRegistry;
  readonly buses: Buses;
  /** Warnings to log at the start. */
  readonly notices: readonly string[];
}

interface FoundHandler {
  readonly kind: HandlerKind;
  readonly message: MessageClass;
  readonly type: string;
  readonly handler: string;
}

/**
 * Finds every handler of an entity message, and every command and query bus. An application that imports CqrsModule.forRoot()
 * itself has several buses. Throws CONFIG_INVALID with all faults in one message.
 */
export function explore(discovery: DiscoveryService, config: ResolvedConfig): Explored {
  const wrappers = discovery.getProviders().filter((wrapper) => !wrapper.isAlias);
  const buses: Buses = {
    command: busesOf(wrappers, CommandBus),
    query: busesOf(wrappers, QueryBus),
    saga: wrappers.filter(sendsForSagas).map(({ instance }) => instance as SagaBus),
  };
  const registry = new MessageRegistry();
  const faults: string[] = [];
  const notices: string[] = [];
  // Take `execute` before direct execution is guarded: the worker must reach the handler, not the guard.
  const executeBy = { command: executeOf(buses.command[0]), query: executeOf(buses.query[0]) };
  for (const found of wrappers.flatMap(handlerOf)) {
    const message = describe(found, config, executeBy[found.kind]);
    const before = typeof message === 'string' ? undefined : registry.find(message.type, message.name);
    if (typeof message === 'string') faults.push(message);
    else if (before !== undefined) faults.push(conflict(before, message));
    else {
      registry.add(message);
      if (takesMinifiedName(found.message)) {
        const isFault = outlivesBuild(config) && isSurelyMinified(found.message);
        (isFault ? faults : notices).push(minifiedNotice(message.type, message.name));
      }
    }
  }
  if (faults.length > 0) {
    throw new AtomicQueuesError(
      'CONFIG_INVALID',
      `wrong handlers or messages:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
      {
        details: { faults },
      },
    );
  }
  return { registry, buses, notices };
}

/** Returns each bus once. Buses of a global CqrsModule.forRoot() come first: the user configured their publishers. */
function busesOf(wrappers: readonly Wrapper[], busClass: typeof CommandBus | typeof QueryBus): readonly CqrsBus[] {
  // Match the token too: tests replace the buses by instances of other classes.
  const found = wrappers.filter(({ token, instance }) => token === busClass || instance instanceof busClass).filter(canExecute);
  const isGlobal = ({ host }: Wrapper): boolean => host?.isGlobal === true;
  const ordered = [...found.filter(isGlobal), ...found.filter((wrapper) => !isGlobal(wrapper))];
  return [...new Set(ordered.map(({ instance }) => instance as CqrsBus))];
}

/** Checks for the private field `commandBus`. Without it, as in a custom event bus, saga commands use the guarded buses. */
function sendsForSagas({ instance }: Wrapper): boolean {
  const { commandBus } = (instance instanceof EventBus ? instance : {}) as Partial<SagaBus>;
  return typeof commandBus?.execute === 'function';
}

function canExecute({ instance }: Wrapper): boolean {
  return typeof (instance as Partial<CqrsBus> | null | undefined)?.execute === 'function';
}

function executeOf(bus: CqrsBus | undefined): Execute | undefined {
  return bus?.execute.bind(bus) as Execute | undefined;
}

function handlerOf(wrapper: Wrapper): readonly FoundHandler[] {
  const handler = (wrapper.instance as object | null | undefined)?.constructor ?? wrapper.metatype;
  const handled = typeof handler === 'function' ? handledMessageOf(handler) : undefined;
  if (handled === undefined || handler === null || handler === undefined) return [];
  const type = metadata.typeOf(handled.message);
  if (type === undefined) return [];
  return [{ ...handled, type, handler: `${handler.name} (module ${wrapper.host?.name ?? 'unknown'})` }];
}

/** Returns the registry entry of a handler, or the fault of its message as text. */
function describe(found: FoundHandler, config: ResolvedConfig, execute: Execute | undefined): HandledMessage | string {
  const { type, message, handler } = found;
  if (execute === undefined) return `${handler} has no bus to run it: CqrsModule was overridden`;
  const name = metadata.nameOf(message);
  if (name === '') return `the message class that ${handler} handles has no name: ${howToName(type)}`;
  const idProperty = idPropertyOf(message, type, config);
  if (idProperty === undefined) return noIdProperty(name, type);
  const schemas = { schema: metadata.schemaOf(message), replySchema: metadata.replySchemaOf(message) };
  return {
    ...routeOf(type, name, idProperty),
    idProperty,
    messageClass: message,
    kind: found.kind,
    ...schemas,
    handler,
    execute,
  };
}

function conflict(before: HandledMessage, message: HandledMessage): string {
  const what = `message "${message.name}" of entity type "${message.type}"`;
  if (before.messageClass === message.messageClass) {
    return `two handlers for ${what}: ${before.handler} and ${message.handler}; keep one`;
  }
  return `two classes for ${what}, handled by ${before.handler} and ${message.handler}: rename one, or give it another entity type`;
}
