import { LINK_SCENARIOS } from './link-scenarios.js';
import { PROCESS_SCENARIOS } from './process-scenarios.js';
import type { Scenario } from './scenario.js';

export const SCENARIOS: readonly Scenario[] = [...LINK_SCENARIOS, ...PROCESS_SCENARIOS];
