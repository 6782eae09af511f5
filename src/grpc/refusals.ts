import type { Clock } from '../ports/clock.js';

export type RefusedFor = 'token' | 'garbage' | 'protocol' | 'keyPrefix' | 'generation' | 'target' | 'sender' | 'unavailable';

const TELL_EVERY_MS = 60_000;

/** Counts refusals by reason, and reports one at most once a minute. */
export class Refusals {
  readonly #clock: Clock;
  readonly #tell: (text: string) => void;
  readonly counts: Partial<Record<RefusedFor, number>> = {};
  total = 0;
  #untold = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, tell: (text: string) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  note(why: RefusedFor, what: string): void {
    this.total++;
    this.#untold++;
    this.counts[why] = (this.counts[why] ?? 0) + 1;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    const others = this.#untold > 1 ? ` (and ${this.#untold - 1} others since the last such line)` : '';
    this.#untold = 0;
    this.#tell(`gRPC: refused ${what}${others}`);
  }
}
