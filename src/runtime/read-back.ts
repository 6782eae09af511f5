/**
 * Reads results back from the log whose reply did not arrive, or had no room in an answer: by `lookup`, few at once. Each result
 * may be as large as a result can be, and all of them use the connection on which the session's batches wait.
 */
import { Fifo } from '../core/fifo.js';
import type { Store } from '../ports/store.js';
import type { Replies } from './replies.js';

/** Estimated characters in flight at most: 20 ms at 100 Mbit/s. One result may be larger. */
const CHARS_MAX = 256 * 1024;
const AT_ONCE_MAX = 32;
/** Estimate of a result's characters before any result was seen. */
const RESULT_CHARS_FIRST = 256 * 1024;
/** The estimate decays per result: one large result raises it for a few hundred more. */
const DECAY = 1 / 64;

/** Knows the generation of the store that the node has joined. */
export interface Generation {
  readonly generation: string;
}

interface Wanted {
  readonly end: () => void;
  readonly entity: string;
  readonly id: string;
  readonly seq: number;
}

export class ReadBack {
  private readonly queue = new Fifo<Wanted>();
  /** Look-ups that are queued or in flight, by message: several callers may wait for one. */
  private readonly asked = new Map<string, Promise<void>>();
  private flying = 0;
  private resultChars = RESULT_CHARS_FIRST;

  constructor(
    private readonly store: Store,
    private readonly membership: Generation,
    private readonly replies: Replies,
  ) {}

  /**
   * Looks up a logged message, and settles its waiters if it has ended. Resolves after that, and also if the look-up failed: the
   * next sweep asks again.
   */
  ask(entity: string, id: string, seq: number): Promise<void> {
    const key = `${entity}\n${id}`;
    const before = this.asked.get(key);
    if (before !== undefined) return before;
    const asked = new Promise<void>((resolve) => {
      const end = (): void => {
        this.asked.delete(key);
        resolve();
      };
      this.queue.push({ end, entity, id, seq });
    });
    this.asked.set(key, asked);
    this.leave();
    return asked;
  }

  private leave(): void {
    while (this.flying < AT_ONCE_MAX && (this.flying === 0 || (this.flying + 1) * this.resultChars <= CHARS_MAX)) {
      const wanted = this.queue.shift();
      if (wanted === undefined) return;
      if (!this.replies.isAwaited(wanted.entity, wanted.id)) wanted.end();
      else void this.read(wanted);
    }
  }

  private async read({ end, entity, id, seq }: Wanted): Promise<void> {
    const { generation } = this.membership;
    this.flying++;
    try {
      const found = await this.store.control({ op: 'lookup', generation, entity, id, seq });
      if (found.ok && found.state !== 'live') {
        this.resultChars = Math.max(found.result.length + found.error.length, this.resultChars * (1 - DECAY));
        this.replies.settleKnown(entity, id, seq, found);
      }
    } catch {
      // The next sweep asks again: the callers still wait.
    }
    this.flying--;
    end();
    this.leave();
  }
}
