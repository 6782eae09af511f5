/** What happened to one entity around a violation, to be read from top to bottom. */
import type { Facts } from './facts.js';
import type { Violation } from './history.js';
import { entityKey } from './plan.js';
import type { RecordEvent } from './record.js';

const AROUND = 12;
const LINES_MAX = 80;

export function timelineOf({ history, messages }: Facts, { entity, what }: Violation): string[] {
  const calls = new Map<string, string>();
  for (const event of history.events) if (event.kind === 'invoke') calls.set(event.call, event.plan.ref);
  const refOf = (event: RecordEvent): string | undefined => {
    if (event.kind === 'start' || event.kind === 'end') return event.ref;
    if (event.kind === 'invoke') return event.plan.ref;
    return event.kind === 'told' ? calls.get(event.call) : undefined;
  };
  const words = new Set(what.split(/[\s,:()]+/).filter((word) => messages.has(word)));
  // Who sends it, where no caller does.
  for (const word of [...words]) words.add(messages.get(word)?.parent?.ref ?? word);
  const concerns = (event: RecordEvent): boolean => {
    if (event.kind === 'boot' || event.kind === 'ready' || event.kind === 'exit' || event.kind === 'stall') return true;
    if (event.kind === 'logged') return entity === '' || event.text.includes(entity);
    if (words.has(refOf(event) ?? '')) return true;
    if (event.kind === 'start' || event.kind === 'end') return event.entity === entity;
    const ref = refOf(event);
    return ref !== undefined && messages.get(ref)?.entity === entity;
  };
  const events = history.events.filter(concerns).sort((a, b) => a.atUs - b.atUs);
  const named = (event: RecordEvent): boolean => words.has(refOf(event) ?? '');
  const from = Math.max(0, events.findIndex(named) - AROUND);
  const to = Math.max(from, events.findLastIndex(named)) + AROUND;
  const originUs = events[0]?.atUs ?? 0;
  const lines = events
    .slice(from, to)
    .map((event) => `${named(event) ? '>' : ' '} ${lineOf(event, originUs, refOf(event) ?? '')}`);
  const letters = history.final.letters.filter((letter) => letter.entity === entity && words.has(letter.ref));
  const tail = letters.map(
    (l) => `  dead letter ${l.letter}: ${l.ref} seq ${l.seq} attempt ${l.attempt} ${l.reason}, incarnation ${l.incarnation}`,
  );
  return [...shortened(lines), ...tail];
}

function shortened(lines: string[]): string[] {
  if (lines.length <= LINES_MAX) return lines;
  const half = LINES_MAX / 2;
  return [...lines.slice(0, half), `  ... ${lines.length - LINES_MAX} lines ...`, ...lines.slice(-half)];
}

function lineOf(event: RecordEvent, originUs: number, ref: string): string {
  const head = `${((event.atUs - originUs) / 1000).toFixed(2).padStart(10)} ms  run ${event.run}  ${event.kind.padEnd(6)}`;
  switch (event.kind) {
    case 'boot':
      return `${head} as ${event.serverId}`;
    case 'stall':
      return `${head} the event loop stood still for ${event.forMs} ms`;
    case 'logged':
      return `${head} ${event.level} ${event.text}`;
    case 'invoke':
      return `${head} ${ref} ${event.mode} to ${entityKey(event.plan)}${event.id === undefined ? '' : ` with id ${event.id}`}`;
    case 'told':
      return `${head} ${ref} ${event.verdict} ${event.seq ?? ''}${event.code ?? ''}${event.definite === true ? ' (definite)' : ''}`;
    case 'start':
    case 'end':
      return `${head} ${ref} seq ${event.seq} attempt ${event.attempt} fence ${event.fence} ${event.kind === 'end' ? event.how : ''}`;
    case 'exit':
      return `${head} ${event.killed ? 'kill -9' : `exit ${event.code}`}`;
    case 'ready':
      return head;
  }
}
