import { AsyncResource } from 'node:async_hooks';

type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };
type Options = Parameters<AbortSignal['addEventListener']>[2];
type Guard = (event: Event) => void;

/**
 * The signal of one handler. A plain AbortSignal calls its listeners in the context of the code that aborts it, here a timer of
 * the library. A listener that throws there is an uncaught exception, which ends the process and with it every other handler.
 * This signal calls each listener in the async context in which it was added, and reports what a listener throws or rejects with.
 *
 * Signals derived from it (`AbortSignal.any`) are the runtime's: their listeners run in the handler's context, but what those
 * throw stays uncaught.
 */
export class HandlerSignal {
  readonly signal: AbortSignal;
  private readonly controller = new AbortController();
  private readonly context = new AsyncResource('AtomicQueuesSignal');
  private readonly guards = new WeakMap<object, Guard>();

  /** To be constructed in the handler's context. */
  constructor(private readonly onFault: (error: unknown) => void) {
    this.signal = this.controller.signal;
    this.guard(this.signal);
  }

  abort(reason: unknown): void {
    this.context.runInAsyncScope(() => this.controller.abort(reason));
  }

  private guard(signal: AbortSignal): void {
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    let onabort: AbortSignal['onabort'] = null;
    let called: Guard | undefined;
    const setOnabort = (listener: unknown): void => {
      if (called !== undefined) remove('abort', called);
      onabort = typeof listener === 'function' ? (listener as AbortSignal['onabort']) : null;
      // `onabort` has a guard function of its own, since the same listener may also be added.
      called = onabort === null ? undefined : this.guardOf((event: Event) => onabort?.call(signal, event));
      if (called !== undefined) add('abort', called);
    };
    const guarded = (listener: Listener): Listener => (isListener(listener) ? this.guardOf(listener) : listener);
    Object.defineProperties(signal, {
      addEventListener: { value: (type: string, listener: Listener, options?: Options) => add(type, guarded(listener), options) },
      removeEventListener: {
        value: (type: string, listener: Listener, options?: Options) => remove(type, guarded(listener), options),
      },
      onabort: { get: () => onabort, set: setOnabort },
    });
  }

  private guardOf(listener: Listener): Guard {
    const known = this.guards.get(listener);
    if (known !== undefined) return known;
    const context = new AsyncResource('AtomicQueuesAbort');
    const guard = (event: Event): void => context.runInAsyncScope(() => void this.call(listener, event));
    this.guards.set(listener, guard);
    return guard;
  }

  private async call(listener: Listener, event: Event): Promise<void> {
    try {
      await (typeof listener === 'function' ? listener.call(this.signal, event) : listener.handleEvent(event));
    } catch (error) {
      this.onFault(error);
    }
  }
}

const isListener = (listener: unknown): boolean =>
  typeof listener === 'function' || (typeof listener === 'object' && listener !== null);
