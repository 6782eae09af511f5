/**
 * Remembers the highest counters that a node saw in its store. No counter decreases while the store keeps what it acknowledged.
 * So a lower counter shows that the store came back from an older state.
 */
import type { Counters } from './log/control-operations.js';

const NAMES: Readonly<Record<keyof Counters, string>> = {
  incarnation: 'joins',
  fence: 'fences',
  epoch: 'epochs',
  letter: 'dead letters',
};

export class HighWater {
  /** The last counters that the store returned. */
  private shown: Counters = { incarnation: 0, fence: 0, epoch: 0, letter: 0 };
  /** Highest epoch that the store gave to this node. */
  private epoch = 0;
  /** Time of that epoch, ms of the node's monotonic clock. */
  private epochSinceMs = 0;

  /** Records that the store gave an epoch to this node. */
  noteEpoch(epoch: number, nowMs: number): void {
    if (epoch <= this.epoch) return;
    this.epoch = epoch;
    this.epochSinceMs = nowMs;
  }

  /**
   * Compares the counters of an answer with the counters before. The call was sent at `sentMs`, ms of the node's monotonic clock.
   * Each call must be sent after the answer to the one before. Returns which counter went back, as text; undefined if none did.
   */
  take(counters: Counters, sentMs: number): string | undefined {
    const { shown } = this;
    for (const name of Object.keys(NAMES) as (keyof Counters)[])
      if (counters[name] < shown[name]) return wentBack(name, shown[name], counters[name]);
    if (sentMs >= this.epochSinceMs && counters.epoch < this.epoch) return wentBack('epoch', this.epoch, counters.epoch);
    this.shown = counters;
    return undefined;
  }
}

const wentBack = (name: keyof Counters, from: number, to: number): string =>
  `its count of ${NAMES[name]} went back from ${from} to ${to}`;
