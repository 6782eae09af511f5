import type { Findings, View } from './view.js';

/** Timers that an idle node may have set: beat, lease, sweep, expiry, idle list, wheel, and the check of open appends. */
export const TIMERS_AT_REST_MAX = 8;

/**
 * What an idle node may hold, by where, and how much of it; all else is empty then. `members`: so many for each node that ever was in
 * the run. `types`: for each type of the run, or each group, or each name of a message.
 */
const HELD_AT_REST: Readonly<Record<string, { readonly members?: number; readonly types?: number; readonly max?: number }>> = {
  'View.members': { members: 1 },
  'View.group': { members: 1 },
  'View.live': { members: 1 },
  'View.listed': { members: 2 },
  'View.leaders': { types: 2 },
  'View.byType': { types: 1 },
  'Places.all': { members: 3 },
};
void HELD_AT_REST;

/** I7: no step raises a count above its limit; at idle every counter is back at its baseline. */
export function bounds(view: View, findings: Findings): void {
  if (view.lossIndex < Number.POSITIVE_INFINITY) return;
  const { depthMaxTotal } = view.facts;
  for (const event of view.events) {
    if (event.kind !== 'append' || event.replayOf !== '') continue;
    const { entity, depth, total, active, workersMax, index } = event;
    const { depthMax } = view.typeFacts(entity);
    if (depthMax > 0 && depth > depthMax)
      findings.violated('I7', `${entity} holds ${depth} messages, allowed ${depthMax}`, index);
    if (depthMaxTotal > 0 && total > depthMaxTotal)
      findings.violated('I7', `the log holds ${total} messages, allowed ${depthMaxTotal}`, index);
    // Active entities may outnumber the limit after a node has left; only a step that makes a new one is refused.
    if (depth === 1 && workersMax > 0 && active > workersMax && !wasActive(view, event))
      findings.violated('I7', `${active} entities are active, allowed ${workersMax}`, index);
  }
  atRest(view, findings);
}

/** Replays and sends from within a finish count as if what they replace had left already. */
const wasActive = (view: View, append: { entity: string; index: number }): boolean => {
  const before = view.events[append.index - 1];
  return before?.kind === 'transition' && before.entity === append.entity;
};

function atRest(view: View, findings: Findings): void {
  const { final } = view;
  if (final === undefined || final.live.length > 0) return;
  const { index } = final;
  if (final.depth !== 0) findings.violated('I7', `nothing is live, and the depth is ${final.depth}`, index);
  if (final.active !== 0) findings.violated('I7', `nothing is live, and ${final.active} entities count as active`, index);
  if (final.ready !== 0) findings.violated('I7', `nothing is live, and the ready set holds ${final.ready}`, index);
  for (const node of final.nodes) {
    if (node.state !== 'running') continue;
    const { waiting, timers } = node;
    // A handler that never ends runs on, whatever became of its message.
    const running = node.running - view.stuckOn(node.node);
    if (running + waiting > 0)
      findings.violated('I7', `${node.node} is idle with ${running} running and ${waiting} waiting`, index);
    if (timers > TIMERS_AT_REST_MAX) findings.violated('I7', `${node.node} is idle with ${timers} timers`, index);
  }
}
