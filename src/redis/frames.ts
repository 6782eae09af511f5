/**
 * The format of pub/sub messages: one JSON object per frame, with all messages of one tick to one target.
 *   v       version of this format; frames of another version are ignored
 *   scope   generation of the sender's store. Pub/sub crosses logical databases and outlives a flush; incarnations and
 *           sequences do not. So a frame of another store could by chance match ours and carry a foreign payload.
 *   from    incarnation of the sender
 *   m       the messages; only the `kind` of each is checked here
 */
import type { PeerMessage } from '../ports/network.js';

const VERSION = 1;

export interface Frame {
  readonly scope: string;
  readonly from: number;
  readonly messages: readonly PeerMessage[];
  /** Number of entries that are not messages; they were left out. */
  readonly spoiled: number;
}

/** `texts`: the messages, each as JSON. */
export const encodeFrame = (scope: string, from: number, texts: readonly string[]): string =>
  `{"v":${VERSION},"scope":${JSON.stringify(scope)},"from":${from},"m":[${texts.join(',')}]}`;

/** Returns undefined for text that is not a frame of this version. Never throws. */
export function decodeFrame(text: string): Frame | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { v, scope, from, m } = value;
  if (v !== VERSION || typeof scope !== 'string' || !isIncarnation(from) || !Array.isArray(m)) return undefined;
  const messages = m.filter(isMessage);
  return { scope, from, messages, spoiled: m.length - messages.length };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

const isIncarnation = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

const isMessage = (value: unknown): value is PeerMessage => isRecord(value) && typeof value.kind === 'string';
