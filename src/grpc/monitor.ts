/**
 * Whether one peer is suspected. A dying peer shows itself as an idle channel, not as a failed one, and a frozen one as nothing
 * at all; so no state of a channel is evidence by itself. What makes a suspect:
 *
 *   a trouble (link lost, dial failed, ping unanswered) that has lasted for the debounce, and a probe after it that failed.
 *
 * Anything heard of the peer ends it. Rejected: gRPC's keepalive as the detector, which needs up to 15 s.
 */
import type { Clock, Timer } from '../ports/clock.js';

export interface MonitorSettings {
  readonly clock: Clock;
  readonly debounceMs: number;
  /** Deadline of a ping and of a probe. */
  readonly pingMs: number;
  /** A link on which nothing comes for so long is given up. */
  readonly silentMsMax: number;
}

export interface MonitorActs {
  /** Sends a ping on the link; false if there is no link. */
  ping(): boolean;
  /** Asks by another call whether the peer is there. */
  probe(timeoutMs: number): Promise<boolean>;
  /** Gives the link up, since the peer lives and does not use it, or says nothing at all. */
  cut(): void;
  changed(isSuspect: boolean): void;
}

/** How often `tick` is to be called, ms. */
export const TICK_MS = 250;
/** Silence after which a ping asks. */
const IDLE_MS = 750;
const PROBE_AGAIN_MS = 1000;
const PROBE_MS_MIN = 100;

export class Monitor {
  readonly #settings: MonitorSettings;
  readonly #acts: MonitorActs;
  #heardAtMs: number;
  #pingedAtMs: number | undefined;
  #troubleSinceMs: number | undefined;
  #isProbing = false;
  #isSuspect = false;
  #isClosed = false;
  #next: Timer | undefined;

  constructor(settings: MonitorSettings, acts: MonitorActs) {
    this.#settings = settings;
    this.#acts = acts;
    this.#heardAtMs = settings.clock.monotonicMs();
  }

  get isSuspect(): boolean {
    return this.#isSuspect;
  }

  /** Something came from the peer. */
  heard(): void {
    this.#heardAtMs = this.#settings.clock.monotonicMs();
    this.#pingedAtMs = undefined;
    if (this.#troubleSinceMs !== undefined) this.#clear();
  }

  /** Something is wrong that may be the peer's end. */
  trouble(): void {
    if (this.#isClosed) return;
    this.#troubleSinceMs ??= this.#settings.clock.monotonicMs();
    if (!this.#isProbing && this.#next === undefined) void this.#probe();
  }

  tick(): void {
    const nowMs = this.#settings.clock.monotonicMs();
    if (this.#pingedAtMs === undefined) {
      if (nowMs - this.#heardAtMs >= IDLE_MS && this.#acts.ping()) this.#pingedAtMs = nowMs;
    } else if (nowMs - this.#pingedAtMs >= this.#settings.pingMs) {
      this.trouble();
      if (nowMs - this.#heardAtMs >= this.#settings.silentMsMax) {
        this.#pingedAtMs = undefined;
        this.#acts.cut();
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#next?.cancel();
  }

  async #probe(): Promise<void> {
    const { clock, debounceMs, pingMs } = this.#settings;
    this.#isProbing = true;
    this.#next = undefined;
    const isThere = await this.#acts.probe(Math.max(PROBE_MS_MIN, Math.min(pingMs, debounceMs)));
    this.#isProbing = false;
    const sinceMs = this.#troubleSinceMs;
    if (this.#isClosed || sinceMs === undefined) return;
    if (isThere) {
      this.#clear();
      if (this.#pingedAtMs === undefined) return;
      this.#pingedAtMs = undefined;
      this.#acts.cut();
      return;
    }
    const leftMs = sinceMs + debounceMs - clock.monotonicMs();
    if (leftMs <= 0 && !this.#isSuspect) {
      this.#isSuspect = true;
      this.#acts.changed(true);
    }
    this.#next = clock.setTimer(leftMs > 0 ? leftMs : PROBE_AGAIN_MS, () => void this.#probe());
  }

  #clear(): void {
    this.#troubleSinceMs = undefined;
    this.#next?.cancel();
    this.#next = undefined;
    if (!this.#isSuspect) return;
    this.#isSuspect = false;
    this.#acts.changed(false);
  }
}
