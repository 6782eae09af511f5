/** The common clock of all processes of a host: CLOCK_MONOTONIC, in ms. Wall-clock times are converted to it. */

export const hostMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const TICKS = 4;
const EVERY_MS = 1000;
/** Readings within this time (ms) belong to one offset: clocks are slewed by a few millionths. */
const WINDOW_MS = 6000;
/** Largest change of the offset in ms. The wall clock may be slewed, but not set, while a history is recorded. */
const STEP_MS_MAX = 20;
const LOWS_MAX = 2;

export interface Reading {
  /** Wall-clock time of the reading, in ms. */
  readonly wallMs: number;
  /** How far the wall clock was ahead of the host clock, in ms. */
  readonly offsetMs: number;
}

/**
 * Takes a reading at the moment at which the wall clock's millisecond changes. A late reading has an offset that is too small,
 * never too large.
 */
function read(): Reading {
  let best: Reading = { wallMs: 0, offsetMs: Number.NEGATIVE_INFINITY };
  for (let tick = 0; tick < TICKS; tick++) {
    const beforeMs = Date.now();
    let wallMs = Date.now();
    while (wallMs === beforeMs) wallMs = Date.now();
    const offsetMs = wallMs - hostMs();
    if (offsetMs > best.offsetMs) best = { wallMs, offsetMs };
  }
  return best;
}

/** Readings of the offset, in the order of host time. */
export class Readings {
  readonly #taken: Reading[];
  #lows = 0;

  constructor(first: Reading) {
    this.#taken = [first];
  }

  /**
   * Adds a reading. One that is far too small may be late; two in a row mean that the clock was set back. Throws if the clock was
   * set.
   */
  take(reading: Reading): void {
    const aheadMs = reading.offsetMs - this.offsetAt(reading.wallMs);
    const isLow = aheadMs < -STEP_MS_MAX;
    this.#lows = isLow ? this.#lows + 1 : 0;
    if (aheadMs > STEP_MS_MAX || this.#lows === LOWS_MAX) throw new Error('the wall clock was set during the run');
    if (!isLow) this.#taken.push(reading);
  }

  /**
   * Returns the offset of the least late reading around that time. On a busy machine single readings are late by milliseconds.
   */
  offsetAt(wallMs: number): number {
    const near = this.#taken.filter((r) => Math.abs(r.wallMs - wallMs) <= WINDOW_MS);
    const all = near.length > 0 ? near : this.#taken.slice(-1);
    return Math.max(...all.map((r) => r.offsetMs));
  }
}

/** Tracks the offset between the wall clock and the host clock, to a few microseconds. */
export class WallClock {
  readonly #readings = new Readings(read());
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#readings.take(read()), EVERY_MS);
  }

  /** Converts a wall-clock time to host time. Most accurate for times that are some seconds old. */
  toHostMs(wallMs: number): number {
    return wallMs - this.#readings.offsetAt(wallMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
