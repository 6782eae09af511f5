/** Dead letters as people and programs read them; core/log has the record behind it. */
import { idOfKey, typeOfKey, unescapeId } from './ids.js';
import type { Letter } from './log/control-operations.js';
import type { RecordedError } from './recorded-error.js';

export interface DeadLetter {
  /** Its number, by which it is shown, replayed and purged. */
  readonly id: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly name: string;
  readonly payload: unknown;
  /** Id of the message that died, and its place in the entity's log. */
  readonly messageId: string;
  readonly sequence: number;
  readonly attempts: number;
  /** `failed`: its attempts are used up. `interrupted`: its node was lost while the handler ran. */
  readonly reason: Letter['reason'];
  readonly error: RecordedError | null;
  readonly headers: Readonly<Record<string, string>>;
  /** From the header `traceparent` (W3C Trace Context); null without one. */
  readonly traceId: string | null;
  /** By the store's clock, milliseconds since 1970. */
  readonly enqueuedAtMs: number;
  readonly diedAtMs: number;
  /** Incarnation of the node whose handler it was. */
  readonly incarnation: number;
  /**
   * What the handler's function did after its node was given up: `completed` (returned), `failed` (threw) or `not-run`; null: not
   * known. Also after `completed` only your data can tell whether its effect is there.
   */
  readonly late: { readonly outcome: string; readonly detail: unknown } | null;
  /** The dead letter that this message replayed. */
  readonly replayOf: string | null;
  /** The message that replays this one. */
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
