import type { FaultKind } from './fault.js';
import { KEY_LOSS } from './key-loss.js';
import { LINK_FAULTS, STORE_CONDITIONS, STORE_LOSSES } from './link-faults.js';
import { NODE_FAULTS } from './node-faults.js';
import { REOPENING } from './reopening.js';

/** Every kind of fault that any store has. Store losses are drawn separately, since they end the group. */
export const FAULTS: readonly FaultKind[] = [...NODE_FAULTS, ...LINK_FAULTS, ...STORE_CONDITIONS, ...STORE_LOSSES];

const byKind = new Map([...FAULTS, KEY_LOSS, REOPENING].map((f) => [f.kind, f]));

export function faultOf(kind: string): FaultKind {
  const found = byKind.get(kind);
  if (found === undefined) throw new Error(`there is no fault "${kind}"`);
  return found;
}
