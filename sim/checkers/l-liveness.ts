import type { HistoryEvent, Invoke } from '../history.js';
import type { Findings, Handling, View } from './view.js';

/** Codes with which a probe may be refused while handlers that never end use up the limit. */
const LIMITS = new Set(['QUEUE_DEPTH_EXCEEDED', 'WORKER_LIMIT_EXCEEDED']);

const settledOf = (view: View): Map<string, HistoryEvent> => {
  const settled = new Map<string, HistoryEvent>();
  for (const event of view.events)
    if (event.kind === 'ok' || event.kind === 'fail' || event.kind === 'unknown')
      settled.set(`${event.call} ${event.node}`, event);
  return settled;
};

/** Returns a handling on a live node that the workload never lets end. Any other unfinished handling is no excuse. */
const stuckIn = (view: View, entity: string): Handling | undefined =>
  view.entity(entity).handlings.find((h) => h.start.isEndless === true && h.endMs === Number.POSITIVE_INFINITY);

/** L1: after the heal every accepted message becomes terminal, and new work is accepted. */
export function liveness(view: View, findings: Findings): void {
  const { final } = view;
  if (final === undefined || view.healedMs === Number.POSITIVE_INFINITY || view.lossIndex < Number.POSITIVE_INFINITY) return;
  for (const [entity, seq] of final.live) {
    const stuck = stuckIn(view, entity);
    if (stuck === undefined) {
      if (isBehindSlots(view, entity)) {
        findings.excuse('L1', 'handlers that never end hold all slots of its owner');
        continue;
      }
      findings.violated(
        'L1',
        `${entity} #${seq} is not terminal ${Math.round(final.atMs - view.healedMs)} ms after the heal`,
        final.index,
      );
      continue;
    }
    const forMs = final.atMs - stuck.start.atMs;
    if (view.entity(entity).blocked || forMs < view.facts.blockedAfterMs)
      findings.excuse('L1', 'behind a handler that never ends');
    else findings.violated('L1', `${entity} is blocked for ${Math.round(forMs)} ms and was not reported`, final.index);
  }
  for (const group of final.groups ?? [])
    if (final.store?.led.includes(group) === false)
      findings.violated('L1', `the group ${group} has no master long after the heal`, final.index);
  for (const node of final.nodes)
    if (node.state !== 'running' && node.state !== 'down')
      findings.violated('L1', `${node.node} is ${node.state} long after the heal`, final.index);
}

/** Returns whether handlers that never end hold every slot of the node that owns the entity. */
function isBehindSlots(view: View, entity: string): boolean {
  const { concurrentHandlersMax } = view.facts;
  const owner = view.entity(entity).owned.findLast((o) => o.how === 'claim');
  return concurrentHandlersMax > 0 && owner !== undefined && view.stuckOn(owner.node) >= concurrentHandlersMax;
}

/** L2: every promise settles by its deadline plus slack, in the node's own running time. */
export function settles(view: View, findings: Findings): void {
  const settled = settledOf(view);
  const lastMs = view.events.at(-1)?.atMs ?? 0;
  for (const invoke of view.invokes) {
    const { call, node, deadlineMs, atMs, index } = invoke;
    const end = settled.get(`${call} ${node}`);
    if (end !== undefined && 'tookMs' in end) {
      if (end.tookMs > deadlineMs)
        findings.violated('L2', `call ${call} settled after ${Math.round(end.tookMs)} of ${deadlineMs} ms`, end.index);
      continue;
    }
    if (view.diedAfter(node, index)) continue;
    const openMs = (lastMs - atMs - view.pausedMs(node, atMs, lastMs)) * 0.45;
    if (openMs > deadlineMs) findings.violated('L2', `call ${call} on ${node} never settled`, index);
  }
}

/** L3: a message to an idle entity completes within its bound, regardless of what other entities do. */
export function independence(view: View, findings: Findings): void {
  if (view.lossIndex < Number.POSITIVE_INFINITY) return;
  const settled = settledOf(view);
  // Only the last probe of an entity counts. The earlier ones were refused temporarily.
  const probes = new Map<string, Invoke>();
  for (const invoke of view.invokes) if (invoke.probe) probes.set(invoke.entity, invoke);
  for (const invoke of probes.values()) probed(view, invoke, settled.get(`${invoke.call} ${invoke.node}`), findings);
}

function probed(view: View, invoke: Invoke, end: HistoryEvent | undefined, findings: Findings): void {
  const { call, node, entity, index } = invoke;
  const { independentMs, concurrentHandlersMax } = view.facts;
  if (end?.kind === 'ok') {
    const tookMs = end.atMs - invoke.atMs;
    if (tookMs > independentMs) findings.violated('L3', `${entity} took ${Math.round(tookMs)} of ${independentMs} ms`, end.index);
    return;
  }
  const stuck = [...view.entities.keys()].filter((e) => stuckIn(view, e) !== undefined).length;
  const isLimit = end?.kind === 'fail' && LIMITS.has(end.code);
  if (stuck > 0 && (isLimit || (concurrentHandlersMax > 0 && stuck >= concurrentHandlersMax))) {
    findings.excuse('L3', 'what never ends holds a limit');
    return;
  }
  const told = end === undefined ? 'nothing' : 'code' in end ? end.code : end.kind;
  const isTaken = view.entity(entity).appends.length > 0;
  findings.violated(isTaken ? 'L3' : 'L1', `the probe ${call} on ${node} was told ${told}`, end?.index ?? index);
}
