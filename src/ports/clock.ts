/** A timer that was set; `cancel` is idempotent and may be called after it fired. */
export interface Timer {
  cancel(): void;
}

/** Time as one node sees it. Nothing in core, runtime or sim may read time from anywhere else. */
export interface Clock {
  /** Milliseconds that only grow, from an arbitrary start; stands still while the machine is suspended. */
  monotonicMs(): number;
  /** Wall clock, milliseconds since 1970. Only for people: no decision may rest on it. */
  wallMs(): number;
  /** Calls `fire` once, not before `delayMs` have passed; late by any amount if the process is paused. */
  setTimer(delayMs: number, fire: () => void): Timer;
  /** Calls `run` after what is ready now, before time passes: the seam at which batches leave. */
  defer(run: () => void): void;
}
