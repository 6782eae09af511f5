/** The public form of a dead letter, for people and programs. `Letter` of core/log is the stored record. */
import { idOfKey, typeOfKey, unescapeId } from './ids.js';
import type { Letter } from './log/control-operations.js';
import type { RecordedError } from './recorded-error.js';

export interface DeadLetter {
  /** Number of the dead letter as text, by which it is shown, replayed and purged. */
  readonly id: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly name: string;
  readonly payload: unknown;
  /** Id of the message. */
  readonly messageId: string;
  /** Sequence of the message in the log of its entity. */
  readonly sequence: number;
  readonly attempts: number;
  /** `failed`: the last attempt failed. `interrupted`: the node was lost while the handler ran. */
  readonly reason: Letter['reason'];
  readonly error: RecordedError | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Trace id of the header `traceparent` (W3C Trace Context); null without that header. */
  readonly traceId: string | null;
  /** Store time of the append, ms since 1970. */
  readonly enqueuedAtMs: number;
  /** Store time at which the dead letter was added, ms since 1970. */
  readonly diedAtMs: number;
  /** Incarnation of the node that ran the handler. */
  readonly incarnation: number;
  /**
   * How the handler ended after its node was evicted: `completed` (returned), `failed` (threw) or `not-run` (never started). null
   * if that is not known. Even after `completed`, only your data shows whether the effect exists.
   */
  readonly late: { readonly outcome: string; readonly detail: unknown } | null;
  /** Id of the dead letter that this message replayed; null if it replayed none. */
  readonly replayOf: string | null;
  /** Id of the message that replays this dead letter; null if it was not replayed. */
  readonly replayedAs: string | null;
}

const parsed = (json: string): unknown => (json === '' ? null : (JSON.parse(json) as unknown));

const TRACE_PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-/;

export function deadLetterOf({ message, late, lateDetail, replayedAs, ...letter }: Letter): DeadLetter {
  const headers = (parsed(message.headers) ?? {}) as Readonly<Record<string, string>>;
  return {
    id: letter.id,
    entityType: typeOfKey(letter.entity),
    entityId: idOfKey(letter.entity),
    name: message.name,
    payload: parsed(message.payload),
    messageId: unescapeId(message.id),
    sequence: message.seq,
    attempts: message.attempt,
    reason: letter.reason,
    error: parsed(letter.error) as RecordedError | null,
    headers,
    traceId: TRACE_PARENT.exec(headers.traceparent ?? '')?.[1] ?? null,
    enqueuedAtMs: message.enqueuedAtMs,
    diedAtMs: letter.diedAtMs,
    incarnation: letter.incarnation,
    late: late === '' ? null : { outcome: late, detail: parsed(lateDetail) },
    replayOf: message.replayOf === '' ? null : message.replayOf,
    replayedAs: replayedAs === '' ? null : unescapeId(replayedAs),
  };
}
