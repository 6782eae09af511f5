/** One history of all that was recorded: by the nodes, by the harness, and by the store. */

import { View } from '../sim/checkers/view.js';
import type { HistoryEvent } from '../sim/history.js';

/** Each source is in the order of its time, so events of one instant keep the order of their source. */
export function assemble(sources: readonly (readonly HistoryEvent[])[]): HistoryEvent[] {
  const events = sources.flat().sort((a, b) => a.atMs - b.atMs);
  events.forEach((event, index) => {
    event.index = index;
  });
  return inRunningTime(events);
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
