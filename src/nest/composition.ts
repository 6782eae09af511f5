/** The composition root: the only file that chooses the adapter for each port. */

import type { ResolvedConfig } from '../core/config/types.js';
import { resolveConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Contract, PublishedSchemas } from '../core/log/control-operations.js';
import { linesOfThrown, recordError } from '../core/recorded-error.js';
import { LoopbackHub, LoopbackNetwork } from '../memory/network.js';
import { MemoryStore } from '../memory/store.js';
import type { Clock } from '../ports/clock.js';
import type { HandlerPort } from '../ports/handler.js';
import type { HeartbeatSender } from '../ports/heartbeats.js';
import type { Network } from '../ports/network.js';
import type { Store } from '../ports/store.js';
import type { Trace, TraceEvents } from '../ports/trace.js';
import { DeadLetterBox } from '../runtime/dead-letters.js';
import { heartbeatEveryMs } from '../runtime/heartbeats.js';
import { Node, type NodeOptions } from '../runtime/node.js';
import { SystemClock } from '../system/clock.js';
import { KeepAlive } from '../system/keep-alive.js';
import { callOutside, StoreOutside } from '../system/outside.js';
import { exitOnLeaseLost, systemEnvironment } from '../system/process.js';
import { SystemRandom } from '../system/random.js';
import { type Ending, onTermination } from '../system/signals.js';
import { type EventLogger, LoggerTrace } from './logger-trace.js';

export interface Parts {
  readonly config: ResolvedConfig;
  readonly contracts: readonly Contract[];
  readonly schemas: readonly PublishedSchemas[];
  readonly handler: HandlerPort;
  readonly route: NodeOptions['route'];
  readonly logger: EventLogger;
  readonly onDeadLetter: (event: TraceEvents['dead-letter']) => void;
}

/** A running node. Keeps its process alive while it has work. */
export interface RunningNode {
  readonly node: Node;
  readonly deadLetters: DeadLetterBox;
  /** Keeps the process alive for the work that follows. Call it before each call to the node. */
  touch(): void;
  /** Drains and closes the node. SIGTERM and SIGINT call it too if the process has no other listener for them. Idempotent. */
  stop(): Promise<void>;
}

/** Resolves the config with the environment of this process. Throws CONFIG_INVALID with every fault. */
export const configOf = (given: unknown): ResolvedConfig => resolveConfig(given, systemEnvironment());

/**
 * Builds a node on the system clock, system randomness and the configured store, and starts it. Rejects as `Node.start` does.
 * If `stopping` is aborted, rejects with SHUTTING_DOWN after the node has released everything.
 */
export const startNode = (parts: Parts, stopping: AbortSignal): Promise<RunningNode> => callOutside(() => start(parts, stopping));

async function start(parts: Parts, stopping: AbortSignal): Promise<RunningNode> {
  const { config, contracts, schemas, handler, route, logger, onDeadLetter } = parts;
  const clock = new SystemClock();
  const trace = new LoggerTrace(logger, config.verbose, onDeadLetter);
  const store = new StoreOutside(await storeOf(config, clock));
  const network = await networkOf(config, clock, trace, logger);
  let running: Running | undefined;
  const stop = (): Promise<void> => running?.stop() ?? network.port.close();
  const onStop = (): void => void stop().catch(() => undefined);
  stopping.addEventListener('abort', onStop);
  try {
    refuseIf(stopping);
    // Open the network before any other resource: if the port is taken, no thread and no store connection exists yet.
    await network.open();
    refuseIf(stopping);
    const node = new Node({
      ...{ config, clock, store, handler, trace, contracts, schemas, route },
      random: new SystemRandom(),
      network: network.port,
      heartbeats: await heartbeatSenderOf(config, clock, logger),
      onClosed: (why) => {
        logger.error(`the node has closed: ${why.cause === undefined ? why.message : linesOfThrown(why)}`);
        if (why.code === 'FENCED' && config.onLeaseLost === 'exit') exitOnLeaseLost();
      },
    });
    const patienceMs = OTHERS_GRACES * config.shutdownGraceMs;
    const late = (): void => logger.warn(lateText(patienceMs));
    running = new Running(node, new DeadLetterBox(store, clock, () => node.admit()), patienceMs, late);
    refuseIf(stopping);
    await running.start();
    await network.ready();
    refuseIf(stopping);
    return running;
  } catch (error) {
    // A failed start closes the store and the heartbeat sender, a stop also closes the network. Close the network in both cases.
    if (stopping.aborted) await stop();
    await network.port.close();
    throw error;
  } finally {
    stopping.removeEventListener('abort', onStop);
  }
}

/** Throws SHUTTING_DOWN if `stopping` is aborted. */
function refuseIf(stopping: AbortSignal): void {
  if (stopping.aborted) throw new AtomicQueuesError('SHUTTING_DOWN', 'the application was shut down while it started');
}

/**
 * Number of `shutdownGraceMs` periods that another listener of a signal has to close the application. The drain may take one
 * more period. By default the sum is 30 s, after which Kubernetes kills the process.
 */
const OTHERS_GRACES = 2;

const lateText = (patienceMs: number): string =>
  `a signal to end came ${patienceMs} ms ago, and none of its listeners has called app.close(): the node drains now, and refuses calls`;

class Running implements RunningNode, Ending {
  #isChanging = false;
  #stopping: Promise<void> | undefined;
  readonly #keepAlive = new KeepAlive(() => this.#isBusy());
  #unlisten = (): void => {};

  constructor(
    readonly node: Node,
    readonly deadLetters: DeadLetterBox,
    readonly patienceMs: number,
    readonly late: () => void,
  ) {}

  touch(): void {
    this.#keepAlive.touch();
  }

  /** Rejects as `Node.start` does. */
  async start(): Promise<void> {
    this.#isChanging = true;
    this.touch();
    try {
      await this.node.start();
      this.#unlisten = onTermination(this);
    } catch (error) {
      // A stop in progress keeps the process alive until it ends.
      if (this.#stopping === undefined) this.#keepAlive.close();
      throw error;
    } finally {
      this.#isChanging = this.#stopping !== undefined;
    }
  }

  stop(): Promise<void> {
    this.node.refuseNew();
    this.#stopping ??= callOutside(() => this.#stop());
    return this.#stopping;
  }

  becomeUnready(): void {
    this.node.becomeUnready();
  }

  async drain(): Promise<boolean> {
    const isFirst = this.#stopping === undefined;
    await this.stop();
    return isFirst;
  }

  async #stop(): Promise<void> {
    this.#isChanging = true;
    this.touch();
    try {
      await this.node.stop();
    } finally {
      this.#unlisten();
      this.#keepAlive.close();
      this.#isChanging = false;
    }
  }

  #isBusy(): boolean {
    return this.#isChanging || this.node.isBusy;
  }
}

async function storeOf(config: ResolvedConfig, clock: Clock): Promise<Store> {
  const { redis, keyPrefix, storeCallTimeoutMs } = config;
  // Without the write-ahead log no data must outlive the process, so no data leaves the process either.
  if (redis === undefined || !config.wal.enabled) return new MemoryStore(clock);
  const { RedisStore } = await import('../redis/store.js').catch(explainMissing);
  return new RedisStore({ connection: redis, keyPrefix, storeCallTimeoutMs, clock });
}

/** Returns undefined if the main loop sends the heartbeats: without Redis, or if the heartbeat thread cannot be created. */
async function heartbeatSenderOf(
  config: ResolvedConfig,
  clock: Clock,
  logger: EventLogger,
): Promise<HeartbeatSender | undefined> {
  const { redis, keyPrefix, storeCallTimeoutMs, wal, timing } = config;
  if (redis === undefined || !wal.enabled) return undefined;
  const { HeartbeatThread } = await import('../redis/heartbeat-thread.js').catch(explainMissing);
  const { loopStallLimitMs, nodeTTLMs } = timing;
  const everyMs = heartbeatEveryMs(config);
  try {
    return new HeartbeatThread({ connection: redis, keyPrefix, storeCallTimeoutMs, everyMs, loopStallLimitMs, clock });
  } catch (error) {
    const why = recordError(error).message;
    logger.warn(
      `the lease has no thread of its own (${why}): a handler that blocks the loop for nearly nodeTTLMs (${nodeTTLMs}) loses it`,
    );
    return undefined;
  }
}

interface ReadyNetwork {
  readonly port: Network;
  /** Called before the node joins. Rejects with CONFIG_INVALID if the network cannot listen. */
  open(): Promise<unknown>;
  /** Resolves when replies can arrive, or after a short wait if they cannot: a lost reply costs a sweep, not the start. */
  ready(): Promise<unknown>;
}

const NETWORK_READY_WAIT_MS = 1000;
/** Node TTLs to wait for a port that the previous process may still hold. A join waits as long for the lease of that process. */
const PREDECESSOR_TTLS = 3;
/** Number of heartbeat intervals after which every membership snapshot contains a member that has just joined. */
const NEWCOMER_HEARTBEATS = 4;
const nothing = (): Promise<void> => Promise.resolve();

async function networkOf(config: ResolvedConfig, clock: Clock, trace: Trace, logger: EventLogger): Promise<ReadyNetwork> {
  const { redis, keyPrefix, storeCallTimeoutMs: callTimeoutMs } = config;
  if (redis === undefined || !config.wal.enabled)
    return { port: new LoopbackNetwork(new LoopbackHub(), clock), open: nothing, ready: nothing };
  const onFault = (error: unknown): void => trace.emit('loop-failed', { loop: 'network', error });
  if (config.grpc.enabled) return grpcNetworkOf(config, clock, onFault, logger);
  const { RedisNetwork } = await import('../redis/network.js').catch(explainMissing);
  const port = new RedisNetwork({ connection: redis, keyPrefix, callTimeoutMs, clock, onFault });
  return { port, open: nothing, ready: () => port.listening(NETWORK_READY_WAIT_MS) };
}

async function grpcNetworkOf(
  config: ResolvedConfig,
  clock: Clock,
  onFault: (error: unknown) => void,
  logger: EventLogger,
): Promise<ReadyNetwork> {
  const { grpc, health, deadlines, timing, limits } = config;
  const { serverId, serviceGroup, keyPrefix } = config;
  const onNotice = (text: string): void => logger.warn(text);
  const { GrpcNetwork } = await import('../grpc/network.js').catch(explainMissing);
  const port = new GrpcNetwork({
    ...{ ...grpc, serverId, serviceGroup, keyPrefix, clock, random: new SystemRandom(), onFault, onNotice },
    payloadBytesMax: limits.payloadBytesMax,
    messageTtlMs: deadlines.forwardMs,
    newcomerMs: NEWCOMER_HEARTBEATS * timing.heartbeatMs,
    connectivityWatchMs: deadlines.connectivityWatchMs,
    monitor: health.peerMonitorEnabled
      ? { debounceMs: health.peerSuspectDebounceMs, pingMs: deadlines.pingMs, silentMsMax: grpc.keepaliveTimeoutMs }
      : undefined,
  });
  const ready = async (): Promise<void> => {
    await port.listening(NETWORK_READY_WAIT_MS);
    // Not awaited: a wrong address breaks the links of peers to this node, but must not fail its start.
    void port.selfTest(deadlines.pingMs).then((fault) => fault !== undefined && onNotice(fault));
  };
  return { port, open: () => port.open(PREDECESSOR_TTLS * timing.nodeTTLMs), ready };
}

/** The config field that needs each optional package. A package is loaded only if the config needs it. */
const NEEDED_BY: Readonly<Record<string, string>> = { ioredis: "`store: 'redis'`", '@grpc/grpc-js': '`grpc.enabled`' };

function explainMissing(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  const name = isMissing ? Object.keys(NEEDED_BY).find((known) => message.includes(`'${known}'`)) : undefined;
  if (name === undefined) throw error;
  const text = `${NEEDED_BY[name]} needs the package ${name}, which is not installed: npm install ${name}`;
  throw new AtomicQueuesError('CONFIG_INVALID', text, { cause: error });
}
