/** Merges the events that the nodes, the harness and the store recorded into one history. */

import { View } from '../sim/checkers/view.js';
import type { HistoryEvent } from '../sim/history.js';
import { ASLEEP } from './faults.js';

/**
 * Returns all events in the order of their time. Each source is already in that order, so events of one instant keep the order of
 * their source.
 */
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

/**
 * `UNDER_WAY_MS`: longest time from the log's begin to the handler's first statement if nothing delays it. `STOP_LATE_MS`:
 * longest time from the record of a stop to the stop.
 */
const UNDER_WAY_MS = 5;
const STOP_LATE_MS = 1;
/** Kinds of events that a node's process records. */
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
 * Moves the start of some handlers back to the check of the lease, and returns whether any was moved. A node checks its lease in
 * the last statement before it calls a handler. If the process is stopped between the check and the handler's first statement, it
 * records the start as its first event after it wakes. In the sense of I2 the handler ran from the check on. A handler cannot be
 * in that position if the log began its attempt while the process slept, or long before.
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

/**
 * Converts the duration of each call to the running time of its node, as L2 measures it: time during which the node was paused
 * does not count.
 */
function inRunningTime(events: HistoryEvent[]): HistoryEvent[] {
  const view = new View(events);
  return events.map((event) => {
    if (!('tookMs' in event)) return event;
    const { node, atMs, tookMs } = event;
    return { ...event, tookMs: tookMs - view.pausedMs(node, atMs - tookMs, atMs) };
  });
}
