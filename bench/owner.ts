/** A node of workload `cluster` that owns entities. It runs in a process of its own and reports the counts of its handlers. */
import { startApp } from './sides/library.js';
import { Counts, Witness } from './witness.js';

export interface OwnerOptions {
  readonly redisPort: number;
  readonly idleTimeoutMs: number;
  readonly serverId: string;
  readonly address: string;
  readonly nodeTTLMs: number;
}

export type ToOwner = 'cpu' | 'close';

export type FromOwner =
  | { readonly kind: 'ready' }
  | { readonly kind: 'counted'; readonly counts: Counts }
  | { readonly kind: 'cpu'; readonly seconds: number };

/** Interval of the reports in ms. A report wakes the process whose calls are measured, so reports are rare. */
const TELL_EVERY_MS = 50;

const tell = (what: FromOwner): void => void process.send?.(what);

async function main({ redisPort, idleTimeoutMs, serverId, address, nodeTTLMs }: OwnerOptions): Promise<void> {
  // The parent has ended, so this process ends too.
  process.once('disconnect', () => process.exit(1));
  const witness = new Witness();
  const grpc = { enabled: true, listenAddress: address, advertisedAddress: address, nodeTTLMs };
  const app = await startApp({ redisPort, idleTimeoutMs, witness }, { serverId, grpc });
  let told: Counts = { ...witness.counts };
  setInterval(() => {
    const { done, disorder, repeats, overlap } = witness.counts;
    if (done === told.done) return;
    const counts = {
      done: done - told.done,
      disorder: disorder - told.disorder,
      repeats: repeats - told.repeats,
      overlap: overlap - told.overlap,
    };
    told = { ...witness.counts };
    tell({ kind: 'counted', counts });
  }, TELL_EVERY_MS);
  process.on('message', (what: ToOwner) => {
    if (what === 'close') void app.close().then(() => process.exit(0));
    else {
      const { user, system } = process.cpuUsage();
      tell({ kind: 'cpu', seconds: (user + system) / 1e6 });
    }
  });
  tell({ kind: 'ready' });
}

await main(JSON.parse(process.argv[2] ?? '{}') as OwnerOptions);
