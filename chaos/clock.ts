/** One clock for all processes of a host: CLOCK_MONOTONIC, in milliseconds. What only knows the wall clock is converted. */

export const hostMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const TICKS = 4;
const EVERY_MS = 1000;
/** The wall clock may be slewed, not set, while a history is recorded: beyond this it would be of no use. */
const STEP_MS_MAX = 20;

/** How far the wall clock is ahead: read where its millisecond changes, and of several readings the least late one. */
function readOffsetMs(): number {
  let offsetMs = Number.NEGATIVE_INFINITY;
  for (let tick = 0; tick < TICKS; tick++) {
    const beforeMs = Date.now();
    let wallMs = Date.now();
    while (wallMs === beforeMs) wallMs = Date.now();
    offsetMs = Math.max(offsetMs, wallMs - hostMs());
  }
  return offsetMs;
}

/** Follows the difference between the two clocks of this host, to a few microseconds. */
export class WallClock {
  #offsetMs = readOffsetMs();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#read(), EVERY_MS);
  }

  #read(): void {
    const offsetMs = readOffsetMs();
    if (Math.abs(offsetMs - this.#offsetMs) > STEP_MS_MAX) throw new Error('the wall clock was set during the run');
    this.#offsetMs = offsetMs;
  }

  toHostMs(wallMs: number): number {
    return wallMs - this.#offsetMs;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
