/**
 * Which faults are near. The effect of a fault lasts beyond its end, until nodes have their leases again, work has owners, and a
 * sweep has found the work of lost hints.
 */
import type { HistoryEvent } from './history.js';
import { type EntityType, type Job, NAMES, TYPES } from './job.js';
import type { FaultPlan, NodePlan, Plan } from './plan.js';

export type Span = readonly [fromMs: number, toMs: number];

/** Returns the times in which a fault of the plan lasts or may still have an effect. The start of a node counts as a fault. */
export function disturbedBy({ faults, nodes, settings, healAtMs }: Plan): readonly Span[] {
  const { nodeTTLMs, takeoverHoldMs, reconcileIntervalMs, enqueueTimeoutMs, replyTimeoutMs, storeCallTimeoutMs } = settings;
  const afterMs =
    2 * nodeTTLMs + takeoverHoldMs + 2 * reconcileIntervalMs + Math.max(enqueueTimeoutMs, replyTimeoutMs) + storeCallTimeoutMs;
  const backMs = faults.reduce((sum, { kind, amount = 0 }) => sum + (kind === 'storeJumpBack' ? -amount : 0), 0);
  // Only the clean-up of a node ends `storeFull`, and a restarted node waits for a whole interval again.
  const endOf = ({ atMs, forMs, kind }: FaultPlan): number => {
    if (kind === 'storeFull') return healAtMs + settings.cleanupIntervalMs;
    // Leases end by the store's clock, so a take-over waits for as long.
    return atMs + forMs + (kind === 'storeJumpBack' ? backMs : 0);
  };
  const spans = [
    ...faults.map((fault): Span => [fault.atMs, endOf(fault) + afterMs]),
    ...nodes.map((node): Span => [isFirst(node, nodes) ? 0 : node.startMs, node.startMs + afterMs]),
    [healAtMs, healAtMs + afterMs] as const,
  ];
  return merged(spans.sort(([a], [b]) => a - b));
}

/** Returns whether the node handles a message that no node which starts before it handles. Until then that message is unknown. */
function isFirst(node: NodePlan, nodes: readonly NodePlan[]): boolean {
  const earlier = nodes.filter(({ startMs }) => startMs < node.startMs);
  const { types = TYPES, names = NAMES } = node;
  const handles = (other: NodePlan, type: EntityType, name: Job['op']): boolean =>
    (other.types ?? TYPES).includes(type) && (other.names ?? NAMES).includes(name);
  return types.some((type) => names.some((name) => !earlier.some((other) => handles(other, type, name))));
}

function merged(sorted: readonly Span[]): readonly Span[] {
  const spans: [number, number][] = [];
  for (const [fromMs, toMs] of sorted) {
    const last = spans.at(-1);
    if (last !== undefined && fromMs <= last[1]) last[1] = Math.max(last[1], toMs);
    else spans.push([fromMs, toMs]);
  }
  return spans;
}

export const isQuiet = (disturbed: readonly Span[], fromMs: number, toMs: number): boolean =>
  !disturbed.some(([beginMs, endMs]) => beginMs <= toMs && endMs >= fromMs);

/** Codes of a call whose handler ran, but whose handler's sends exceeded a limit. */
const LIMITS: ReadonlySet<string> = new Set(['QUEUE_DEPTH_EXCEEDED', 'WORKER_LIMIT_EXCEEDED']);

/**
 * Returns how many calls ended unknown, and how many of them while no fault was near. L5 allows none of the latter. A thin link
 * counts as a fault for the whole run.
 */
export function unknownCalls(plan: Plan, history: readonly HistoryEvent[]): { all: number; farFromFaults: number } {
  const disturbed = disturbedBy(plan);
  const invoked = new Map<string, number>();
  let [all, farFromFaults] = [0, 0];
  for (const event of history) {
    if (event.kind === 'invoke') invoked.set(`${event.call} ${event.node}`, event.atMs);
    // A deadline is the caller's own verdict.
    if (event.kind !== 'unknown' || event.code === 'REPLY_TIMEOUT' || LIMITS.has(event.code)) continue;
    all++;
    if (plan.link === undefined && isQuiet(disturbed, invoked.get(`${event.call} ${event.node}`) ?? event.atMs, event.atMs))
      farFromFaults++;
  }
  return { all, farFromFaults };
}
