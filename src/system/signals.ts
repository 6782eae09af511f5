/**
 * What a process does on SIGTERM and SIGINT when nobody else cares: without Nest's `enableShutdownHooks()` no hook runs at all,
 * and a deploy would be a crash. One listener per signal for the whole process, whatever the number of nodes in it.
 */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Signals so close together are one: a parent that passes Ctrl-C on (npm, a process manager) sends it beside the terminal, which sends
 * it to every process of the group. Counted from the first, so that somebody who keeps pressing is heard after that.
 */
const REPEAT_MS = 1000;

/** Tells repeats of a signal from a second one. */
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
type Drain = () => Promise<void>;

const drains = new Set<Drain>();
const repeats = new SignalRepeats();
let isDraining = false;
/** How many listen, by signal, since the drain began or the last one of them went. */
const listening = new Map<Signal, number>();

function onSignal(signal: Signal): void {
  if (isDraining) {
    if (isFromWhoEnded(signal) || repeats.isRepeat) return;
    // The second one means it: whoever presses the key again wants no drain.
    unlisten();
    endUnlessOthersListen(signal);
    return;
  }
  isDraining = true;
  repeats.first();
  for (const each of SIGNALS) listening.set(each, countOf(each));
  void Promise.allSettled([...drains].map((drain) => drain())).then(() => {
    isDraining = false;
    drains.clear();
    unlisten();
    endUnlessOthersListen(signal);
  });
}

/**
 * Whether the signal comes from this process: an application with Nest's shutdown hooks removes its listener when it has closed,
 * and then sends the signal anew. That must not cut the drain of another application here.
 */
function isFromWhoEnded(signal: Signal): boolean {
  const before = listening.get(signal) ?? 0;
  const now = countOf(signal);
  listening.set(signal, now);
  return now < before;
}

/** Without those for once, which are gone after the first signal. */
const countOf = (signal: Signal): number => process.rawListeners(signal).filter((listener) => !('listener' in listener)).length;

/** Node ends a process by a signal only if nobody listens; who else listens decides alone. */
function endUnlessOthersListen(signal: Signal): void {
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

const listeners = SIGNALS.map((signal) => ({ signal, listen: () => onSignal(signal) }));

function unlisten(): void {
  for (const { signal, listen } of listeners) process.removeListener(signal, listen);
}

/** Runs `drain` (which must be idempotent) on SIGTERM and SIGINT, until the returned function is called. */
export function onTermination(drain: Drain): () => void {
  if (drains.size === 0) for (const { signal, listen } of listeners) process.on(signal, listen);
  drains.add(drain);
  return () => {
    if (drains.delete(drain) && drains.size === 0) unlisten();
  };
}
