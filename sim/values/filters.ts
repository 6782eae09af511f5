/** Draws filters of dead letters, and says by the letters alone which of them each filter means. */
import type { DeadLetter } from '../../src/core/dead-letter.js';
import type { DeadLetterFilter } from '../../src/runtime/dead-letters.js';
import type { Stream } from '../sim-random.js';

/** Each part is there or not; what it names is taken from a letter that is there. */
export function drawFilter(stream: Stream, letters: readonly DeadLetter[]): DeadLetterFilter {
  const { entityType, entityId, reason, diedAtMs } = stream.pick(letters);
  const hasType = stream.chance(0.5);
  return {
    ...(hasType && { entityType }),
    ...(hasType && stream.chance(0.5) && { entityId }),
    ...(stream.chance(0.4) && { reason }),
    ...(stream.chance(0.4) && { sinceMs: diedAtMs + stream.pick([0, 0, 1, -1]) }),
    ...(stream.chance(0.4) && { replayed: stream.chance(0.5) }),
  };
}

export function isMeant(letter: DeadLetter, { entityType, entityId, reason, sinceMs, replayed }: DeadLetterFilter): boolean {
  const isOfEntity = entityId === undefined || letter.entityId === entityId;
  const isOfType = entityType === undefined || letter.entityType === entityType;
  const isSince = sinceMs === undefined || letter.diedAtMs >= sinceMs;
  const isReplayed = replayed === undefined || replayed === (letter.replayedAs !== null);
  return isOfType && isOfEntity && isSince && isReplayed && (reason === undefined || letter.reason === reason);
}

/** What a replay of the letter is refused for; '' if it is not. */
export function whyNotReplayed({ replayedAs, late }: DeadLetter, force: boolean): string {
  if (replayedAs !== null) return 'replayed';
  return late?.outcome === 'completed' && !force ? 'needs-force' : '';
}
