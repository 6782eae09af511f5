/** A timer that was set. `cancel` is idempotent and may be called after the timer fired. */
export interface Timer {
  cancel(): void;
}

/** The time of one node. Code in core, runtime and sim reads time only from here. */
export interface Clock {
  /** Returns ms since an arbitrary start. The value never decreases, and stands still while the machine is suspended. */
  monotonicMs(): number;
  /** Returns wall-clock time, ms since 1970. Only for people: no decision may depend on it. */
  wallMs(): number;
  /** Calls `fire` once, after at least `delayMs`. The call is late by any amount if the process is paused. */
  setTimer(delayMs: number, fire: () => void): Timer;
  /** Calls `run` after the work that is ready now and before the next timer. Batches leave at this point. */
  defer(run: () => void): void;
}
