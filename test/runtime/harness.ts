import { resolveConfig } from '../../src/core/config.js';
import type { Contract } from '../../src/core/log/control-operations.js';
import { LoopbackHub, LoopbackNetwork } from '../../src/memory/network.js';
import { MemoryStore } from '../../src/memory/store.js';
import type { Store } from '../../src/ports/store.js';
import type { TraceEvents } from '../../src/ports/trace.js';
import type { OutgoingMessage } from '../../src/runtime/enqueue.js';
import { Node, type NodeOptions } from '../../src/runtime/node.js';
import { SystemClock } from '../../src/system/clock.js';
import { SystemRandom } from '../../src/system/random.js';

export type Handle = (payload: unknown, name: string, entityId: string) => unknown;

export interface World {
  readonly clock: SystemClock;
  readonly hub: LoopbackHub;
  readonly store: Store;
  readonly events: { event: string; data: unknown }[];
}

/** A store and a network that nodes of one test share. */
export function world(store?: Store): World {
  const clock = new SystemClock();
  return { clock, hub: new LoopbackHub(), store: store ?? new MemoryStore(clock), events: [] };
}

export const NAMES = ['Do', 'Query', 'Send'] as const;

/** A node that handles its types with one function. Extra config goes to resolveConfig. */
export function node(
  w: World,
  handle: Handle,
  config: Record<string, unknown> = {},
  names: readonly string[] = NAMES,
  types: readonly string[] = ['account', 'other'],
  parts: Partial<NodeOptions> = {},
): Node {
  const resolved = resolveConfig(
    { store: 'memory', ...config },
    { nodeEnv: 'test', hostname: 'test', generateServerId: () => `n-${Math.random().toString(36).slice(2)}` },
  );
  const contracts: Contract[] = types.map((type) => {
    const { retry, onInterrupt, workerMaxQueueDepth: depthMax } = resolved.entitySettings(type);
    return { type, maxAttempts: retry.maxAttempts, onInterrupt, names, depthMax };
  });
  return new Node({
    config: resolved,
    clock: w.clock,
    random: new SystemRandom(),
    store: w.store,
    network: new LoopbackNetwork(w.hub, w.clock),
    handler: {
      run: async ({ payload, name, entityId }) => {
        const result = await handle(JSON.parse(payload), name, entityId);
        return result === undefined ? '' : JSON.stringify(result);
      },
    },
    trace: {
      verbose: true,
      emit: (event: keyof TraceEvents, data: unknown) => w.events.push({ event, data }),
    },
    contracts,
    route: (message) => message as OutgoingMessage,
    ...parts,
  });
}

export const msg = (entityId: string, payload: unknown = {}, more: Partial<OutgoingMessage> = {}): OutgoingMessage => ({
  type: 'account',
  entityId,
  name: 'Do',
  payload: JSON.stringify(payload),
  ...more,
});

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what: string, probe: () => boolean | Promise<boolean>, timeoutMs = 5000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await probe())) {
    if (performance.now() > end) throw new Error(`timed out waiting until ${what}`);
    await sleep(5);
  }
}
