import type { Fail, HistoryEvent, Invoke, NodeChange, Unknown } from '../history.js';
import { HINT_MS_MAX } from './l4-promptness.js';
import { type Findings, isTerminal, type View } from './view.js';

/** Changes of a node that occur only if something is wrong. */
const TROUBLE: ReadonlySet<NodeChange> = new Set([
  'start-failed',
  'suspended',
  'lease-lost',
  'store-lost',
  'closed',
  'degraded',
  'crashed',
]);

/**
 * L5: no call is refused, given up early or left unknown without need. Refusals for a limit and deadlines of calls are judged in
 * every run, by counts from the history. While no fault is near, no call may end in another way. Without faults no node may be in
 * trouble.
 */
export function needlessness(view: View, findings: Findings): void {
  let counts: Counts | undefined;
  const countsOf = (): Counts => {
    counts ??= new Counts(view);
    return counts;
  };
  const calmMs = view.calmFromMs() ?? Number.POSITIVE_INFINITY;
  for (const event of view.events) {
    if (event.index > view.lossIndex) return;
    if (event.kind === 'fail' || event.kind === 'unknown') {
      const invoke = view.invokeOf(event);
      if (invoke === undefined) continue;
      const isCalm = invoke.atMs >= calmMs || view.isQuiet(invoke.atMs, event.atMs);
      new Ending(view, countsOf, invoke, event, isCalm, findings).check();
    } else if (event.kind === 'node' && event.atMs >= calmMs && TROUBLE.has(event.state))
      findings.violated('L5', `${event.node} is ${event.state}, and nothing was wrong`, event.index);
  }
}

/** Judges how one call ended. */
class Ending {
  constructor(
    private readonly view: View,
    private readonly counts: () => Counts,
    private readonly invoke: Invoke,
    private readonly event: Fail | Unknown,
    private readonly isCalm: boolean,
    private readonly findings: Findings,
  ) {}

  check(): void {
    const { code } = this.event;
    if (code === 'QUEUE_DEPTH_EXCEEDED' || code === 'WORKER_LIMIT_EXCEEDED') this.limit(code);
    else if (code === 'REPLY_TIMEOUT') this.timeout();
    else if (code === 'WITHDRAWN' && !this.view.isSoleCaller(this.event.call)) return;
    else if (this.isCalm && code !== 'HANDLER_FAILED') this.violated('though nothing was wrong');
  }

  private violated(why: string): void {
    const { event } = this;
    this.findings.violated('L5', `call ${event.call} ended with ${event.code} ${why}`, event.index);
  }

  private limit(code: 'QUEUE_DEPTH_EXCEEDED' | 'WORKER_LIMIT_EXCEEDED'): void {
    const { event, invoke, counts } = this;
    // The sends of a handler exceeded a limit, and its call ends with the code of that limit.
    if (event.kind === 'unknown') return;
    if (!counts().wasReached(code, invoke, event)) this.violated('while no limit was reached');
  }

  private timeout(): void {
    const { event, invoke, isCalm, view } = this;
    const { timeoutMs = 0 } = invoke;
    const { elapsedMs = timeoutMs } = event;
    if (elapsedMs < timeoutMs - 1) {
      this.violated(`after ${Math.round(elapsedMs)} of ${timeoutMs} ms`);
      return;
    }
    const end = view.endOf(invoke);
    if (
      isCalm &&
      view.isSoleCaller(invoke.call) &&
      end !== undefined &&
      end.to !== 'withdrawn' &&
      end.atMs < event.atMs - HINT_MS_MAX
    )
      this.violated(`${Math.round(event.atMs - end.atMs)} ms after the message had ended`);
  }
}

interface Count {
  readonly index: number;
  readonly count: number;
}

/** Counts live messages after each event, per entity and in total, and the entities that have live messages. */
class Counts {
  private readonly total: Count[] = [];
  private readonly active: Count[] = [];
  private readonly depths = new Map<string, Count[]>();

  constructor(private readonly view: View) {
    let total = 0;
    let active = 0;
    const depth = new Map<string, number>();
    const step = (event: HistoryEvent & { entity: string }, by: 1 | -1): void => {
      const { entity, index } = event;
      const before = depth.get(entity) ?? 0;
      const now = before + by;
      depth.set(entity, now);
      total += by;
      if (before === 0) active++;
      if (now === 0) active--;
      this.total.push({ index, count: total });
      this.active.push({ index, count: active });
      const known = this.depths.get(entity) ?? [];
      known.push({ index, count: now });
      this.depths.set(entity, known);
    };
    for (const event of view.events)
      if (event.kind === 'append') step(event, 1);
      else if (event.kind === 'transition' && isTerminal(event.to)) step(event, -1);
  }

  /**
   * Returns whether the limit was reached between call and refusal. The limit of entities grows per member: tests that of one.
   */
  wasReached(
    code: 'QUEUE_DEPTH_EXCEEDED' | 'WORKER_LIMIT_EXCEEDED',
    { entity, index: from }: Invoke,
    { index: to }: HistoryEvent,
  ): boolean {
    const { facts } = this.view;
    if (code === 'WORKER_LIMIT_EXCEEDED') return mostOf(this.active, from, to) >= (facts.workersMax ?? 0);
    const { depthMax } = this.view.typeFacts(entity);
    const isFull = depthMax > 0 && mostOf(this.depths.get(entity) ?? [], from, to) >= depthMax;
    return isFull || (facts.depthMaxTotal > 0 && mostOf(this.total, from, to) >= facts.depthMaxTotal);
  }
}

/** Returns the highest count between two indexes, including the count in force at the first one. */
function mostOf(counts: readonly Count[], from: number, to: number): number {
  let most = 0;
  for (const { index, count } of counts) {
    if (index > to) break;
    most = index <= from ? count : Math.max(most, count);
  }
  return most;
}
