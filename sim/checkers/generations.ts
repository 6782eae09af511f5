/**
 * A store that was emptied and is used again is another store. What its members do, and what processes do that live on from before, are two
 * histories with numbers and fences of their own: each is judged by itself, and neither may be seen in the other.
 */
import type { FaultEvent, HistoryEvent } from '../history.js';
import type { Findings } from './view.js';

export interface Generations {
  /** All until the store was emptied, and what its processes do later. It does not come to an end of its own. */
  readonly former: readonly HistoryEvent[];
  readonly present: readonly HistoryEvent[];
  /** Processes of the former one that live on, by node. */
  readonly left: ReadonlySet<string>;
}

const isReopening = (event: HistoryEvent): event is FaultEvent => event.kind === 'fault' && event.fault === 'reopened';

/** What only the store itself records, as it applies it. */
const IN_LOG: ReadonlySet<HistoryEvent['kind']> = new Set(['append', 'transition', 'own', 'letter', 'late', 'drop', 'bury']);

/** Returns undefined if the store was not emptied and used again. */
export function generationsOf(events: readonly HistoryEvent[]): Generations | undefined {
  const reopening = events.find(isReopening);
  if (reopening === undefined) return undefined;
  const left = new Set(reopening.former);
  const former: HistoryEvent[] = [];
  const present: HistoryEvent[] = [];
  for (const event of events) {
    // Clocks, pauses and links are those of hosts.
    const isOfBoth = event.kind === 'run' || (event.kind === 'fault' && event.fault !== 'storeClosed');
    const isBefore = event.index < reopening.index;
    const isFormer = isBefore || left.has(event.node);
    if (isOfBoth || isFormer) former.push(event);
    if (isOfBoth || !isFormer) present.push(event);
    if (!isBefore && event.kind === 'node' && (event.state === 'exited' || event.state === 'crashed')) left.delete(event.node);
  }
  return { former, present, left };
}

/** I4: a process of the former store writes nothing into the present one, notices, and is the only one that does. */
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
