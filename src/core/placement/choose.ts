import { type Place, placeOf } from './rendezvous.js';

/** A place is overloaded if it holds more than this many times the mean load of all places, plus a few. */
const OVERLOAD_FACTOR = 1.2;
const OVERLOAD_SLACK = 4;

/**
 * The places that are not overloaded. Together with rendezvous hashing over the rest it keeps loads near even while an entity moves only
 * if it must: consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018). The least loaded place is never left out.
 */
export function roomyOf<P extends Place>(places: readonly P[], loadOf: (place: P) => number): readonly P[] {
  const mean = places.reduce((sum, p) => sum + loadOf(p), 0) / places.length;
  return places.filter((p) => loadOf(p) <= mean * OVERLOAD_FACTOR + OVERLOAD_SLACK);
}

/**
 * Where the master places an entity: where it is, if that node lives (`owner`); else the preferred node by rendezvous hashing, unless that
 * node is overloaded; else the least loaded node. Undefined if there is no place.
 */
export function choosePlace<P extends Place>(
  entity: string,
  places: readonly P[],
  owner: number | undefined,
  loadOf: (place: P) => number,
): P | undefined {
  const existing = owner === undefined ? undefined : places.find((p) => p.incarnation === owner);
  if (existing !== undefined) return existing;
  const preferred = placeOf(entity, places);
  if (preferred === undefined || roomyOf(places, loadOf).includes(preferred)) return preferred;
  return places.reduce((least, p) => (loadOf(p) < loadOf(least) ? p : least));
}
