/**
 * The link of one process to the store if it carries a limited number of bytes per millisecond in each direction. A direction
 * transmits in order: content waits for content that was sent before it. Heartbeats do not wait, since they have their own
 * connection.
 */

/** Bytes of a call besides its texts: headers of the protocol and of the network. */
const CALL_BYTES = 200;
const FIELD_BYTES = 2;
const NUMBER_BYTES = 8;

/** One direction of the link. */
export class ThinLine {
  /** World time in ms at which everything given so far is transmitted. */
  private freeMs = 0;
  private lastArrivalMs = 0;
  private bytes = 0;

  constructor(private readonly bytesPerMs: number) {}

  /**
   * Transmits so many bytes. Returns after how many ms they arrive, in order. `latencyMs` is the latency of the way in addition.
   */
  sendMs(nowMs: number, bytes: number, latencyMs: number): number {
    this.freeMs = Math.max(this.freeMs, nowMs) + bytes / this.bytesPerMs;
    this.bytes += bytes;
    this.lastArrivalMs = Math.max(this.lastArrivalMs, this.freeMs + latencyMs);
    return this.lastArrivalMs - nowMs;
  }

  /** Returns the bytes that are transmitted so far. */
  transmitted(nowMs: number): number {
    return this.bytes - Math.max(0, this.freeMs - nowMs) * this.bytesPerMs;
  }

  /** Drops what is not transmitted yet, since the connection broke. */
  discard(nowMs: number): void {
    this.bytes = this.transmitted(nowMs);
    this.freeMs = this.lastArrivalMs = Math.min(this.freeMs, nowMs);
  }
}

/** Returns the approximate bytes of a call or reply on the wire. */
export const wireBytes = (content: unknown): number => CALL_BYTES + bytesOf(content);

function bytesOf(content: unknown): number {
  if (typeof content === 'string') return content.length + FIELD_BYTES;
  if (typeof content === 'number') return NUMBER_BYTES;
  if (typeof content !== 'object' || content === null) return FIELD_BYTES;
  let bytes = FIELD_BYTES;
  if (Symbol.iterator in content) for (const item of content as Iterable<unknown>) bytes += bytesOf(item);
  // The former content of a batch, from before it was lightened, is not sent.
  else for (const [key, value] of Object.entries(content)) if (key !== 'former') bytes += bytesOf(value);
  return bytes;
}
