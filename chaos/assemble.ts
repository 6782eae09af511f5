/** One history of all that was recorded: by the nodes, by the harness, and by the store. */

import { View } from '../sim/checkers/view.js';
import type { HistoryEvent } from '../sim/history.js';
import { ASLEEP } from './faults.js';

/** Each source is in the order of its time, so events of one instant keep the order of their source. */
export function assemble(sources: readonly (readonly HistoryEvent[])[]): HistoryEvent[] {
  const events = ordered(sources.flat());
  return inRunningTime(startedWhereChecked(events) ? ordered(events) : events);
}

function ordered(events: HistoryEvent[]): HistoryEvent[] {
  events.sort((a, b) => a.atMs - b.atMs);
  events.forEach((event, index) => {
    event.index = index;
  });
  return events;
}

/** From the log's begin to the handler's first statement, where nothing is in the way; and from what we tell of a stop to the stop. */
const UNDER_WAY_MS = 5;
const STOP_LATE_MS = 1;
/** What a process tells of itself. */
const OWN: ReadonlySet<HistoryEvent['kind']> = new Set([
  'start',
  'end',
  'abort',
  'invoke',
  'ok',
  'fail',
  'unknown',
  'node',
  'blocked',
]);

/**
 * The lease is looked at in the last statement before a handler is called. A process that is stopped between that and the
 * handler's first statement tells of the start as it goes on, as the first thing; the handler ran from the look on, as I2 means
 * it. Of what the log began while the process slept, or long before, nothing can be under way like that.
 */
function startedWhereChecked(events: readonly HistoryEvent[]): boolean {
  let isMoved = false;
  const stops = new Map<string, HistoryEvent>();
  const woken = new Map<string, HistoryEvent>();
  const asleepMs = new Map<string, number>();
  const begun = new Map<string, number>();
  for (const event of events) {
    const { node, atMs } = event;
    if (event.kind === 'transition' && event.to === 'dispatched')
      begun.set(`${event.entity} ${event.seq} ${event.attempt}`, atMs);
    else if (event.kind === 'fault' && event.fault === ASLEEP) asleepMs.set(node, atMs);
    else if (event.kind === 'fault' && event.fault === 'pause') {
      const stop = stops.get(node);
      if (event.phase === 'begin') stops.set(node, event);
      else if (stop !== undefined) woken.set(node, stop);
    } else if (OWN.has(event.kind)) {
      const stop = woken.get(node);
      woken.delete(node);
      if (stop === undefined || event.kind !== 'start') continue;
      const begunMs = begun.get(`${event.entity} ${event.seq} ${event.attempt}`) ?? Number.NEGATIVE_INFINITY;
      const stoppedMs = Math.max(stop.atMs, asleepMs.get(node) ?? stop.atMs);
      if (begunMs < stop.atMs - UNDER_WAY_MS || begunMs > stoppedMs + STOP_LATE_MS) continue;
      event.atMs = Math.max(stop.atMs, begunMs);
      isMoved = true;
    }
  }
  return isMoved;
}

/** What a call took is told in the running time of its node, as L2 is: what it was paused for does not count. */
function inRunningTime(events: HistoryEvent[]): HistoryEvent[] {
  const view = new View(events);
  return events.map((event) => {
    if (!('tookMs' in event)) return event;
    const { node, atMs, tookMs } = event;
    return { ...event, tookMs: tookMs - view.pausedMs(node, atMs - tookMs, atMs) };
  });
}
