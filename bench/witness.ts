/**
 * The handler of every side: counts disorder, repeats and overlap of each entity, and awaits once. It does nothing else, so that
 * a measurement covers the way to the handler and back.
 */
export interface Counts {
  done: number;
  disorder: number;
  repeats: number;
  overlap: number;
}

export class Witness {
  readonly counts: Counts = { done: 0, disorder: 0, repeats: 0, overlap: 0 };
  private readonly expected = new Map<string, number>();
  private readonly running = new Set<string>();
  private readonly seenOnce: Uint8Array | undefined;
  private goal = Number.POSITIVE_INFINITY;
  private reached: () => void = () => undefined;

  /**
   * If `once` is above 0, there are so many entities, and each gets a single message that has the number of its entity. The
   * witness then keeps nothing per entity that would count as the entity's memory.
   */
  constructor(once = 0) {
    this.seenOnce = once > 0 ? new Uint8Array(once) : undefined;
  }

  async handle(entity: string, number: number): Promise<number> {
    if (this.seenOnce) {
      if (this.seenOnce[number]) this.counts.repeats++;
      this.seenOnce[number] = 1;
      await null;
    } else {
      this.begin(entity, number);
      await null;
      this.running.delete(entity);
    }
    if (++this.counts.done >= this.goal) this.reached();
    return number;
  }

  /** Adds what handlers in another process have counted since their last report. */
  add({ done, disorder, repeats, overlap }: Counts): void {
    this.counts.done += done;
    this.counts.disorder += disorder;
    this.counts.repeats += repeats;
    this.counts.overlap += overlap;
    if (this.counts.done >= this.goal) this.reached();
  }

  /** Resolves when `count` more messages were handled. Rejects after `timeoutMs`. */
  more(count: number, timeoutMs: number): Promise<void> {
    const from = this.counts.done;
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`only ${this.counts.done - from} of ${count} handled in ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.goal = from + count;
      this.reached = () => {
        clearTimeout(late);
        this.goal = Number.POSITIVE_INFINITY;
        resolve();
      };
    });
  }

  private begin(entity: string, number: number): void {
    if (this.running.has(entity)) this.counts.overlap++;
    this.running.add(entity);
    const want = this.expected.get(entity) ?? 0;
    if (number < want) this.counts.repeats++;
    else {
      if (number > want) this.counts.disorder++;
      this.expected.set(entity, number + 1);
    }
  }
}
