/**
 * Drains the nodes of a process on SIGTERM and SIGINT if the application does not. Without Nest's `enableShutdownHooks()` no hook
 * runs at all, and a deploy would be a crash. One listener per signal serves the whole process, whatever the number of nodes in it.
 *
 * A node that drains refuses calls, and an application with an HTTP server may have to serve for a while after the signal. So if
 * something else listens, the node only reports that it is not ready, and drains when the application is closed. Some listeners
 * close nothing (they flush logs), so the wait has an end.
 */
import { outside } from './outside.js';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Signals so close together are one: a parent that passes Ctrl-C on (npm, a process manager) sends it beside the terminal, which sends
 * it to every process of the group. The time counts from the first signal, so that a person who keeps pressing is heard after it.
 */
const REPEAT_MS = 1000;

/** Distinguishes a repeat of a signal from a second signal. */
export class SignalRepeats {
  #firstMs = Number.NEGATIVE_INFINITY;

  /** The signal that begins something. */
  first(): void {
    this.#firstMs = performance.now();
  }

  /** Whether a signal of now is the one that began it. */
  get isRepeat(): boolean {
    return performance.now() - this.#firstMs < REPEAT_MS;
  }
}

type Signal = (typeof SIGNALS)[number];

/** What ends with the process. */
export interface Ending {
  /** ms that another listener of the signal has to close the application. */
  readonly patienceMs: number;
  /** Not ready from now on, and still at work. */
  becomeUnready(): void;
  /** The patience is over. The drain follows, and refuses calls. */
  late(): void;
  /** Idempotent. Resolves at its end: false if it had begun before this call. */
  drain(): Promise<boolean>;
}

const endings = new Set<Ending>();
/** What ends the wait for the application to be closed. */
const waits = new Map<Ending, () => void>();
const repeats = new SignalRepeats();
let isEnding = false;
/** How many listen, by signal, since the first signal or the last one of them went. */
const listening = new Map<Signal, number>();

function onSignal(signal: Signal): void {
  if (isEnding) {
    onFurtherSignal(signal);
    return;
  }
  isEnding = true;
  repeats.first();
  for (const each of SIGNALS) listening.set(each, countOf(each));
  const isAlone = !othersListen(signal);
  const all = [...endings].map((one) => (isAlone ? one.drain() : drainUnlessClosed(one)));
  void Promise.allSettled(all).then((ended) => {
    isEnding = false;
    endings.clear();
    unlisten();
    // A listener that closes its application may have more to do after it, and ends the process itself.
    const isEndedHere = ended.some((one) => one.status === 'rejected' || one.value);
    if (isAlone || isEndedHere) endUnlessOthersListen(signal);
  });
}

function onFurtherSignal(signal: Signal): void {
  if (isFromWhoEnded(signal)) {
    if (!othersListen(signal)) for (const endWait of waits.values()) endWait();
    return;
  }
  if (repeats.isRepeat) return;
  // A second signal ends the process without the drain, as Ctrl-C pressed twice asks for.
  unlisten();
  endUnlessOthersListen(signal);
}

/** Resolves with false if the application was closed in time. */
async function drainUnlessClosed(one: Ending): Promise<boolean> {
  one.becomeUnready();
  let timer: NodeJS.Timeout | undefined;
  const isLate = await new Promise<boolean>((resolve) => {
    waits.set(one, () => resolve(false));
    outside(() => {
      timer = setTimeout(() => resolve(true), one.patienceMs).unref();
    });
  });
  clearTimeout(timer);
  waits.delete(one);
  if (!endings.has(one)) return false;
  if (isLate) one.late();
  return one.drain();
}

/**
 * Whether the signal comes from this process: an application with Nest's shutdown hooks removes its listener when it has closed,
 * and then sends the signal again. That must not cut the drain of another application here.
 */
function isFromWhoEnded(signal: Signal): boolean {
  const before = listening.get(signal) ?? 0;
  const now = countOf(signal);
  listening.set(signal, now);
  return now < before;
}

/** Without those for once, which are gone after the first signal. */
const countOf = (signal: Signal): number => process.rawListeners(signal).filter((listener) => !('listener' in listener)).length;

/** Those for once too: the listener here is the first to be called, so they are still there. */
const othersListen = (signal: Signal): boolean => process.listenerCount(signal) > 1;

/** Ends the process by the signal, as Node does if the signal has no listener. Another listener decides for itself. */
function endUnlessOthersListen(signal: Signal): void {
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

const listeners = SIGNALS.map((signal) => ({ signal, listen: () => onSignal(signal) }));

function unlisten(): void {
  for (const { signal, listen } of listeners) process.removeListener(signal, listen);
}

/** Ends `one` on SIGTERM and SIGINT, until the returned function is called, which is when it has ended. */
export function onTermination(one: Ending): () => void {
  if (endings.size === 0) for (const { signal, listen } of listeners) process.prependListener(signal, listen);
  endings.add(one);
  return () => {
    if (endings.delete(one) && endings.size === 0) unlisten();
    waits.get(one)?.();
  };
}
