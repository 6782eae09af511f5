import { type Findings, overdueExcuseOf, type View } from './view.js';

/** I6: no epoch has two masters, and neither a node nor the store accepts an epoch below the highest one that it has accepted. */
export function epochs(view: View, findings: Findings): void {
  const masters = new Map<string, number>();
  const accepted = new Map<string, number>();
  for (const event of view.events) {
    if (event.kind !== 'epoch' || event.what === 'refuse' || event.index > view.lossIndex) continue;
    const { group, epoch, incarnation, node, what, atMs, index } = event;
    if (what === 'again') {
      findings.violated('I6', `${node} was named master again under epoch ${epoch}, though its term was over`, index);
      continue;
    }
    if (what === 'overdue') {
      const excuse = overdueExcuseOf(view, node, atMs);
      if (excuse === undefined) findings.violated('I6', `${node} gave a command of epoch ${epoch} after its term`, index);
      else findings.excuse('I6', excuse);
      continue;
    }
    if (what === 'lead') {
      const key = `${group} ${epoch}`;
      const master = masters.get(key);
      if (master !== undefined && master !== incarnation)
        findings.violated('I6', `epoch ${epoch} of ${group} has two masters, ${master} and ${incarnation}`, index);
      masters.set(key, incarnation);
    }
    const by = what === 'lead' ? `store ${group}` : `${node} ${incarnation} ${group}`;
    const highest = accepted.get(by) ?? 0;
    if (epoch < highest) findings.violated('I6', `${by} accepted epoch ${epoch} after ${highest}`, index);
    accepted.set(by, Math.max(highest, epoch));
  }
}
