import { type Place, placeOf } from './rendezvous.js';

/** A place is overloaded if its load exceeds OVERLOAD_FACTOR times the mean load of all places, plus OVERLOAD_SLACK entities. */
const OVERLOAD_FACTOR = 1.2;
const OVERLOAD_SLACK = 4;

/**
 * Returns the places that are not overloaded. Rendezvous hashing over these places keeps loads nearly even and moves an entity
 * only if it must: consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018). The result always has the least
 * loaded place.
 */
export function roomyOf<P extends Place>(places: readonly P[], loadOf: (place: P) => number): readonly P[] {
  const mean = places.reduce((sum, p) => sum + loadOf(p), 0) / places.length;
  return places.filter((p) => loadOf(p) <= mean * OVERLOAD_FACTOR + OVERLOAD_SLACK);
}

/**
 * Returns the node on which the master places an entity: its `owner` if that node is one of `places`; else the preferred node by
 * rendezvous hashing, unless that node is overloaded; else the least loaded node. Returns undefined if there is no place.
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
