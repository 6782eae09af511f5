/** Draws filters of dead letters, and decides by the dead letters alone which of them each filter selects. */
import type { DeadLetter } from '../../src/core/dead-letter.js';
import type { DeadLetterFilter } from '../../src/runtime/dead-letters.js';
import type { Stream } from '../sim-random.js';

/** Draws a filter with any combination of parts. Their values are taken from one of the given dead letters. */
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

/** Returns why a replay of the dead letter is refused; '' if it is not refused. */
export function whyNotReplayed({ replayedAs, late }: DeadLetter, force: boolean): string {
  if (replayedAs !== null) return 'replayed';
  return late?.outcome === 'completed' && !force ? 'needs-force' : '';
}
