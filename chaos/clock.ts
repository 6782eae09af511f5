/** One clock for all processes of a host: CLOCK_MONOTONIC, in milliseconds. What only knows the wall clock is converted. */

export const hostMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const TICKS = 4;
const EVERY_MS = 1000;
/** Readings so far apart are still of one difference: clocks are slewed by a few millionths. */
const WINDOW_MS = 6000;
/** The wall clock may be slewed, not set, while a history is recorded: beyond this it would be of no use. */
const STEP_MS_MAX = 20;
const LOWS_MAX = 2;

export interface Reading {
  /** By the wall clock. */
  readonly wallMs: number;
  /** How far it was ahead of the host's. */
  readonly offsetMs: number;
}

/** Reads where the wall clock's millisecond changes: a reading that comes late is too small, and never too large. */
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

/** Readings of one difference, in the order of the host's time. */
export class Readings {
  readonly #taken: Reading[];
  #lows = 0;

  constructor(first: Reading) {
    this.#taken = [first];
  }

  /** One that is far too small may be late; two in a row tell that the clock was set back. */
  take(reading: Reading): void {
    const aheadMs = reading.offsetMs - this.offsetAt(reading.wallMs);
    const isLow = aheadMs < -STEP_MS_MAX;
    this.#lows = isLow ? this.#lows + 1 : 0;
    if (aheadMs > STEP_MS_MAX || this.#lows === LOWS_MAX) throw new Error('the wall clock was set during the run');
    if (!isLow) this.#taken.push(reading);
  }

  /** Of the readings around that time the least late one; on a busy machine single ones are late by milliseconds. */
  offsetAt(wallMs: number): number {
    const near = this.#taken.filter((r) => Math.abs(r.wallMs - wallMs) <= WINDOW_MS);
    const all = near.length > 0 ? near : this.#taken.slice(-1);
    return Math.max(...all.map((r) => r.offsetMs));
  }
}

/** Follows the difference between the two clocks of this host, to a few microseconds. */
export class WallClock {
  readonly #readings = new Readings(read());
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#readings.take(read()), EVERY_MS);
  }

  /** Best of what lies some seconds back. */
  toHostMs(wallMs: number): number {
    return wallMs - this.#readings.offsetAt(wallMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
