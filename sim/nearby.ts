/** Which calls ended unknown although no fault was near. */
import type { HistoryEvent } from './history.js';
import type { Plan } from './plan.js';

/**
 * Returns how many calls ended unknown, and how many of them while no fault of the plan was near: none lasted or had ended shortly before
 * they were made. After a fault a node may need its lease, a take-over and two sweeps to be well.
 */
export function unknownCalls(
  { faults, nodes, settings }: Plan,
  history: readonly HistoryEvent[],
): { all: number; farFromFaults: number } {
  const { nodeTTLMs, takeoverHoldMs, reconcileIntervalMs, enqueueTimeoutMs, replyTimeoutMs, storeCallTimeoutMs } = settings;
  const afterMs =
    2 * nodeTTLMs + takeoverHoldMs + 2 * reconcileIntervalMs + Math.max(enqueueTimeoutMs, replyTimeoutMs) + storeCallTimeoutMs;
  const spans = [
    ...faults.map(({ atMs, forMs }) => [atMs, atMs + forMs + afterMs]),
    ...nodes.map(({ startMs }) => [startMs, startMs + afterMs]),
  ];
  const invoked = new Map<string, number>();
  let [all, farFromFaults] = [0, 0];
  for (const event of history) {
    if (event.kind === 'invoke') invoked.set(`${event.call} ${event.node}`, event.atMs);
    // A deadline is a verdict of the caller's own.
    if (event.kind !== 'unknown' || event.code === 'REPLY_TIMEOUT') continue;
    all++;
    const fromMs = invoked.get(`${event.call} ${event.node}`) ?? event.atMs;
    if (!spans.some(([beginMs = 0, endMs = 0]) => beginMs <= event.atMs && endMs >= fromMs)) farFromFaults++;
  }
  return { all, farFromFaults };
}
