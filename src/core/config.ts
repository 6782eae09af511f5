import { checkRelations } from './config/relations.js';
import { resolvedOf } from './config/resolve.js';
import type { ConfigEnvironment, ConfigFault, ResolvedConfig } from './config/types.js';
import { Findings } from './config/validate.js';
import { AtomicQueuesError } from './errors.js';

export { CONFIG_FIELDS } from './config/fields.js';
export type { ConfigField } from './config/rules.js';
export type {
  AtomicQueuesConfig,
  ConfigEnvironment,
  ConfigFault,
  EntitySettings,
  IDeadLettersConfig,
  IDeadlinesConfig,
  IEntityConfig,
  IGrpcConfig,
  IGrpcTlsConfig,
  IRedisConfig,
  IRetryPolicy,
  IWalConfig,
  ResolvedConfig,
  ResolvedRedis,
} from './config/types.js';

const lineOf = ({ path, got, allowed, why }: ConfigFault): string =>
  `  ${path}: got ${got}; allowed: ${allowed}${why === '' ? '' : ` (${why})`}`;

/**
 * Checks a config as a user wrote it, and returns it with all defaults. Throws one CONFIG_INVALID that lists all faults, one per
 * line, and carries them as `details.faults`. Neither contains secrets.
 */
export function resolveConfig(input: unknown, environment: ConfigEnvironment): ResolvedConfig {
  const found = new Findings(input);
  checkRelations(input, found, environment);
  const { faults } = found;
  if (faults.length === 0) return resolvedOf(found, environment);
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
  throw new AtomicQueuesError('CONFIG_INVALID', `the configuration has ${count}:\n${faults.map(lineOf).join('\n')}`, {
    details: { faults },
  });
}
