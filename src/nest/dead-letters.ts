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

/** A returned promise is not awaited. Its rejection is logged. */
export type DeadLetterListener = (event: DeadLetterEvent) => unknown;

/** Calls the listeners of dead letters. A listener that throws or rejects is reported to `onFault`. */
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
      // Each call is a separate async resource: a context that one listener enters must not reach the next.
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

/** The part of the module that `DeadLetters` uses. */
export interface DeadLetterHost {
  readonly deadLetterListeners: DeadLetterListeners;
  /** Throws SHUTTING_DOWN before the start and after the stop. */
  deadLetterBox(): DeadLetterBox;
}

/**
 * Lists, replays and purges the dead letters of the whole `keyPrefix`: messages that failed or were interrupted. Every call may
 * reject with SHUTTING_DOWN, STORE_UNAVAILABLE, and for a wrong argument CONFIG_INVALID or INVALID_ENTITY_ID. A replay or purge
 * may also reject with STORE_LOST, and with OUTCOME_UNKNOWN if the store's reply was lost.
 */
export class DeadLetters {
  readonly #host: DeadLetterHost;

  /** @internal */
  constructor(host: DeadLetterHost) {
    this.#host = host;
  }

  /** Returns one page, oldest first. */
  async list(options?: DeadLetterListOptions): Promise<DeadLetterPage> {
    return this.#host.deadLetterBox().list(options);
  }

  /** Returns the number of dead letters. */
  async count(): Promise<number> {
    return this.#host.deadLetterBox().count();
  }

  /** Returns the dead letter with this number, or undefined. */
  async show(id: string): Promise<DeadLetter | undefined> {
    return this.#host.deadLetterBox().show(id);
  }

  /**
   * Logs the message of a dead letter again, at the end of its entity's queue and under a new id. The new message's `replayOf`
   * and the dead letter's `replayedAs` refer to each other. Refuses a second replay. Needs `force` if the handler returned late,
   * since its effect may exist already.
   */
  async replay(id: string, options?: ReplayOptions): Promise<ReplayOutcome> {
    return this.#host.deadLetterBox().replay(id, options);
  }

  /** Replays all dead letters that match and were not replayed yet. `{}` matches all. */
  async replayAll(filter: DeadLetterFilter, options?: ReplayRunOptions): Promise<RunResult> {
    return this.#host.deadLetterBox().replayAll(filter, options);
  }

  /** Deletes a dead letter permanently. Returns false if no dead letter has this number. */
  async purge(id: string): Promise<boolean> {
    return this.#host.deadLetterBox().purge(id);
  }

  /** Deletes all dead letters that match permanently. `{}` matches all. */
  async purgeAll(filter: DeadLetterFilter, options?: RunOptions): Promise<RunResult> {
    return this.#host.deadLetterBox().purgeAll(filter, options);
  }

  /**
   * Calls `listener` for each message that this node made a dead letter, after the log has recorded it. If the node dies in
   * between, no listener is called. Returns a function that removes the listener. May be called before the application starts.
   */
  onDeadLetter(listener: DeadLetterListener): () => void {
    return this.#host.deadLetterListeners.add(listener);
  }
}

brandForCopies(DeadLetters, 'dead-letter-service');
