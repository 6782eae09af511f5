const PROVED = 0;
const TURNS = 1;
const HEARTBEATS = 2;
const ACKNOWLEDGED = 3;
const CELLS = 4;

/** State shared by the main loop and the heartbeat thread for one incarnation. */
export class HeartbeatCells {
  readonly #cells: BigInt64Array;

  constructor(readonly buffer = new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.#cells = new BigInt64Array(buffer);
  }

  /** When the newest acknowledged heartbeat was sent, ms of the node's monotonic clock; -Infinity without one. */
  get provedMs(): number {
    const us = Atomics.load(this.#cells, PROVED);
    return us === 0n ? Number.NEGATIVE_INFINITY : Number(us) / 1000;
  }

  /** Records an acknowledged heartbeat. Rounds down: the lease may end early, never late. */
  prove(heartbeat: number, sentMs: number): void {
    Atomics.store(this.#cells, PROVED, BigInt(Math.floor(sentMs * 1000)));
    Atomics.store(this.#cells, ACKNOWLEDGED, BigInt(heartbeat));
  }

  /** Number of the last acknowledged heartbeat; 0 without one. */
  get acknowledged(): number {
    return Number(Atomics.load(this.#cells, ACKNOWLEDGED));
  }

  /** How many times the main loop has recorded a turn. */
  get turns(): bigint {
    return Atomics.load(this.#cells, TURNS);
  }

  turned(): void {
    Atomics.add(this.#cells, TURNS, 1n);
  }

  /** Returns the next heartbeat's number. The counter is shared, so that a thread started after a crash continues it. */
  nextHeartbeat(): number {
    return Number(Atomics.add(this.#cells, HEARTBEATS, 1n)) + 1;
  }
}
