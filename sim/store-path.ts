/** The network between one process and the store, as both ways of calling the store use it. */
import type { Stream } from './sim-random.js';
import type { StoreServer } from './store-server.js';
import { type Life, SimEvent } from './world.js';

const LATENCY_MS = { low: 0.15, high: 1.2 };
const LEAVE_MS_MAX = 0.05;
const DIAL_MS = { low: 1, high: 10 };

export class StorePath {
  private lastArrivalMs = 0;

  constructor(
    readonly server: StoreServer,
    readonly life: Life,
    readonly chance: Stream,
  ) {}

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
