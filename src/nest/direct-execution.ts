import type { ResolvedConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Buses, CqrsBus } from './explorer.js';
import { metadata } from './metadata.js';

/**
 * `commandBus.execute` of an entity message would run its handler behind the worker's back, beside what the worker runs. This
 * puts a guard before `execute` of every bus, which is also what sagas call. It stays after the stop: another node may own the
 * entity by then.
 */
export function guardDirectExecution(
  buses: Buses,
  mode: ResolvedConfig['directExecution'],
  route: (message: object) => Promise<unknown>,
): void {
  if (mode === 'allow') return;
  for (const bus of buses.command) guard(bus, 'commandBus', mode, route);
  for (const bus of buses.query) guard(bus, 'queryBus', mode, route);
}

function guard(bus: CqrsBus, busName: string, mode: 'route' | 'refuse', route: (message: object) => Promise<unknown>): void {
  const original = bus.execute;
  const isEntityClass = new WeakMap<object, boolean>();

  const isEntityMessage = (message: unknown): message is object => {
    if (typeof message !== 'object' || message === null || typeof message.constructor !== 'function') return false;
    let known = isEntityClass.get(message.constructor);
    if (known === undefined) {
      known = metadata.typeOf(message.constructor) !== undefined;
      isEntityClass.set(message.constructor, known);
    }
    return known;
  };

  bus.execute = (message: object, context?: unknown): unknown => {
    if (!isEntityMessage(message)) return original.call(bus, message, context);
    return mode === 'route' ? route(message) : Promise.reject(refusal(busName, message));
  };
}

const refusal = (busName: string, message: object): AtomicQueuesError =>
  new AtomicQueuesError(
    'CONFIG_INVALID',
    `${busName}.execute(${message.constructor.name}) would run beside the entity's worker; use queueBus.enqueueAndWait, or directExecution: 'route'`,
    { details: { name: message.constructor.name, directExecution: 'refuse' } },
  );
