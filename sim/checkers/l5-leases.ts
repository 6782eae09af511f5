import type { Findings, View } from './view.js';

/**
 * L5 where links to the store are thin and nothing else is wrong: each message, result and send crosses within one call, so batches have to be
 * made that cross, and no node may lose its lease. A session that gets nothing through is given up, which costs its node the lease.
 */
export function keptLeases({ facts, events }: View, findings: Findings): void {
  if (facts.keepsLeases !== true) return;
  for (const event of events)
    if (event.kind === 'node' && event.state === 'lease-lost')
      findings.violated('L5', `${event.node} lost its lease (${event.why}), and only its link was thin`, event.index);
}
