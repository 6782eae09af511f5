/** The network between one process and the store, as both ways of calling the store use it. */
import type { Stream } from './sim-random.js';
import type { StoreServer } from './store-server.js';
import { ThinLine, wireBytes } from './thin-link.js';
import { type Life, SimEvent } from './world.js';

const LATENCY_MS = { low: 0.15, high: 1.2 };
const LEAVE_MS_MAX = 0.05;
/** What is smaller holds up nothing for long. */
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

  /** Whether a call takes time by its bytes. */
  get isThin(): boolean {
    return this.lines !== undefined;
  }

  /** Puts a call in the queue of the process: it leaves a moment later. */
  leaveLater(call: SimEvent): void {
    this.server.world.push(call, this.chance.next() * LEAVE_MS_MAX);
  }

  /** Draws how long one way takes now. */
  drawDelayMs(): number {
    const { storeDelayMs, slowStore } = this.server.weather;
    const slowMs = slowStore.size === 0 ? 0 : (slowStore.get(this.life.host) ?? 0);
    const latencyMs = this.chance.between(LATENCY_MS.low, LATENCY_MS.high);
    return latencyMs + slowMs + (storeDelayMs > 0 ? this.chance.next() * storeDelayMs : 0);
  }

  /** Returns that delay, or a longer one if something that was sent before would arrive later: a connection keeps the order. */
  inOrderMs(delayMs: number): number {
    const { world } = this.server;
    this.lastArrivalMs = Math.max(this.lastArrivalMs, world.nowMs + delayMs);
    return this.lastArrivalMs - world.nowMs;
  }

  /** The same where what is sent takes time by its size. A heartbeat has a connection of its own, and passes all else there. */
  inTurnMs(delayMs: number, direction: Direction, content: unknown, isHeartbeat: boolean): number {
    if (this.lines === undefined) return this.inOrderMs(delayMs);
    if (isHeartbeat) return delayMs;
    const { nowMs } = this.server.world;
    const bytes = wireBytes(content);
    const afterMs = this.lines[direction].sendMs(nowMs, bytes, delayMs);
    if (bytes >= LARGE_BYTES) this.server.linksBusyUntilMs = Math.max(this.server.linksBusyUntilMs, nowMs + afterMs);
    return afterMs;
  }

  /** Bytes that have come in over a thin link. */
  bytesIn(): number {
    return this.lines?.in.transmitted(this.server.world.nowMs) ?? 0;
  }

  /** The connection broke, and the store sends no more on it. */
  broken(): void {
    this.lines?.in.discard(this.server.world.nowMs);
  }

  /** Opens a connection. Calls `ended` with whether the store was reached. */
  dial(ended: (isReached: boolean) => void): void {
    const { server, life } = this;
    const { low, high } = DIAL_MS;
    server.world.after(this.chance.between(low, high), life, () => ended(server.weather.reachesStore(life.host)));
  }
}

/** A request at the store. It belongs to no process: it arrives whether or not its sender lives. */
export class Arrival extends SimEvent {
  constructor(private readonly call: { arrived(): void }) {
    super(undefined);
  }

  fire(): void {
    this.call.arrived();
  }
}
