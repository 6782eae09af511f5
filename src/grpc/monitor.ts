/**
 * Decides whether one peer is suspected. A dying peer looks like an idle channel, not like a failed one, and a frozen peer shows
 * no sign at all. So no channel state alone is evidence. A peer is suspected after
 *
 *   a trouble (link lost, dial failed, ping unanswered) that has lasted for `debounceMs`, and a probe after it that failed.
 *
 * Any message from the peer ends the suspicion. Rejected: gRPC's keepalive as the detector, which needs up to 15 s.
 */
import type { Clock, Timer } from '../ports/clock.js';

export interface MonitorSettings {
  readonly clock: Clock;
  readonly debounceMs: number;
  /** Deadline of a ping and of a probe, ms. */
  readonly pingMs: number;
  /** A link with an unanswered ping is dropped after this long without any message, ms. */
  readonly silentMsMax: number;
}

export interface MonitorActs {
  /** Sends a ping on the link; returns false if there is no link. */
  ping(): boolean;
  /** Resolves with whether the peer answers a separate call within `timeoutMs`. */
  probe(timeoutMs: number): Promise<boolean>;
  /** Drops the link: the peer is alive but does not answer on it, or has been silent for too long. */
  cut(): void;
  changed(isSuspect: boolean): void;
}

/** How often to call `tick`, ms. */
export const TICK_MS = 250;
/** Silence after which a ping is sent, ms. */
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

  /** Records that something came from the peer. */
  heard(): void {
    this.#heardAtMs = this.#settings.clock.monotonicMs();
    this.#pingedAtMs = undefined;
    if (this.#troubleSinceMs !== undefined) this.#clear();
  }

  /** Records a problem that may mean that the peer is gone. */
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
