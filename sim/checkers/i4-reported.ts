import type { LetterMade, NodeChange, Reported } from '../history.js';
import type { Findings, View } from './view.js';

/** Changes after which the process, or its session, may be gone before the node can report. */
const ENDS: ReadonlySet<NodeChange> = new Set(['crashed', 'exited', 'draining', 'lease-lost', 'store-lost', 'closed']);

/** I4 for reports: each node reports every dead letter that it makes, and every one past a limit before it deletes that one. */
export function reportedLetters(view: View, findings: Findings): void {
  const reports = view.events.filter((event): event is Reported => event.kind === 'reported');
  const named = new Set(
    reports.filter(({ event }) => event === 'dead-letter').map(({ node, entity, id }) => keyOf(node, entity, id)),
  );
  for (const { letters } of view.entities.values())
    for (const letter of letters)
      if (letter.index < view.lossIndex && !named.has(keyOf(letter.node, letter.entity, letter.id)) && stays(view, letter))
        findings.violated(
          'I4',
          `${letter.node} has not reported the dead letter ${letter.letter} of ${letter.entity}`,
          letter.index,
        );
  for (const { letter, node, index } of view.drops) {
    if (node === 'operator' || index > Math.min(view.lossIndex, view.purgedFromIndex)) continue;
    const isNamed = reports.some((r) => r.event === 'dropping-dead-letter' && r.letter === letter && r.index < index);
    if (!isNamed) findings.violated('I4', `${node} deletes the dead letter ${letter} and has not reported that`, index);
  }
}

const keyOf = (node: string, entity: string, id: string): string => `${node} ${entity} ${id}`;

/** Returns whether the node that made the dead letter keeps that incarnation until the end of the run. */
function stays({ events, final }: View, { node, incarnation }: LetterMade): boolean {
  const joined = events.findLast((e) => e.kind === 'node' && e.node === node && e.state === 'joined');
  if (final === undefined || joined?.incarnation !== incarnation) return false;
  return !events.some((e) => e.index > joined.index && e.kind === 'node' && e.node === node && ENDS.has(e.state));
}
