/**
 * Turns a history into a text that changes only if the behaviour changes: which node does what, in order. Nodes stand for their
 * incarnations, times are in tenths of a second, and the events of every message (effects, wakes, replies) are left out. The text
 * ends where the scenario heals.
 */
import type { HistoryEvent } from '../history.js';
import { wordsOf } from './timeline.js';

const QUIET = new Set<HistoryEvent['kind']>(['effect', 'invoke', 'final']);

const isKept = (event: HistoryEvent): boolean =>
  !QUIET.has(event.kind) && (event.kind !== 'told' || (event.message.kind !== 'wake' && event.message.kind !== 'reply'));

/** Returns the names of incarnations: n2 is the first incarnation of node n2, n2' the second. */
function namesOf(events: readonly HistoryEvent[]): (incarnation: number) => string {
  const names = new Map<number, string>();
  const lives = new Map<string, number>();
  for (const event of events) {
    if (event.kind !== 'node' || event.state !== 'joined') continue;
    const before = lives.get(event.node) ?? 0;
    lives.set(event.node, before + 1);
    names.set(event.incarnation, `${event.node}${"'".repeat(before)}`);
  }
  return (incarnation) => names.get(incarnation) ?? 'nobody';
}

export function goldenOf(events: readonly HistoryEvent[]): string {
  const nameOf = namesOf(events);
  const lines: string[] = [];
  for (const event of events) {
    if (event.kind === 'healed') break;
    const words = isKept(event) ? wordsOf(event, nameOf) : undefined;
    if (words === undefined) continue;
    const who = event.node === '' ? '-' : event.incarnation === 0 ? event.node : nameOf(event.incarnation);
    lines.push(`${(event.atMs / 1000).toFixed(1).padStart(6)} s  ${who.padEnd(6)} ${words}`);
  }
  return `${lines.join('\n')}\n`;
}
