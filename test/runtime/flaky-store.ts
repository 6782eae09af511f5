import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import { type Store, StoreCallError } from '../../src/ports/store.js';
import { sleep } from './harness.js';

/** A small deterministic generator (mulberry32), so that a failing seed can be run again. */
export function prng(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface Flakiness {
  /** Shares of calls, from 0 to 1. */
  readonly lostBefore?: number;
  readonly lostAfter?: number;
  readonly lateCopy?: number;
  readonly refused?: number;
  readonly delayMsMax?: number;
}

/** A store whose calls get lost, doubled and late; `cut` makes the node's view of it end, as a dead link would. */
export class FlakyStore implements Store {
  cut = false;
  flaky: Flakiness;
  readonly counts = { lostBefore: 0, lostAfter: 0, lateCopy: 0, refused: 0 };

  constructor(
    private readonly inner: Store,
    private readonly random: () => number = () => 1,
    flaky: Flakiness = {},
  ) {
    this.flaky = flaky;
  }

  apply(batch: Batch): Promise<BatchReply> {
    return this.call(() => this.inner.apply(batch));
  }

  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    return this.call(() => this.inner.control(op));
  }

  onReplaced(): void {}
  async open(): Promise<void> {}
  async close(): Promise<void> {}

  private async call<T>(run: () => Promise<T>): Promise<T> {
    const { lostBefore = 0, lostAfter = 0, lateCopy = 0, refused = 0, delayMsMax = 0 } = this.flaky;
    const roll = this.random();
    const delayMs = this.random() * delayMsMax;
    if (delayMs > 0) await sleep(delayMs);
    if (this.cut) throw new StoreCallError('cut off', false);
    if (roll < lostBefore) {
      this.counts.lostBefore++;
      throw new StoreCallError('lost before the store', false);
    }
    if (roll < lostBefore + lostAfter) {
      this.counts.lostAfter++;
      await run();
      throw new StoreCallError('reply lost', false);
    }
    if (roll < lostBefore + lostAfter + lateCopy) {
      this.counts.lateCopy++;
      setTimeout(() => void run().catch(() => undefined), this.random() * 50);
      throw new StoreCallError('stalled', false);
    }
    if (roll < lostBefore + lostAfter + lateCopy + refused) {
      this.counts.refused++;
      throw new StoreCallError('OOM command not allowed', true);
    }
    const result = await run();
    if (this.cut) throw new StoreCallError('cut off', false);
    return result;
  }
}
