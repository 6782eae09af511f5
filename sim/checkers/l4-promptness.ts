import type { HistoryEvent, Transition } from '../history.js';
import { type Findings, isTerminal, type View } from './view.js';

/**
 * Longest time in ms that a hint may take in a run without faults. A hop between nodes takes at most 1.5 ms, a call to the store
 * 2.4 ms, and a timer fires at most 1 ms late. A petition, an assignment, a claim and a begin take about 12 ms together. The
 * longest of 120,000 waits in 1,000 such runs was 33 ms. Sweeps run every 200 ms or more.
 */
export const HINT_MS_MAX = 50;

interface Queue {
  /** Sequences of the waiting messages, in log order. */
  waiting: number[];
  isRunning: boolean;
  /** Time in ms from which the first waiting message could begin. */
  readyMs: number;
}

/** L4: in a run without faults, neither a message nor its result waits for a sweep. */
export function promptness(view: View, findings: Findings): void {
  const calmMs = view.calmFromMs();
  if (calmMs === undefined) return;
  for (const { entity, seq, waitedMs, readyMs, index } of lateBegins(view))
    if (readyMs >= calmMs) findings.violated('L4', `${entity} #${seq} began ${Math.round(waitedMs)} ms after it could`, index);
  results(view, calmMs, findings);
}

interface LateBegin {
  readonly entity: string;
  readonly seq: number;
  readonly index: number;
  readonly readyMs: number;
  readonly waitedMs: number;
}

/** Returns messages that waited longer than a hint takes although their node had a free slot: a sweep or restart found them. */
export function lateBegins(view: View): readonly LateBegin[] {
  const late: LateBegin[] = [];
  const slots = new Slots(view.facts.concurrentHandlersMax);
  const queues = new Map<string, Queue>();
  const queueOf = (entity: string): Queue => {
    const known = queues.get(entity) ?? { waiting: [], isRunning: false, readyMs: 0 };
    queues.set(entity, known);
    return known;
  };
  for (const event of view.events) {
    slots.take(event);
    if (event.kind === 'append') {
      const queue = queueOf(event.entity);
      if (queue.waiting.length === 0 && !queue.isRunning) queue.readyMs = event.atMs;
      queue.waiting.push(event.seq);
    } else if (event.kind === 'transition') {
      const queue = queueOf(event.entity);
      const { entity, seq, to, atMs, index, node } = event;
      const { readyMs } = queue;
      const waitedMs = atMs - readyMs;
      if (to === 'dispatched' && waitedMs > HINT_MS_MAX && slots.fullUntilMs(node) < readyMs)
        late.push({ entity, seq, index, readyMs, waitedMs });
      moved(view, queue, event);
    }
  }
  return late;
}

function moved(view: View, queue: Queue, { entity, seq, from, to, attempt, atMs }: Transition): void {
  const { waiting } = queue;
  if (from === 'dispatched') {
    queue.isRunning = false;
    queue.readyMs = atMs;
  } else {
    if (waiting[0] === seq) queue.readyMs = atMs;
    queue.waiting = waiting.filter((other) => other !== seq);
  }
  if (to === 'dispatched') queue.isRunning = true;
  if (to !== 'enqueued') return;
  waiting.unshift(seq);
  queue.readyMs = atMs + view.backoffMs(entity, attempt);
}

/** Tracks when each node last had no free slot for a handler. */
class Slots {
  private readonly running = new Map<string, number>();
  private readonly fullMs = new Map<string, number>();

  constructor(private readonly max: number) {}

  take(event: HistoryEvent): void {
    if (event.kind !== 'start' && event.kind !== 'end') return;
    const { node, atMs } = event;
    const running = (this.running.get(node) ?? 0) + (event.kind === 'start' ? 1 : -1);
    this.running.set(node, running);
    if (running >= this.max) this.fullMs.set(node, Number.POSITIVE_INFINITY);
    else if (this.fullMs.get(node) === Number.POSITIVE_INFINITY) this.fullMs.set(node, atMs);
  }

  fullUntilMs(node: string): number {
    return this.fullMs.get(node) ?? Number.NEGATIVE_INFINITY;
  }
}

/** Checks that a result reaches the caller that logged the message. A second caller with the same id reads it back at a sweep. */
function results(view: View, calmMs: number, findings: Findings): void {
  const ends = new Map<string, { node: string; atMs: number }>();
  for (const { appends, transitions } of view.entities.values()) {
    const ended = new Map(transitions.filter(({ to }) => isTerminal(to)).map(({ seq, atMs }) => [seq, atMs]));
    for (const { call, node, seq, replayOf } of appends) {
      const atMs = ended.get(seq);
      if (replayOf === '' && atMs !== undefined) ends.set(call, { node, atMs });
    }
  }
  for (const event of view.events) {
    if (event.kind !== 'ok' || event.result === undefined || !view.isSoleCaller(event.call)) continue;
    const end = ends.get(event.call);
    if (end === undefined || end.node !== event.node || end.atMs < calmMs) continue;
    const waitedMs = event.atMs - end.atMs;
    if (waitedMs > HINT_MS_MAX)
      findings.violated('L4', `the result of call ${event.call} came ${Math.round(waitedMs)} ms after its end`, event.index);
  }
}
