import type { MessageRecord } from '../core/log/operations.js';
import { SeqQueue } from '../core/seq-queue.js';

/** Logged messages of one entity that its owner knows of, in the order of their sequences. */
export class Inbox {
  private readonly records = new SeqQueue<MessageRecord>();
  private chained = 0;

  get length(): number {
    return this.records.length;
  }

  /** True if a handler waits for one of them. The messages before that one must not wait for that handler's slot either. */
  get isWaitedFor(): boolean {
    return this.chained > 0;
  }

  get head(): MessageRecord | undefined {
    return this.records.peek();
  }

  push(record: MessageRecord): void {
    this.count(record, 1);
    this.records.push(record);
  }

  unshift(record: MessageRecord): void {
    this.count(record, 1);
    this.records.unshift(record);
  }

  find(seq: number): MessageRecord | undefined {
    return this.records.get(seq);
  }

  dropUpTo(seq: number): void {
    for (let head = this.head; head !== undefined && head.seq <= seq; head = this.head) {
      this.count(head, -1);
      this.records.shift();
    }
  }

  private count({ chain }: MessageRecord, by: number): void {
    if (chain !== '') this.chained += by;
  }
}
