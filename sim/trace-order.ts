/**
 * Checks the order of what a node reports about itself: what ends has begun, and no event follows the end. An operator reads
 * these events, and the history of a run holds only some of them.
 */
import type { TraceEvents } from '../src/ports/trace.js';

type Event = keyof TraceEvents;

/**
 * Events that report the end of what another event has begun. The two events of a pair alternate, and the beginning comes first.
 */
const ENDS: Readonly<Partial<Record<Event, Event>>> = {
  recovered: 'degraded',
  'network-restored': 'network-failing',
  'sends-go-on': 'sends-wait',
  unblocked: 'blocked',
  'stepped-down': 'leading',
};
const BEGINNINGS: ReadonlySet<Event> = new Set(Object.values(ENDS));

/** Returns the subject of a pair, since several pairs of the same events may be open at a time. */
const subjectOf = (data: object): string => {
  const { entity = '', id = '' } = data as { readonly entity?: string; readonly id?: string };
  return `${entity} ${id}`;
};

/** Checks the events of one process. */
export class TraceOrder {
  /** Beginnings without an end so far. */
  private readonly open = new Set<string>();
  private hasStopped = false;
  private hasLostLease = false;

  /** `exits`: the process ends with its lease (`onLeaseLost: 'exit'`). */
  constructor(private readonly exits = false) {}

  /** Returns a description of what is wrong with the event; undefined if it may come now. */
  take<K extends Event>(event: K, data: TraceEvents[K]): string | undefined {
    if (this.hasStopped) return `reports "${event}" after it has stopped`;
    if (event === 'stopped') this.hasStopped = true;
    if (event === 'lease-lost') this.hasLostLease = true;
    else if (event === 'joined' && this.exits && this.hasLostLease) return 'joins again after it has lost its lease';
    // Sends that waited for memory are lost with the session, and their end is not reported.
    if (event === 'lease-lost') this.open.delete(`sends-wait ${subjectOf({})}`);
    const key = `${event} ${subjectOf(data)}`;
    if (BEGINNINGS.has(event)) {
      if (this.open.has(key)) return `reports "${event}" twice in a row`;
      this.open.add(key);
      return undefined;
    }
    const beginning = ENDS[event];
    if (beginning === undefined) return undefined;
    return this.open.delete(`${beginning} ${subjectOf(data)}`)
      ? undefined
      : `reports "${event}" without "${beginning}" before it`;
  }
}
