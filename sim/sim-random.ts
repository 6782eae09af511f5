import seedrandom from 'seedrandom';
import type { Random } from '../src/ports/random.js';

/**
 * A named stream of random numbers, one per purpose and node. An extra draw in one stream changes nothing in the others. This
 * keeps a shrunk schedule close to the original one.
 */
export class Stream {
  readonly #draw: () => number;

  constructor(seed: number, purpose: string) {
    this.#draw = seedrandom.alea(`${seed}/${purpose}`);
  }

  /** Returns a number of at least 0 and below 1. */
  next(): number {
    return this.#draw();
  }

  chance(share: number): boolean {
    return share > 0 && this.#draw() < share;
  }

  /** Returns a number between the two. */
  between(low: number, high: number): number {
    return low + this.#draw() * (high - low);
  }

  /** Returns a whole number between the two, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.#draw() * (high - low + 1));
  }

  /** Returns a whole number between the two. Each order of magnitude is equally likely. */
  logBetween(low: number, high: number): number {
    return Math.round(low * (high / low) ** this.#draw());
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#draw() * items.length)] as T;
  }

  /** Returns a copy in random order. */
  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = Math.floor(this.#draw() * (i + 1));
      const item = out[i] as T;
      out[i] = out[j] as T;
      out[j] = item;
    }
    return out;
  }
}

/** Randomness of a node. */
export class SimRandom implements Random {
  constructor(private readonly stream: Stream) {}

  next(): number {
    return this.stream.next();
  }

  token(): string {
    const word = (): string =>
      Math.floor(this.stream.next() * 2 ** 32)
        .toString(16)
        .padStart(8, '0');
    return word() + word() + word() + word();
  }
}
