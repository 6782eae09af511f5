import type { HistoryEvent } from '../history.js';
import type { Findings, View } from './view.js';

/** States in which a node may run no handler. */
const LOSSES: ReadonlySet<string> = new Set(['suspended', 'lease-lost', 'store-lost']);
/** In ms. Real processes stamp the two events one after the other. */
const SLACK_MS = 20;

/** I2: the signal of each running handler aborts when its node loses the right to run it. */
export function abortsInTime(view: View, findings: Findings): void {
  const handlings = [...view.entities.values()].flatMap((entity) => entity.handlings);
  for (const event of view.events) {
    if (!isLoss(event)) continue;
    for (const { start, endIndex, abortMs } of handlings) {
      const { entity, seq, node, index } = start;
      if (node !== event.node || index > event.index || endIndex < event.index || abortMs <= event.atMs + SLACK_MS) continue;
      findings.violated('I2', `${node} is ${event.state}, and the handler of ${entity} #${seq} was not aborted`, event.index);
    }
  }
}

const isLoss = (event: HistoryEvent): event is HistoryEvent & { kind: 'node' } =>
  event.kind === 'node' && LOSSES.has(event.state);
