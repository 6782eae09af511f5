/** A history as lines that a person reads. */
import type { HistoryEvent } from '../history.js';

const at = (event: HistoryEvent): string => event.atMs.toFixed(1).padStart(9);

/** What happened, in words; undefined for what a timeline leaves out. */
function wordsOf(event: HistoryEvent): string | undefined {
  switch (event.kind) {
    case 'invoke':
      return `call ${event.call}: ${event.how} ${event.op} ${event.amount} to ${event.entity}${event.id === '' ? '' : ` as "${event.id}"`}`;
    case 'ok':
      return `call ${event.call} is told ${event.result === undefined ? `accepted as #${event.seq}` : `result ${event.result}`}`;
    case 'fail':
      return `call ${event.call} is told ${event.code}${event.definite ? ' (definite)' : ''}`;
    case 'unknown':
      return `call ${event.call} is told ${event.code}: unknown`;
    case 'append':
      return `the log takes ${event.entity} #${event.seq} (call ${event.call})`;
    case 'transition':
      return `the log: ${event.entity} #${event.seq} ${event.from} -> ${event.to}${event.to === 'dispatched' ? ` (attempt ${event.attempt}, fence ${event.fence})` : ''}`;
    case 'own':
      return `the log: ${event.entity} ${event.how === 'claim' ? `is owned by incarnation ${event.owner}, fence ${event.fence}` : `is owned by nobody (${event.how})`}`;
    case 'letter':
      return `dead letter ${event.letter}: ${event.entity} #${event.seq}, ${event.reason}`;
    case 'epoch':
      return `epoch ${event.epoch} of ${event.group}: ${event.what} ${event.incarnation}`;
    case 'start':
      return `handler of ${event.entity} #${event.seq} starts (attempt ${event.attempt}, fence ${event.fence})`;
    case 'end':
      return `handler of ${event.entity} #${event.seq} ends: ${event.outcome} ${event.result}`;
    case 'abort':
      return `signal of ${event.entity} #${event.seq} aborts`;
    case 'effect':
      return `effect on ${event.entity} by #${event.seq}: ${event.what}, fence ${event.fence}, ${event.accepted ? `balance ${event.balance}` : 'REFUSED'}`;
    case 'node':
      return `is ${event.state}${event.why === undefined ? '' : ` (${event.why})`}`;
    case 'blocked':
      return `reports ${event.entity} as blocked`;
    case 'fault':
      return `FAULT ${event.fault} ${event.phase}${event.jumpMs === undefined ? '' : ` by ${event.jumpMs} ms`}${event.rate === undefined ? '' : ` rate ${event.rate}`}${event.note === undefined ? '' : ` ${event.note}`}`;
    case 'healed':
      return 'EVERYTHING HEALS';
    case 'final':
      return `THE END: ${event.live.length} live, depth ${event.depth}`;
    case 'defect':
      return `DEFECT ${event.what}`;
    case 'run':
      return undefined;
  }
}

export function timelineOf(events: readonly HistoryEvent[], keep: (event: HistoryEvent) => boolean = () => true): string[] {
  const lines: string[] = [];
  for (const event of events) {
    const words = wordsOf(event);
    if (words === undefined || !keep(event)) continue;
    const node = event.node === '' ? '-' : event.incarnation === 0 ? event.node : `${event.node}/${event.incarnation}`;
    lines.push(`${at(event)}  ${node.padEnd(10)} ${words}`);
  }
  return lines;
}

/** What concerns the given entities or calls, and all that happens to nodes. */
export const concerning =
  (names: ReadonlySet<string>) =>
  (event: HistoryEvent): boolean => {
    if ('entity' in event && names.has(event.entity)) return true;
    if ('call' in event && names.has(event.call)) return true;
    return (
      event.kind === 'node' ||
      event.kind === 'fault' ||
      event.kind === 'healed' ||
      event.kind === 'final' ||
      event.kind === 'defect'
    );
  };
