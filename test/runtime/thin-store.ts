import type { ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Batch, BatchReply } from '../../src/core/log/operations.js';
import { MemoryStore } from '../../src/memory/store.js';
import { StoreCallError } from '../../src/ports/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { sleep } from './harness.js';

/**
 * A store behind one link of so many characters a millisecond, in each direction, on which calls and answers wait for each other.
 * A call that has no answer by its deadline fails, and was applied all the same if it got across: its bytes are not taken back.
 */
export class ThinStore extends MemoryStore {
  charsPerMs = Number.POSITIVE_INFINITY;
  readonly replyChars: number[] = [];
  readonly requestChars: number[] = [];
  /** Most control operations that were on their way at once. */
  atOnceMax = 0;
  private upFreeMs = 0;
  private downFreeMs = 0;
  private atOnce = 0;

  constructor(private readonly timeoutMs: number) {
    super(new SystemClock());
  }

  override apply(batch: Batch, patience = 1): Promise<BatchReply> {
    this.requestChars.push(JSON.stringify(batch).length);
    return this.across(batch, () => super.apply(batch), this.timeoutMs * patience, this.replyChars);
  }

  override async control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    // Heartbeats have a connection of their own.
    if (op.op !== 'lookup') return super.control(op);
    this.atOnceMax = Math.max(this.atOnceMax, ++this.atOnce);
    try {
      return await this.across(op, () => super.control(op), this.timeoutMs);
    } finally {
      this.atOnce--;
    }
  }

  private async across<T>(request: unknown, run: () => Promise<T>, timeoutMs: number, sizes: number[] = []): Promise<T> {
    const deadlineMs = performance.now() + timeoutMs;
    this.upFreeMs = Math.max(this.upFreeMs, performance.now()) + JSON.stringify(request).length / this.charsPerMs;
    await sleep(Math.min(this.upFreeMs, deadlineMs) - performance.now());
    if (this.upFreeMs > deadlineMs) {
      void sleep(this.upFreeMs - performance.now()).then(run);
      throw new StoreCallError(`no answer within ${timeoutMs} ms`, false);
    }
    const answer = await run();
    const chars = JSON.stringify(answer).length;
    sizes.push(chars);
    this.downFreeMs = Math.max(this.downFreeMs, performance.now()) + chars / this.charsPerMs;
    await sleep(Math.min(this.downFreeMs, deadlineMs) - performance.now());
    if (this.downFreeMs > deadlineMs) throw new StoreCallError(`no answer within ${timeoutMs} ms`, false);
    return answer;
  }
}
