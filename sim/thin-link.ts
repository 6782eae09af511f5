/**
 * The link of one process to the store where it carries so many bytes per millisecond in each direction. A direction transmits one thing at
 * a time: what is sent waits for what was sent before it. Heartbeats pass both, since they have a connection of their own.
 */

/** What a call takes besides its texts: headers of the protocol and of the network. */
const CALL_BYTES = 200;
const FIELD_BYTES = 2;
const NUMBER_BYTES = 8;

/** One direction. */
export class ThinLine {
  /** When it has transmitted all that it was given. */
  private freeMs = 0;
  private lastArrivalMs = 0;
  private bytes = 0;

  constructor(private readonly bytesPerMs: number) {}

  /** Transmits so many bytes. Returns after how many ms they arrive, in order, if the way takes `latencyMs` besides. */
  sendMs(nowMs: number, bytes: number, latencyMs: number): number {
    this.freeMs = Math.max(this.freeMs, nowMs) + bytes / this.bytesPerMs;
    this.bytes += bytes;
    this.lastArrivalMs = Math.max(this.lastArrivalMs, this.freeMs + latencyMs);
    return this.lastArrivalMs - nowMs;
  }

  /** Bytes that it has transmitted so far. */
  transmitted(nowMs: number): number {
    return this.bytes - Math.max(0, this.freeMs - nowMs) * this.bytesPerMs;
  }

  /** The connection broke: what was not transmitted yet never is. */
  discard(nowMs: number): void {
    this.bytes = this.transmitted(nowMs);
    this.freeMs = this.lastArrivalMs = Math.min(this.freeMs, nowMs);
  }
}

/** About how many bytes that call or its answer takes on the wire. */
export const wireBytes = (content: unknown): number => CALL_BYTES + bytesOf(content);

function bytesOf(content: unknown): number {
  if (typeof content === 'string') return content.length + FIELD_BYTES;
  if (typeof content === 'number') return NUMBER_BYTES;
  if (typeof content !== 'object' || content === null) return FIELD_BYTES;
  let bytes = FIELD_BYTES;
  if (Symbol.iterator in content) for (const item of content as Iterable<unknown>) bytes += bytesOf(item);
  // What a batch carried before it was lightened does not leave.
  else for (const [key, value] of Object.entries(content)) if (key !== 'former') bytes += bytesOf(value);
  return bytes;
}
