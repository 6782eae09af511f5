import { LINK_SCENARIOS } from './link-scenarios.js';
import { PROCESS_SCENARIOS } from './process-scenarios.js';
import { REDIS_SCENARIOS } from './redis-scenarios.js';
import type { Scenario } from './scenario.js';

export const SCENARIOS: readonly Scenario[] = [...LINK_SCENARIOS, ...PROCESS_SCENARIOS, ...REDIS_SCENARIOS];
