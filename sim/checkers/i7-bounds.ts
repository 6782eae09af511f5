import type { Final, Transition } from '../history.js';
import type { EntityView, Findings, View } from './view.js';

/** Timers that an idle node may have set: heartbeat, lease, sweep, expiry, idle list, wheel, and the check of open appends. */
export const TIMERS_AT_REST_MAX = 8;

/** Sizes that an idle node may hold per node of the run, by place (sim/held.ts). A place in neither list must be empty. */
const HELD_FOR_EACH_NODE = sizes([
  [1, 'View.members View.live View.group View.leaders Membership.watched Peers.breakers Peers.missedAtMs AssignmentTable.loads'],
  [1, 'Declared.byMember Declared.groups'],
  [2, 'View.listed'],
  // Three types, with three messages each.
  [3, 'Declared.byMember[] Object.types Object.queries'],
  [10, 'Object.names Object.unreachable'],
]);
const HELD_IN_ALL = sizes([
  [3, 'Directory.own Directory.known Ownership.settings Object.configuredTypes PublishedShapes.own Object.queries Object.types'],
  [12, 'PublishedShapes.own[] Object.names'],
  // One queue for each idle timeout that is configured.
  [3, 'IdleList.queues'],
  // The batch of a clean-up that is in flight.
  [1, 'StoreSession.flying Object.steps'],
  // Rows that a master keeps for its successor: SETTLED_ROWS_MAX of src/runtime/master.ts.
  // The master trims the table when it places the next entity, so the table may exceed the limit by the number placed at once.
  [1100, 'AssignmentTable.rows Master.formerTable'],
  [2200, 'Master.formerTable[]'],
  // Entities handed off in the last ten seconds, each with its time.
  [64, 'AvoidedEntities.untilMs AvoidedEntities.ends'],
  [128, 'AvoidedEntities.ends[]'],
]);

function sizes(rows: readonly (readonly [size: number, where: string])[]): ReadonlyMap<string, number> {
  return new Map(rows.flatMap(([size, where]) => where.split(' ').map((one) => [one, size] as const)));
}

/** Pairs of a collection whose entries expire and the collection of their expiry times. The first must not be the larger one. */
const ENDS_OF: readonly (readonly [kept: string, ends: string])[] = [['AvoidedEntities.untilMs', 'AvoidedEntities.ends']];

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
    // After a node has left, more entities than the limit may be active. Only a step that activates another entity is refused.
    if (depth === 1 && workersMax > 0 && active > workersMax && !wasActive(view, event))
      findings.violated('I7', `${active} entities are active, allowed ${workersMax}`, index);
  }
  for (const entity of view.entities.values()) backoffs(view, entity, findings);
  atRest(view, findings);
}

/** Checks that no retry begins before its backoff is over by the store's clock. Time stamps are whole milliseconds. */
function backoffs(view: View, { entity, transitions }: EntityView, findings: Findings): void {
  let putBack: Transition | undefined;
  for (const step of transitions) {
    if (step.to === 'dispatched' && putBack?.seq === step.seq) {
      const from = putBack.atMs;
      const waitedMs = step.atMs - from;
      const isClockRight = !view.jumpsMs.some((jumpMs) => jumpMs >= from && jumpMs <= step.atMs);
      if (isClockRight && waitedMs < view.backoffMs(entity, putBack.attempt) - 1)
        findings.violated('I7', `${entity} #${step.seq} was tried again after ${Math.round(waitedMs)} ms`, step.index);
    }
    putBack = step.to === 'enqueued' ? step : undefined;
  }
}

/**
 * Whether the entity was active before: replays and sends within a finish are counted after the message they replace has left.
 */
const wasActive = (view: View, append: { entity: string; index: number }): boolean => {
  const before = view.at(append.index - 1);
  return before?.kind === 'transition' && before.entity === append.entity;
};

function atRest(view: View, findings: Findings): void {
  const { final } = view;
  if (final === undefined || final.live.length > 0) return;
  const { index } = final;
  if (final.depth !== 0) findings.violated('I7', `nothing is live, and the depth is ${final.depth}`, index);
  if (final.active !== 0) findings.violated('I7', `nothing is live, and ${final.active} entities count as active`, index);
  if (final.ready !== 0) findings.violated('I7', `nothing is live, and the ready set holds ${final.ready}`, index);
  storeAtRest(final, findings);
  for (const node of final.nodes) {
    if (node.state !== 'running') continue;
    const { waiting, timers, owned } = node;
    if (owned > 0) findings.violated('I7', `${node.node} is idle and owns ${owned} entities`, index);
    // A handler that never ends keeps running, also after its message has ended.
    const running = node.running - view.stuckOn(node.node);
    if (running + waiting > 0)
      findings.violated('I7', `${node.node} is idle with ${running} running and ${waiting} waiting`, index);
    for (const [where, size] of Object.entries(node.holds ?? {})) {
      const max = (HELD_IN_ALL.get(where) ?? 0) + (HELD_FOR_EACH_NODE.get(where) ?? 0) * final.nodes.length;
      if (size > max) findings.violated('I7', `${node.node} is idle and holds ${size} in ${where}, allowed ${max}`, index);
    }
    for (const [kept, ends] of ENDS_OF) {
      const [size = 0, endsAt = 0] = [node.holds?.[kept], node.holds?.[ends]];
      if (size > endsAt)
        findings.violated('I7', `${node.node} holds ${size} in ${kept}, and forgets only ${endsAt} of it`, index);
    }
    if (timers > TIMERS_AT_REST_MAX) findings.violated('I7', `${node.node} is idle with ${timers} timers`, index);
  }
}

function storeAtRest({ store, nodes, index }: Final, findings: Findings): void {
  if (store === undefined) return;
  const running = nodes.filter(({ state }) => state === 'running').length;
  const { members, unwilling, sessions, idleRecords, overdue } = store;
  if (members !== running) findings.violated('I7', `${running} nodes run, and the store has ${members} members`, index);
  if (unwilling > 0) findings.violated('I7', `${unwilling} of the nodes that run are listed as taking no new work`, index);
  if (sessions !== running) findings.violated('I7', `${running} nodes run, and the store has ${sessions} sessions`, index);
  if (idleRecords > 0) findings.violated('I7', `the store keeps ${idleRecords} records of entities that have nothing`, index);
  if (overdue > 0) findings.violated('I7', `the store keeps ${overdue} ids or results past their time`, index);
}
