/**
 * What a node remembers of the counters of its store. None of them goes down while the store keeps what it acknowledged, so a lower one
 * shows a store that came back from an older state.
 */
import type { Counters } from './log/control-operations.js';

const NAMES: Readonly<Record<keyof Counters, string>> = {
  incarnation: 'joins',
  fence: 'fences',
  epoch: 'epochs',
  letter: 'dead letters',
};

export class HighWater {
  /** As the store has shown them itself. */
  private shown: Counters = { incarnation: 0, fence: 0, epoch: 0, letter: 0 };
  /** The highest epoch that this node was given, and since when, ms of the node's monotonic clock. */
  private epoch = 0;
  private epochSinceMs = 0;

  /** The store gave an epoch to this node. */
  noteEpoch(epoch: number, nowMs: number): void {
    if (epoch <= this.epoch) return;
    this.epoch = epoch;
    this.epochSinceMs = nowMs;
  }

  /**
   * Takes the counters of an answer to a call that left at `sentMs`, of calls of which each left after the answer to the one before.
   * Returns what went back, in words; undefined if nothing did.
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
