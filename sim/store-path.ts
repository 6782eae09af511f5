/** The network between one process and the store, used by both ways of calling the store. */
import type { Stream } from './sim-random.js';
import type { StoreServer } from './store-server.js';
import { ThinLine, wireBytes } from './thin-link.js';
import { type Life, SimEvent } from './world.js';

const LATENCY_MS = { low: 0.15, high: 1.2 };
const LEAVE_MS_MAX = 0.05;
/** Smaller content delays nothing for long. */
const LARGE_BYTES = 4096;
const DIAL_MS = { low: 1, high: 10 };

export type Direction = 'out' | 'in';

export class StorePath {
  private lastArrivalMs = 0;
  /** Undefined: the link carries any size at once. */
  private readonly lines: Readonly<Record<Direction, ThinLine>> | undefined;

  constructor(
    readonly server: StoreServer,
    readonly life: Life,
    readonly chance: Stream,
  ) {
    const { bytesPerMs } = server;
    this.lines = bytesPerMs === undefined ? undefined : { out: new ThinLine(bytesPerMs), in: new ThinLine(bytesPerMs) };
  }

  /** Whether the time of a call depends on its bytes. */
  get isThin(): boolean {
    return this.lines !== undefined;
  }

  /** Schedules a call of the process. It leaves a moment later. */
  leaveLater(call: SimEvent): void {
    this.server.world.push(call, this.chance.next() * LEAVE_MS_MAX);
  }

  /** Draws the delay of one way now, in ms. */
  drawDelayMs(): number {
    const { storeDelayMs, slowStore } = this.server.conditions;
    const slowMs = slowStore.size === 0 ? 0 : (slowStore.get(this.life.host) ?? 0);
    const latencyMs = this.chance.between(LATENCY_MS.low, LATENCY_MS.high);
    return latencyMs + slowMs + (storeDelayMs > 0 ? this.chance.next() * storeDelayMs : 0);
  }

  /** Returns the delay, or a longer one if earlier content would arrive later. A connection keeps the order. In ms. */
  inOrderMs(delayMs: number): number {
    const { world } = this.server;
    this.lastArrivalMs = Math.max(this.lastArrivalMs, world.nowMs + delayMs);
    return this.lastArrivalMs - world.nowMs;
  }

  /**
   * Returns the delay in order, and by the size of the content on a thin link. A heartbeat uses its own connection there, so it
   * waits for nothing. In ms.
   */
  inTurnMs(delayMs: number, direction: Direction, content: unknown, isHeartbeat: boolean): number {
    if (this.lines === undefined) return this.inOrderMs(delayMs);
    if (isHeartbeat) return delayMs;
    const { nowMs } = this.server.world;
    const bytes = wireBytes(content);
    const afterMs = this.lines[direction].sendMs(nowMs, bytes, delayMs);
    if (bytes >= LARGE_BYTES) this.server.linksBusyUntilMs = Math.max(this.server.linksBusyUntilMs, nowMs + afterMs);
    return afterMs;
  }

  /** Returns the bytes that have come in over a thin link. */
  bytesIn(): number {
    return this.lines?.in.transmitted(this.server.world.nowMs) ?? 0;
  }

  /** Is called when the connection broke. The store sends nothing more on it. */
  broken(): void {
    this.lines?.in.discard(this.server.world.nowMs);
  }

  /** Opens a connection. Calls `ended` with whether the store was reached. */
  dial(ended: (isReached: boolean) => void): void {
    const { server, life } = this;
    const { low, high } = DIAL_MS;
    server.world.after(this.chance.between(low, high), life, () => ended(server.conditions.reachesStore(life.host)));
  }
}

/** The arrival of a request at the store. It belongs to no process: it happens whether or not the sender lives. */
export class Arrival extends SimEvent {
  constructor(private readonly call: { arrived(): void }) {
    super(undefined);
  }

  fire(): void {
    this.call.arrived();
  }
}
