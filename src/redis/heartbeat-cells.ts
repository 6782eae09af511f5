const PROVED = 0;
const TURNS = 1;
const BEATS = 2;
const ACKNOWLEDGED = 3;
const CELLS = 4;

/** What the main loop and the thread of the beats know of each other at any moment, for one incarnation. */
export class BeatCells {
  readonly #cells: BigInt64Array;

  constructor(readonly buffer = new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.#cells = new BigInt64Array(buffer);
  }

  /** When the newest acknowledged beat was sent, ms of the node's monotonic clock; -Infinity without one. */
  get provedMs(): number {
    const us = Atomics.load(this.#cells, PROVED);
    return us === 0n ? Number.NEGATIVE_INFINITY : Number(us) / 1000;
  }

  /** A heartbeat was acknowledged. Rounds down: the lease may end early, never late. */
  prove(beat: number, sentMs: number): void {
    Atomics.store(this.#cells, PROVED, BigInt(Math.floor(sentMs * 1000)));
    Atomics.store(this.#cells, ACKNOWLEDGED, BigInt(beat));
  }

  /** Number of the last heartbeat that was acknowledged; 0: none was. */
  get acknowledged(): number {
    return Number(Atomics.load(this.#cells, ACKNOWLEDGED));
  }

  /** How often the main loop has turned. */
  get turns(): bigint {
    return Atomics.load(this.#cells, TURNS);
  }

  turned(): void {
    Atomics.add(this.#cells, TURNS, 1n);
  }

  /** The next beat's counter. It lives here, so that a thread that comes after a crash goes on with it. */
  nextBeat(): number {
    return Number(Atomics.add(this.#cells, BEATS, 1n)) + 1;
  }
}
