import { type EntityView, type Findings, isTerminal, lateStartExcuseOf, type View } from './view.js';

/** I1: a handler starts at most `maxAttempts` times, once per attempt, after its begin is logged, and never after the end. */
export function atMostOnce(view: View, findings: Findings): void {
  for (const entity of view.entities.values()) {
    checkEntity(view, entity, findings);
    if (view.lossIndex < Number.POSITIVE_INFINITY) nothingBeginsAgain(view, entity, findings);
  }
}

interface Message {
  begins: number;
  starts: Map<number, number>;
  terminalIndex: number;
}

function checkEntity(view: View, entity: EntityView, findings: Findings): void {
  const { maxAttempts } = view.typeFacts(entity.entity);
  const messages = new Map<number, Message>();
  const of = (seq: number): Message => {
    const known = messages.get(seq);
    if (known !== undefined) return known;
    const m: Message = { begins: 0, starts: new Map(), terminalIndex: Number.POSITIVE_INFINITY };
    messages.set(seq, m);
    return m;
  };
  const beforeLoss = (e: { index: number }): boolean => e.index < view.lossIndex;
  const steps = [...entity.transitions.filter(beforeLoss), ...entity.handlings.filter((h) => beforeLoss(h.start))].sort(
    (a, b) => indexOf(a) - indexOf(b),
  );
  for (const step of steps) {
    if ('kind' in step) {
      const m = of(step.seq);
      const name = `${entity.entity} #${step.seq}`;
      if (step.to === 'dispatched') {
        if (++m.begins > maxAttempts)
          findings.violated('I1', `${name} began ${m.begins} times, allowed ${maxAttempts}`, step.index);
        if (m.terminalIndex < step.index) findings.violated('I1', `${name} began after its end`, step.index);
      } else if (isTerminal(step.to)) m.terminalIndex = Math.min(m.terminalIndex, step.index);
      continue;
    }
    const { seq, attempt, index, node } = step.start;
    const m = of(seq);
    const name = `${entity.entity} #${seq} attempt ${attempt}`;
    const started = (m.starts.get(attempt) ?? 0) + 1;
    m.starts.set(attempt, started);
    let all = 0;
    for (const n of m.starts.values()) all += n;
    if (started > 1) findings.violated('I1', `${name} started ${started} times, now on ${node}`, index);
    else if (all > maxAttempts) findings.violated('I1', `${name}: start ${all} of at most ${maxAttempts}`, index);
    if (m.begins < attempt) findings.violated('I1', `${name} started on ${node} without a begin in the log`, index);
    if (m.terminalIndex > index) continue;
    const excuse = lateStartExcuseOf(view, step);
    if (excuse === undefined) findings.violated('I1', `${name} started on ${node} after the message had ended`, index);
    else findings.excuse('I1', excuse);
  }
}

const indexOf = (step: { index: number } | { start: { index: number } }): number =>
  'start' in step ? step.start.index : step.index;

/**
 * Checks a store that lost writes: a call that had started before the loss must not start again on what is left. An attempt whose
 * begin was logged before the loss may still start. A replayed dead letter is another message of the same call, so attempts are
 * identified by their sequence.
 */
function nothingBeginsAgain(view: View, entity: EntityView, findings: Findings): void {
  const { lossIndex } = view;
  const callOf = new Map(entity.appends.filter((a) => a.index < lossIndex).map((a) => [a.seq, a.call]));
  const begun = new Set<string>();
  for (const { to, seq, attempt, index } of entity.transitions)
    if (to === 'dispatched' && index < lossIndex) begun.add(`${callOf.get(seq)} ${seq} ${attempt}`);
  const calls = new Set<string>();
  for (const { start } of entity.handlings) {
    const { call, seq, attempt, index } = start;
    const isFirst = begun.delete(`${call} ${seq} ${attempt}`);
    if (index > lossIndex && calls.has(call) && !isFirst) {
      const begunAt =
        entity.transitions.findLast((t) => t.to === 'dispatched' && t.seq === seq && t.index < index)?.index ?? index;
      // Only a node that remembers the lost writes can close the store. Until its first call no other node can know of the loss.
      if (begunAt < view.closedIndex) findings.excuse('I1', 'it began before a node that remembers the lost writes had called');
      else findings.violated('I1', `${entity.entity}: call ${call} started again after the store had lost writes`, index);
    }
    if (index < lossIndex) calls.add(call);
  }
}
