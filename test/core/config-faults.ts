/** Resolves configs as the library does at its start, and returns what it refuses. */
import { type AtomicQueuesConfig, type ConfigFault, resolveConfig } from '../../src/core/config.js';
import { AtomicQueuesError } from '../../src/core/errors.js';

export const environment = { nodeEnv: 'test' as string | undefined, hostname: 'box', generateServerId: () => 'generated-id' };
export const production = { ...environment, nodeEnv: 'production' };
export const resolve = (input?: AtomicQueuesConfig, where = environment) => resolveConfig(input, where);

export function failureOf(input: unknown, where = environment): AtomicQueuesError {
  try {
    resolveConfig(input, where);
  } catch (error) {
    if (error instanceof AtomicQueuesError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

export function faultsOf(input: unknown, where = environment): readonly ConfigFault[] {
  try {
    resolveConfig(input, where);
    return [];
  } catch (error) {
    return (error as AtomicQueuesError).details.faults as ConfigFault[];
  }
}

export const pathsOf = (input: unknown, where = environment) => faultsOf(input, where).map(({ path }) => path);

/** A config with one value, at a path of the table; `<type>` stands for the type account. */
export function configWith(path: string, value: unknown): Record<string, unknown> {
  const keys = path.replace('<type>', 'account').split('.');
  return keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Record<string, unknown>;
}
