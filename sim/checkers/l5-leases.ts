import type { Findings, View } from './view.js';

/**
 * L5 in runs where the links to the store are thin and nothing else is wrong. Each message, result and send fits through the link
 * within one call, so nodes must form batches that fit, and no node may lose its lease. A session that gets nothing through is
 * given up, which costs its node the lease.
 */
export function keptLeases({ facts, events }: View, findings: Findings): void {
  if (facts.keepsLeases !== true) return;
  for (const event of events)
    if (event.kind === 'node' && event.state === 'lease-lost')
      findings.violated('L5', `${event.node} lost its lease (${event.why}), and only its link was thin`, event.index);
}
