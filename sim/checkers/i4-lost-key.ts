import type { HistoryEvent, Invoke } from '../history.js';
import { type Findings, isTerminal, type View } from './view.js';

const NEVER = Number.POSITIVE_INFINITY;
/** Part of the reason that a node gives when the log contradicts it. */
const CONTRADICTED = ' to the owner of ';
const OVER: ReadonlySet<string> = new Set(['closed', 'down', 'starting', 'new']);

/**
 * Checks a run in which a fault deleted a key of the store, or a field of one. Either a node notices and closes the store; then
 * every node closes. Or nothing that is needed is gone; then every node runs and takes new work, and every accepted message ends.
 * An owner that the log contradicts closes alone (docs/decisions/025); the other nodes must then keep working.
 */
export function keyMissed(view: View, findings: Findings): void {
  resultsAreLogged(view, findings);
  const { final, lostKey } = view;
  if (final === undefined) return;
  const isNoticed = view.closedIndex < NEVER || isFound(view) || isStartRefused(view);
  for (const { node, state } of final.nodes) {
    if (OVER.has(state)) continue;
    if (isNoticed) findings.violated('I4', `${node} is ${state}, though the loss of ${lostKey} was noticed`, final.index);
    else if (state !== 'running') findings.violated('L1', `${node} is ${state} after the loss of ${lostKey}`, final.index);
  }
  if (isNoticed) return;
  probesDone(view, findings);
  allEnded(view, findings);
}

/** Returns whether a node closed for another reason than a contradiction between its own entity and the log. */
const isFound = ({ events, lossIndex }: View): boolean =>
  events.some(
    (e) => e.index > lossIndex && e.kind === 'node' && e.state === 'store-lost' && e.why?.includes(CONTRADICTED) !== true,
  );

/** Returns whether a node that started after the loss was refused with STORE_LOST. */
const isStartRefused = ({ events, lossIndex }: View): boolean =>
  events.some((e) => e.index > lossIndex && e.kind === 'node' && e.state === 'start-failed' && e.why?.includes('[STORE_LOST]'));

/** Checks that each result and each receipt that a caller got is in the log. */
function resultsAreLogged({ entities, events, invokes }: View, findings: Findings): void {
  const entityOf = new Map(invokes.map(({ call, entity }) => [call, entity]));
  for (const event of events) {
    if (event.kind !== 'ok') continue;
    const log = entities.get(entityOf.get(event.call) ?? '');
    const { call, index, result, seq } = event;
    const isThere =
      result === undefined
        ? log?.appends.some((a) => a.seq === seq && a.index < index)
        : log?.transitions.some((t) => t.to === 'completed' && t.result === result && t.index < index);
    if (isThere !== true) findings.violated('I5', `call ${call} got ${result ?? `#${seq}`}, which is not in the log`, index);
  }
}

function probesDone({ invokes, events, lostKey, final }: View, findings: Findings): void {
  const probes = new Map<string, Invoke>();
  for (const invoke of invokes) if (invoke.probe) probes.set(invoke.entity, invoke);
  for (const { call, node, index } of probes.values()) {
    const isDone = events.some((e: HistoryEvent) => e.kind === 'ok' && e.call === call && e.node === node);
    const runs = final?.nodes.some((n) => n.node === node && n.state === 'running') === true;
    if (!isDone && runs) findings.violated('L1', `the probe ${call} on ${node} is not done after the loss of ${lostKey}`, index);
  }
}

function allEnded(view: View, findings: Findings): void {
  const { final, lostKey } = view;
  const entities = [...view.entities.values()];
  if (final === undefined) return;
  if (entities.some(({ handlings }) => handlings.some(({ start, endIndex }) => start.isEndless === true && endIndex === NEVER))) {
    findings.excuse('L1', 'handlers that never end may hold all slots');
    return;
  }
  for (const { entity, appends, transitions } of entities) {
    const ended = new Set(transitions.filter(({ to }) => isTerminal(to)).map(({ seq }) => seq));
    for (const { seq } of appends)
      if (!ended.has(seq)) findings.violated('L1', `${entity} #${seq} has no end after the loss of ${lostKey}`, final.index);
  }
}
