import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { ConfigEnvironment } from '../core/config/types.js';

export const systemEnvironment = (): ConfigEnvironment => ({
  nodeEnv: process.env.NODE_ENV,
  hostname: hostname(),
  generateServerId: randomUUID,
});

const LEASE_LOST_EXIT_CODE = 75; // EX_TEMPFAIL of sysexits.h: a supervisor should start the process again.

/** For `onLeaseLost: 'exit'`: after what is being logged now has left. */
export function exitOnLeaseLost(): void {
  process.exitCode = LEASE_LOST_EXIT_CODE;
  setImmediate(() => process.exit(LEASE_LOST_EXIT_CODE));
}
