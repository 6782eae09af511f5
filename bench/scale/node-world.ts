/**
 * Runs the nodes of one measurement: the runtime on either store, in one process. Measures what one item costs in Node and in
 * Redis.
 */
import { Redis } from 'ioredis';
import type { Store } from '../../src/ports/store.js';
import type { Trace, TraceEvents } from '../../src/ports/trace.js';
import type { BulkOutcome } from '../../src/runtime/enqueue.js';
import type { Node } from '../../src/runtime/node.js';
import { joinOf, redisStore, Session } from '../../test/redis/support.js';
import { FlakyStore } from '../../test/runtime/flaky-store.js';
import { type Handle, msg, node, until, type World, world } from '../../test/runtime/harness.js';
import { Meter, perMessage } from '../meter.js';

/** Microseconds of CPU for one item. */
export interface Cost {
  readonly node: number;
  /** 0 on the memory store, which is part of Node. */
  readonly redis: number;
}

const CHUNK = 1000;
/** Number of bulk calls in flight at once. */
const WINDOW = 4;
const WAIT_MS = 240_000;
const GROUP = 'default';

const CONFIG = {
  ...{ maxTotalWorkers: 0, maxTotalQueueDepth: 0, maxConcurrentHandlers: 0, shutdownGraceMs: 60_000 },
  ...{ enqueueTimeoutMs: 60_000, storeCallTimeoutMs: 10_000 },
  entities: { account: { workerIdleTimeout: 600_000, retry: { maxAttempts: 1 } } },
};

type Event<E extends keyof TraceEvents> = { readonly event: E; readonly data: TraceEvents[E] };

export class NodeWorld {
  readonly costs = new Map<string, Cost>();
  private readonly world: World;
  private readonly meter: Meter;
  private readonly nodes: Node[] = [];
  private readonly sessions: Store[] = [];
  private readonly listeners = new Set<(event: Event<keyof TraceEvents>) => void>();

  constructor(private readonly redisPort: number | undefined) {
    this.world = world();
    this.meter = new Meter(redisPort);
  }

  get clock(): World['clock'] {
    return this.world.clock;
  }

  /** Empties the store. */
  async open(): Promise<void> {
    if (this.redisPort === undefined) return;
    const admin = new Redis({ port: this.redisPort });
    await admin.flushall();
    admin.disconnect();
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((one) => one.stop()));
    await Promise.all(this.sessions.map((store) => store.close()));
    this.meter.close();
  }

  /** Returns a link to the store of this world. */
  async link(): Promise<Store> {
    if (this.redisPort === undefined) return this.world.store;
    const store = redisStore(this.redisPort, { storeCallTimeoutMs: CONFIG.storeCallTimeoutMs });
    await store.open();
    this.sessions.push(store);
    return store;
  }

  /** Starts a node. `store` replaces the usual link to the store. */
  async start(handle: Handle, more: NodeMore = {}): Promise<Node> {
    const { serverId, store = new FlakyStore(await this.link()), config = {}, grpc = {}, types = ['account'] } = more;
    const trace: Trace = {
      verbose: false,
      emit: (event, data) => {
        for (const listener of this.listeners) listener({ event, data } as Event<keyof TraceEvents>);
      },
    };
    const settings = { ...CONFIG, ...config, grpc: { ...grpc, ...(serverId !== undefined && { serverId }) } };
    const one = node({ ...this.world, store }, handle, settings, ['Do'], types, { trace });
    this.nodes.push(one);
    await one.start();
    return one;
  }

  /** Joins a member that runs nothing. With a short lease it is soon dead. */
  async member(serverId: string, leaseTtlMs: number): Promise<Session> {
    const store = await this.link();
    const op = joinOf('g1', { leaseTtlMs, entryTtlMs: 3_600_000, resultTtlMs: 3_600_000, leaderTtlMs: 1000 });
    const contracts = op.contracts.map((contract) => ({ ...contract, names: ['Do'] }));
    const joined = await store.control({ ...op, serverId, token: `t-${serverId}`, group: GROUP, contracts });
    if (!joined.ok) throw new Error(joined.code);
    return new Session(store, joined, `t-${serverId}`);
  }

  /** Resolves with the data of the next event of this name, from any node. Rejects after `WAIT_MS`. */
  next<E extends keyof TraceEvents>(event: E): Promise<TraceEvents[E]> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no event ${event} within ${WAIT_MS} ms`)), WAIT_MS);
      const listener = (seen: Event<keyof TraceEvents>): void => {
        if (seen.event !== event) return;
        clearTimeout(late);
        this.listeners.delete(listener);
        resolve(seen.data as TraceEvents[E]);
      };
      this.listeners.add(listener);
    });
  }

  /** Collects the garbage of earlier work, then measures `work` on this number of items. */
  async measure(name: string, items: number, work: () => Promise<unknown>): Promise<void> {
    globalThis.gc?.();
    await this.measureAtOnce(name, items, work);
  }

  /** Measures `work` without a garbage collection before it. */
  async measureAtOnce(name: string, items: number, work: () => Promise<unknown>): Promise<void> {
    const metered = await this.meter.measure(async () => void (await work()));
    const { nodeMicros, redisMicros } = perMessage(metered, items);
    this.costs.set(name, { node: nodeMicros, redis: redisMicros });
  }
}

export interface NodeMore {
  readonly serverId?: string;
  readonly store?: Store;
  readonly config?: Record<string, unknown>;
  readonly grpc?: Record<string, unknown>;
  readonly types?: readonly string[];
}

/** Sends one message to each of `count` entities, in bulk calls. Throws unless each is accepted. */
export async function send(to: Node, count: number, entityOf: (i: number) => string): Promise<void> {
  const flying = new Set<Promise<void>>();
  for (let from = 0; from < count; from += CHUNK) {
    const messages = Array.from({ length: Math.min(CHUNK, count - from) }, (_, i) => msg(entityOf(from + i)));
    if (flying.size >= WINDOW) await Promise.race(flying);
    const call = to.enqueueBulk(messages).then(accepted);
    const one = call.finally(() => flying.delete(one));
    flying.add(one);
  }
  await Promise.all(flying);
}

function accepted(outcomes: readonly BulkOutcome[]): void {
  for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
}

export const wait = (what: string, probe: () => boolean | Promise<boolean>): Promise<void> => until(what, probe, WAIT_MS);

/** Counts the handlers that ended, and holds those that start while it is closed. */
export class Gate {
  done = 0;
  isClosed = false;
  private held: (() => void)[] = [];

  get running(): number {
    return this.held.length;
  }

  readonly handle = (): unknown => {
    if (!this.isClosed) {
      this.done++;
      return 'ok';
    }
    return new Promise((resolve) => {
      this.held.push(() => {
        this.done++;
        resolve('ok');
      });
    });
  };

  /** Opens the gate and ends all handlers that it holds. */
  openAll(): void {
    this.isClosed = false;
    for (const go of this.held.splice(0)) go();
  }
}
