/**
 * Chooses the preferred node of an entity without an owner by rendezvous hashing (Thaler and Ravishankar 1998). The score of a
 * node for a key is a hash of both, and the node with the highest score wins. When a node leaves, only its own keys move.
 * Consistent hashing would need virtual nodes, and their number tuned, for an even split. A lookup takes O(nodes) time, and
 * clusters are small.
 */
export interface Place {
  readonly incarnation: number;
  readonly serverId: string;
}

/** Returns the place with the highest score for `key`; undefined if `places` is empty. */
export function placeOf<P extends Place>(key: string, places: readonly P[]): P | undefined {
  if (places.length < 2) return places[0];
  const hash = hashOf(key, 0);
  let best: P | undefined;
  let bestScore = -1;
  for (const place of places) {
    // Hashes the serverId, not the incarnation: a node that restarts under the same serverId gets its keys back.
    const score = mix(hash ^ hashOf(place.serverId, 1));
    if (score > bestScore || (score === bestScore && best !== undefined && place.serverId < best.serverId)) {
      best = place;
      bestScore = score;
    }
  }
  return best;
}

/** FNV-1a over UTF-16 code units. */
function hashOf(text: string, seed: number): number {
  let h = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
}

/** MurmurHash3's finalizer: every input bit reaches every output bit. */
function mix(h: number): number {
  let x = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
