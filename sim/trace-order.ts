/**
 * What a node reports about itself must make sense in its order: what ends has begun, and nothing is reported after the end. An operator
 * reads these events, and the history of a run holds only some of them.
 */
import type { TraceEvents } from '../src/ports/trace.js';

type Event = keyof TraceEvents;

/** Events that say that what another one has begun is over: the pair alternates, and the beginning comes first. */
const ENDS: Readonly<Partial<Record<Event, Event>>> = {
  recovered: 'degraded',
  'network-restored': 'network-failing',
  'sends-go-on': 'sends-wait',
  unblocked: 'blocked',
  'stepped-down': 'leading',
};
const BEGINNINGS: ReadonlySet<Event> = new Set(Object.values(ENDS));

/** What each pair is about, where it may be about several things at a time. */
const subjectOf = (data: object): string => {
  const { entity = '', id = '' } = data as { readonly entity?: string; readonly id?: string };
  return `${entity} ${id}`;
};

/** Follows one process. */
export class TraceOrder {
  /** Beginnings that have no end yet. */
  private readonly open = new Set<string>();
  private hasStopped = false;
  private hasLostLease = false;

  /** `exits`: it ends with its lease (`onLeaseLost: 'exit'`). */
  constructor(private readonly exits = false) {}

  /** Returns what is wrong with that event, in words; undefined if it may come now. */
  take<K extends Event>(event: K, data: TraceEvents[K]): string | undefined {
    if (this.hasStopped) return `reports "${event}" after it has stopped`;
    if (event === 'stopped') this.hasStopped = true;
    if (event === 'lease-lost') this.hasLostLease = true;
    else if (event === 'joined' && this.exits && this.hasLostLease) return 'joins again after it has lost its lease';
    // What waited for memory is lost with the session, and that is not reported.
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
