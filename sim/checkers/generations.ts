/**
 * A store that was emptied and is used again is another store. The members of the present store, and processes that survive from
 * before, produce two histories with separate numbers and fences. Each history is judged alone, and neither may appear in the
 * other.
 */
import type { FaultEvent, HistoryEvent } from '../history.js';
import type { Findings } from './view.js';

export interface Generations {
  /** All events until the store was used again, and the later events of surviving processes. Has no `final` event. */
  readonly former: readonly HistoryEvent[];
  readonly present: readonly HistoryEvent[];
  /** Nodes with a process of the former store that still runs at the end. */
  readonly left: ReadonlySet<string>;
}

const isReopening = (event: HistoryEvent): event is FaultEvent => event.kind === 'fault' && event.fault === 'reopened';

/** Event kinds that the store alone records, when it applies an operation. */
const IN_LOG: ReadonlySet<HistoryEvent['kind']> = new Set(['append', 'transition', 'own', 'letter', 'late', 'drop', 'evict']);

/** Returns undefined if the store was not emptied and used again. */
export function generationsOf(events: readonly HistoryEvent[]): Generations | undefined {
  const reopening = events.find(isReopening);
  if (reopening === undefined) return undefined;
  const left = new Set(reopening.former);
  const former: HistoryEvent[] = [];
  const present: HistoryEvent[] = [];
  for (const event of events) {
    // Faults of clocks, pauses and links belong to hosts, so both histories have them.
    const isOfBoth = event.kind === 'run' || (event.kind === 'fault' && event.fault !== 'storeClosed');
    const isBefore = event.index < reopening.index;
    const isFormer = isBefore || left.has(event.node);
    if (isOfBoth || isFormer) former.push(event);
    if (isOfBoth || !isFormer) present.push(event);
    if (!isBefore && event.kind === 'node' && (event.state === 'exited' || event.state === 'crashed')) left.delete(event.node);
  }
  return { former, present, left };
}

/** I4: a process of the former store writes nothing into the present one and notices the loss; no other process notices one. */
export function keptApart({ former, present, left }: Generations, findings: Findings): void {
  const at = former.find(isReopening)?.index ?? 0;
  for (const { kind, node, index } of former)
    if (index > at && IN_LOG.has(kind))
      findings.violated('I4', `${node} has joined a store that was emptied since, and the log has its ${kind}`, index);
  for (const event of present) {
    const isNoticed =
      (event.kind === 'node' && event.state === 'store-lost') || (event.kind === 'fault' && event.fault === 'storeClosed');
    if (isNoticed) findings.violated('I4', `${event.node} has noticed a loss, and nothing of this store is lost`, event.index);
  }
  const last = present.at(-1)?.index ?? 0;
  for (const node of left) findings.violated('I4', `${node} runs on, though its store was emptied`, last);
}
