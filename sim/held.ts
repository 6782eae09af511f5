/** What a node holds: every collection that can be reached from it, with its size, by the field that holds it. */

/** Classes of the simulated world, which belong to no node. */
const OUTSIDE = new Set(
  'World Life HostClock SimClock UserClock SimRandom StoreServer SimStore SimClient Wire LuaLockstep Hub SimNetwork History Bank'.split(
    ' ',
  ),
);

/** Containers of src/core. Their content counts for the field that holds the container. */
const CONTAINERS = new Set(['Fifo', 'SeqQueue', 'MinHeap', 'DueTimes']);

/**
 * Returns the size of every non-empty collection, by class and field, such as 'Ownership.workers'. Sizes of collections of the
 * same field are added up, and their elements are searched too. Classes and fields in `leaves` are left out. TypeScript's private
 * fields are ordinary properties at run time.
 */
export function heldBy(root: object, leaves: readonly string[] = []): Record<string, number> {
  const sizes: Record<string, number> = {};
  const seen = new Set<object>([root]);
  const open: [value: object, where: string][] = [[root, root.constructor.name]];
  const look = (value: unknown, where: string): void => {
    if (value === null || typeof value !== 'object' || seen.has(value)) return;
    seen.add(value);
    const name = value.constructor?.name;
    if (!OUTSIDE.has(name) && !leaves.includes(name) && !leaves.includes(where)) open.push([value, where]);
  };
  const collection = (elements: Iterable<unknown>, size: number, where: string): void => {
    if (size > 0) sizes[where] = (sizes[where] ?? 0) + size;
    for (const element of elements) look(element, `${where}[]`);
  };
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [value, where] = next;
    if (value instanceof Map || value instanceof Set) collection(value.values(), value.size, where);
    else if (Array.isArray(value)) collection(value, value.length, where);
    else {
      const name = value.constructor?.name ?? 'Object';
      for (const [field, held] of Object.entries(value)) look(held, CONTAINERS.has(name) ? where : `${name}.${field}`);
    }
  }
  return sizes;
}
