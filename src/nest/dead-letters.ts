import { AsyncResource } from 'node:async_hooks';
import type { DeadLetter } from '../core/dead-letter.js';
import { idOfKey, typeOfKey, unescapeId } from '../core/ids.js';
import { linesOfThrown } from '../core/recorded-error.js';
import { brandForCopies } from '../core/shared.js';
import type { TraceEvents } from '../ports/trace.js';
import type {
  DeadLetterBox,
  DeadLetterFilter,
  DeadLetterListOptions,
  DeadLetterPage,
  ReplayOptions,
  ReplayOutcome,
  ReplayRunOptions,
  RunOptions,
  RunResult,
} from '../runtime/dead-letters.js';

/** A message that became a dead letter. */
export interface DeadLetterEvent {
  readonly entityType: string;
  readonly entityId: string;
  readonly messageId: string;
  readonly name: string;
  readonly reason: DeadLetter['reason'];
}

/** A promise that it answers is not waited for; its rejection is logged. */
export type DeadLetterListener = (event: DeadLetterEvent) => unknown;

/** Who is told of dead letters, and what happens if one of them throws or rejects. */
export class DeadLetterListeners {
  readonly #listeners = new Set<DeadLetterListener>();
  readonly #onFault: (text: string) => void;

  constructor(onFault: (text: string) => void) {
    this.#onFault = onFault;
  }

  add(listener: DeadLetterListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell({ entity, id, name, reason }: TraceEvents['dead-letter']): void {
    const event = { entityType: typeOfKey(entity), entityId: idOfKey(entity), messageId: unescapeId(id), name, reason };
    for (const listener of this.#listeners) {
      // Whatever context it enters is its own.
      void new AsyncResource('AtomicQueuesListener').runInAsyncScope(() => this.#call(listener, event));
    }
  }

  async #call(listener: DeadLetterListener, event: DeadLetterEvent): Promise<void> {
    try {
      await listener(event);
    } catch (error) {
      this.#onFault(`a listener of onDeadLetter threw: ${linesOfThrown(error)}`);
    }
  }
}

/** What the service needs of the module. */
export interface DeadLetterHost {
  readonly deadLetterListeners: DeadLetterListeners;
  /** Throws SHUTTING_DOWN before the start and after the stop. */
  deadLetterBox(): DeadLetterBox;
}

/**
 * Messages that failed or were interrupted, of the whole `keyPrefix`. Every call rejects with SHUTTING_DOWN, STORE_UNAVAILABLE,
 * CONFIG_INVALID or INVALID_ENTITY_ID for a wrong argument; a replay or purge with STORE_LOST too, and with OUTCOME_UNKNOWN if its
 * answer was lost.
 */
export class DeadLetters {
  readonly #host: DeadLetterHost;

  /** @internal */
  constructor(host: DeadLetterHost) {
    this.#host = host;
  }

  /** A page, oldest first. */
  async list(options?: DeadLetterListOptions): Promise<DeadLetterPage> {
    return this.#host.deadLetterBox().list(options);
  }

  /** How many there are. */
  async count(): Promise<number> {
    return this.#host.deadLetterBox().count();
  }

  /** Undefined if there is none of that number. */
  async show(id: string): Promise<DeadLetter | undefined> {
    return this.#host.deadLetterBox().show(id);
  }

  /**
   * Logs its message again, at the end of its entity's queue and under another id; the message's `replayOf` and the letter's
   * `replayedAs` name each other. A second replay is refused. Where the handler returned late, a replay
   * needs `force`, since its effect may be there.
   */
  async replay(id: string, options?: ReplayOptions): Promise<ReplayOutcome> {
    return this.#host.deadLetterBox().replay(id, options);
  }

  /** Replays all that match, `{}` for all, and were not replayed yet. */
  async replayAll(filter: DeadLetterFilter, options?: ReplayRunOptions): Promise<RunResult> {
    return this.#host.deadLetterBox().replayAll(filter, options);
  }

  /** Deletes it for good. False if there is none of that number. */
  async purge(id: string): Promise<boolean> {
    return this.#host.deadLetterBox().purge(id);
  }

  /** Deletes all that match, `{}` for all, for good. */
  async purgeAll(filter: DeadLetterFilter, options?: RunOptions): Promise<RunResult> {
    return this.#host.deadLetterBox().purgeAll(filter, options);
  }

  /**
   * Tells `listener` of each message that this node made a dead letter, after the log has it; a node that dies first tells nobody.
   * Answers a function that ends it. May be called before the application has started.
   */
  onDeadLetter(listener: DeadLetterListener): () => void {
    return this.#host.deadLetterListeners.add(listener);
  }
}

brandForCopies(DeadLetters, 'dead-letter-service');
