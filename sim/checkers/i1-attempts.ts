import type { Transition } from '../history.js';
import type { EntityView, Findings, Handling, View } from './view.js';

/** I1: a refusal is final. A message whose handler fails otherwise is tried again while attempts are left. */
export function attempts(view: View, findings: Findings): void {
  for (const entity of view.entities.values()) {
    const { maxAttempts } = view.typeFacts(entity.entity);
    for (const handling of entity.handlings) {
      const { end, start } = handling;
      if (end?.outcome !== 'failed' || end.index > view.lossIndex) continue;
      const next = nextOf(entity, handling);
      if (next === undefined || next.index > view.lossIndex) continue;
      const what = `${entity.entity} #${start.seq} attempt ${start.attempt}`;
      if (end.isRefusal === true && next.to === 'enqueued')
        findings.violated('I1', `${what} was refused, and is tried again`, next.index);
      if (end.isRefusal !== true && next.to === 'failed' && start.attempt < maxAttempts)
        findings.violated('I1', `${what} failed, and is not tried again: allowed are ${maxAttempts}`, next.index);
    }
  }
}

/** Returns the logged end of that attempt; undefined if a take-over ended it, since that transition carries no attempt. */
const nextOf = ({ transitions }: EntityView, { start }: Handling): Transition | undefined =>
  transitions.find(({ seq, attempt, from }) => seq === start.seq && attempt === start.attempt && from === 'dispatched');
