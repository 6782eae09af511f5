/**
 * Runs the library's own work outside of every caller's async context.
 *
 * A timer, a socket or a promise reaction belongs to the async context in which it was created (AsyncLocalStorage). What one
 * caller creates here serves other callers too: the timer of a batch carries the messages of all callers, and a connection lives
 * for hours. Created in the call itself, it would run handlers in the context of the first caller.
 *
 * So the call creates nothing. It resolves a promise whose reaction was registered when this file was loaded, and the reaction,
 * which belongs to no caller, creates the timer. `AsyncLocalStorage.snapshot()` would do for AsyncLocalStorage, but not for
 * libraries that track contexts by `async_hooks` (cls-hooked, which typeorm-transactional and Sequelize use): for those, whatever
 * is created below a caller on the stack is that caller's.
 */
import type { ControlAnswerOf, ControlOp } from '../core/log/control-operations.js';
import type { Batch, BatchReply } from '../core/log/operations.js';
import type { Store } from '../ports/store.js';

let waiting: (() => void)[] = [];
let deferred: (() => void)[] = [];
let wake: () => void;

function arm(): void {
  new Promise<void>((resolve) => {
    wake = resolve;
  }).then(turn);
}

function turn(): void {
  arm();
  if (deferred.length > 0) {
    for (const run of deferred) setImmediate(run);
    deferred = [];
  }
  if (waiting.length === 0) return;
  const runs = waiting;
  waiting = [];
  for (const run of runs) run();
}

arm();

/** Calls `run` in a microtask of its own, before time passes. `run` must not throw. */
export function outside(run: () => void): void {
  if (waiting.push(run) === 1 && deferred.length === 0) wake();
}

/** Calls `run` after a turn of the event loop. */
export function deferOutside(run: () => void): void {
  if (deferred.push(run) === 1 && waiting.length === 0) wake();
}

/** Calls `run` likewise, and settles as what it returns. */
export function callOutside<T>(run: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    outside(() => {
      try {
        run().then(resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** A store whose control operations callers may start. The others need no detour: they start from a timer of the clock. */
export class StoreOutside implements Store {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  apply(batch: Batch, patience?: number): Promise<BatchReply> {
    return this.#store.apply(batch, patience);
  }

  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    return callOutside(() => this.#store.control(op));
  }

  onReplaced(listener: (why: string) => void): void {
    this.#store.onReplaced(listener);
  }

  open(): Promise<void> {
    return this.#store.open();
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
