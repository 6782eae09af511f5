/** Turns a history into lines for people to read. */
import type { PeerMessage } from '../../src/ports/network.js';
import type { HistoryEvent } from '../history.js';

/** Returns the name of an incarnation in a timeline. */
type NameOf = (incarnation: number) => string;

const byNumber: NameOf = (incarnation) => `incarnation ${incarnation}`;

/** Returns the event in words; undefined for an event that a timeline leaves out. */
export function wordsOf(event: HistoryEvent, nameOf: NameOf = byNumber): string | undefined {
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
      return `the log: ${event.entity} ${event.how === 'claim' ? `is owned by ${nameOf(event.owner)}, fence ${event.fence}` : `is owned by nobody (${event.how})`}`;
    case 'letter':
      return `dead letter ${event.letter}: ${event.entity} #${event.seq}, ${event.reason}`;
    case 'late':
      return `the dead letter of ${event.entity} #${event.seq} says: its handler ended late, ${event.outcome}`;
    case 'drop':
      return `dead letter ${event.letter} is deleted, ${event.left} are left`;
    case 'shown':
      return `an operator is shown depth ${event.counts.depth} and ${event.letters.length} dead letters`;
    case 'epoch':
      return EPOCH_WORDS[event.what](event.epoch, nameOf(event.incarnation));
    case 'evict':
      return `evicts ${nameOf(event.evicted)}`;
    case 'start':
      return `handler of ${event.entity} #${event.seq} starts (attempt ${event.attempt}, fence ${event.fence})`;
    case 'end':
      return `handler of ${event.entity} #${event.seq} ends: ${event.outcome} ${event.result}`.trimEnd();
    case 'abort':
      return `signal of ${event.entity} #${event.seq} aborts`;
    case 'effect':
      return `effect on ${event.entity} by #${event.seq}: ${event.what}, fence ${event.fence}, ${event.accepted ? `balance ${event.balance}` : 'REFUSED'}`;
    case 'node':
      return `is ${event.state}${event.why === undefined ? '' : ` (${event.why})`}`;
    case 'reported':
      return event.event === 'dead-letter'
        ? `reports the dead letter of ${event.entity} ${event.id}`
        : `reports that the dead letter ${event.letter} of ${event.entity} goes`;
    case 'blocked':
      return `reports ${event.entity} as blocked`;
    case 'fault':
      return `FAULT ${event.fault} ${event.phase}${event.jumpMs === undefined ? '' : ` by ${event.jumpMs} ms`}${event.rate === undefined ? '' : ` rate ${event.rate}`}${event.note === undefined ? '' : ` ${event.note}`}`;
    case 'told':
      return `is told by ${event.from}: ${messageWords(event.message, nameOf)}`;
    case 'healed':
      return 'EVERYTHING HEALS';
    case 'final':
      return `THE END: ${event.live.length} live, depth ${event.depth}`;
    case 'defect':
      return `DEFECT ${event.what}`;
    case 'differs':
      return `THE SCRIPTS DIFFER: ${event.what}`;
    case 'run':
      return undefined;
  }
}

const EPOCH_WORDS = {
  lead: (epoch: number, who: string) => `the log: ${who} leads, epoch ${epoch}`,
  accept: (epoch: number) => `accepts a command of epoch ${epoch}`,
  refuse: (epoch: number) => `REFUSES a command of epoch ${epoch}`,
  again: (epoch: number, who: string) => `the log: ${who} leads AGAIN, epoch ${epoch}`,
  overdue: (epoch: number) => `gives a command of epoch ${epoch} AFTER its term`,
};

function messageWords(message: PeerMessage, nameOf: NameOf): string {
  switch (message.kind) {
    case 'wake':
      return `there is work for ${message.entity}${message.message === undefined ? '' : `, #${message.message.seq}`}`;
    case 'reply':
      return `your message to ${message.entity} is ${message.state}`;
    case 'petition':
      return `who shall own ${message.entity}?`;
    case 'placed':
      return message.refusal === undefined ? `${nameOf(message.owner)} shall own it` : `no owner, ${message.refusal}`;
    case 'assign':
      return `own ${message.entity}, by epoch ${message.epoch}`;
    case 'assigned':
      return message.refusal === undefined ? 'it is owned' : `not owned, ${message.refusal}`;
    case 'list-workers':
      return `what do you own? By epoch ${message.epoch}`;
    case 'workers':
      return `I own ${message.entities.length === 0 ? 'nothing' : message.entities.join(', ')}`;
    case 'handover':
      return `before you, ${message.rows.map(([entity, owner]) => `${nameOf(owner)} owned ${entity}`).join(', ')}`;
  }
}

export function timelineOf(events: readonly HistoryEvent[], keep: (event: HistoryEvent) => boolean = () => true): string[] {
  const lines: string[] = [];
  for (const event of events) {
    const words = wordsOf(event);
    if (words === undefined || !keep(event)) continue;
    const node = event.node === '' ? '-' : event.incarnation === 0 ? event.node : `${event.node}/${event.incarnation}`;
    lines.push(`${event.atMs.toFixed(1).padStart(9)}  ${node.padEnd(10)} ${words}`);
  }
  return lines;
}

/** Selects the events of the given entities or calls, and all events of nodes. */
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
      event.kind === 'defect' ||
      event.kind === 'differs'
    );
  };
