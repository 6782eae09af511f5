import type { AsyncContext } from '@nestjs/cqrs';
import type { ResolvedConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Buses, CqrsBus } from './explorer.js';
import { metadata } from './metadata.js';

type Send = (message: object, context?: AsyncContext) => Promise<unknown>;

/**
 * Guards `execute` of every bus. Without the guard, `commandBus.execute` of an entity message would run its handler outside the
 * worker, concurrently with the worker's own message. The guard stays after the stop: another node may own the entity then.
 *
 * The command of a saga runs in the async context of the handler that published the event, but that handler neither calls it nor
 * waits for it. In mode 'route' sagas therefore get a separate command bus, which sends entity messages by `sendForSaga`.
 */
export function guardDirectExecution(
  buses: Buses,
  mode: ResolvedConfig['directExecution'],
  route: Send,
  sendForSaga: Send,
): void {
  if (mode === 'allow') return;
  for (const bus of buses.command) guard(bus, 'commandBus', mode, route);
  for (const bus of buses.query) guard(bus, 'queryBus', mode, route);
  if (mode === 'route') for (const bus of buses.saga) bus.commandBus = sagasFace(bus.commandBus, sendForSaga);
}

function guard(bus: CqrsBus, busName: string, mode: 'route' | 'refuse', route: Send): void {
  const original = bus.execute;
  bus.execute = (message: object, context?: AsyncContext): unknown => {
    if (!isEntityMessage(message)) return original.call(bus, message, context);
    return mode === 'route' ? route(message, context) : Promise.reject(refusal(busName, message));
  };
}

function sagasFace(bus: CqrsBus, send: Send): CqrsBus {
  const execute: CqrsBus['execute'] = (message, context) =>
    isEntityMessage(message) ? send(message, context) : bus.execute(message, context);
  return Object.create(bus, { execute: { value: execute, writable: true } }) as CqrsBus;
}

const isEntityClass = new WeakMap<object, boolean>();

function isEntityMessage(message: unknown): message is object {
  if (typeof message !== 'object' || message === null || typeof message.constructor !== 'function') return false;
  let known = isEntityClass.get(message.constructor);
  if (known === undefined) {
    known = metadata.typeOf(message.constructor) !== undefined;
    isEntityClass.set(message.constructor, known);
  }
  return known;
}

const refusal = (busName: string, message: object): AtomicQueuesError =>
  new AtomicQueuesError(
    'CONFIG_INVALID',
    `${busName}.execute(${message.constructor.name}) would run beside the entity's worker; use queueBus.enqueueAndWait, or directExecution: 'route'`,
    { details: { name: message.constructor.name, directExecution: 'refuse' } },
  );
