import type { AssignmentTable } from './assignment-table.js';
import { type Place, placeOf } from './ring.js';

/** The ring's choice is passed over if it holds more than so many times the mean load, plus a few. */
const OVERLOAD_FACTOR = 1.5;
const OVERLOAD_SLACK = 10;

/**
 * Where the master places an entity: where it is, if that node lives; else where the ring says, unless that node holds far
 * more than its share; else on the least loaded. Undefined if no place can take it.
 */
export function choosePlace<P extends Place>(entity: string, places: readonly P[], table: AssignmentTable): P | undefined {
  const owner = table.ownerOf(entity);
  const existing = owner === undefined ? undefined : places.find((p) => p.incarnation === owner);
  if (existing !== undefined) return existing;
  const ring = placeOf(entity, places);
  if (ring === undefined) return undefined;
  const mean = table.size / places.length;
  if (table.loadOf(ring.incarnation) <= mean * OVERLOAD_FACTOR + OVERLOAD_SLACK) return ring;
  return places.reduce((least, p) => (table.loadOf(p.incarnation) < table.loadOf(least.incarnation) ? p : least));
}
