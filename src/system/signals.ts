/**
 * What a process does on SIGTERM and SIGINT when nobody else cares: without Nest's `enableShutdownHooks()` no hook runs at all,
 * and a deploy would be a crash. One listener per signal for the whole process, whatever the number of nodes in it.
 */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

type Signal = (typeof SIGNALS)[number];
type Drain = () => Promise<void>;

const drains = new Set<Drain>();
let isDraining = false;

function onSignal(signal: Signal): void {
  if (isDraining) {
    // The second one means it: whoever pressed the key twice wants no drain.
    unlisten();
    endUnlessOthersListen(signal);
    return;
  }
  isDraining = true;
  void Promise.allSettled([...drains].map((drain) => drain())).then(() => {
    isDraining = false;
    drains.clear();
    unlisten();
    endUnlessOthersListen(signal);
  });
}

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
