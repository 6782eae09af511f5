import { outside } from './outside.js';

const CHECK_MS = 200;

/**
 * Holds the process while there is work, since no timer of the library does. A call only raises a flag; whether the work has
 * ended is asked once per interval, so that no message pays for it.
 */
export class KeepAlive {
  #touched = false;
  #isHolding = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #isBusy: () => boolean;

  constructor(isBusy: () => boolean) {
    this.#isBusy = isBusy;
  }

  /** Something was asked for: the process stays at least until `isBusy` says that nothing is left. */
  touch(): void {
    this.#touched = true;
    if (this.#isHolding) return;
    this.#isHolding = true;
    outside(() => {
      if (this.#isHolding) this.#timer ??= setInterval(() => this.#check(), CHECK_MS);
    });
  }

  close(): void {
    this.#isHolding = false;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #check(): void {
    const touched = this.#touched;
    this.#touched = false;
    if (!touched && !this.#isBusy()) this.close();
  }
}
