import type { LateNote } from '../history.js';
import type { EntityView, Findings, View } from './view.js';

/**
 * I5 for dead letters: the note of a late end agrees with the end of that handler. Each interrupted handler that ended in a live
 * process has a note. Only a forced replay repeats a message whose note says that it completed.
 */
export function lateNotes(view: View, findings: Findings): void {
  if (view.lossIndex < Number.POSITIVE_INFINITY) return;
  const dropped = new Set(view.drops.map(({ letter }) => letter));
  const completed = new Map<string, number>();
  for (const entity of view.entities.values()) {
    for (const note of entity.notes) checkNote(entity, note, findings);
    for (const { letter, seq, attempt } of entity.letters) {
      const note = entity.notes.find((n) => n.seq === seq && n.attempt === attempt);
      if (note?.outcome === 'completed') completed.set(letter, note.index);
      if (note === undefined && !dropped.has(letter)) checkMissing(view, entity, seq, attempt, findings);
    }
  }
  for (const { appends } of view.entities.values())
    for (const { entity, replayOf, isForced = false, index } of appends)
      if (!isForced && (completed.get(replayOf) ?? index) < index)
        findings.violated('I5', `${entity}: dead letter ${replayOf} was replayed, though its handler had completed`, index);
}

function checkNote({ entity, handlings }: EntityView, { seq, attempt, of, outcome, index }: LateNote, findings: Findings): void {
  const ran = handlings.find(({ start }) => start.seq === seq && start.attempt === attempt && start.incarnation === of);
  const ended = ran === undefined ? 'not-run' : ran.endIndex < index ? ran.end?.outcome : undefined;
  // If the sends of a handler exceed a limit, its message fails although the handler itself has completed.
  const isRefusedSend = outcome === 'failed' && (ran?.end?.sends ?? 0) > 0;
  if (ended !== outcome && !isRefusedSend)
    findings.violated('I5', `${entity} #${seq}: its dead letter says ${outcome}, and its handler ${ended ?? 'runs'}`, index);
}

/** Reports a missing note if the process that ran the handler lives and had time to record one. */
function checkMissing(
  view: View,
  { entity, handlings, transitions }: EntityView,
  seq: number,
  attempt: number,
  findings: Findings,
): void {
  const { final } = view;
  const interrupted = transitions.some((t) => t.seq === seq && t.to === 'interrupted');
  const ran = handlings.find(({ start }) => start.seq === seq && start.attempt === attempt);
  if (view.healedMs === Number.POSITIVE_INFINITY || !interrupted) return;
  if (final === undefined || ran?.end === undefined || view.diedAfter(ran.start.node, ran.start.index)) return;
  const isRunning = final.nodes.some(({ node, state }) => node === ran.start.node && state === 'running');
  if (isRunning && ran.endMs < view.healedMs)
    findings.violated(
      'I5',
      `${entity} #${seq}: its handler ended on ${ran.start.node}, and its dead letter does not say so`,
      final.index,
    );
}
