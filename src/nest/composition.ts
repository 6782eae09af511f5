/** The composition root: the only file that knows which adapter stands behind which port. */

import type { ResolvedConfig } from '../core/config/types.js';
import { resolveConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Contract, PublishedSchemas } from '../core/log/control-operations.js';
import { linesOfThrown, recordError } from '../core/recorded-error.js';
import { LoopbackHub, LoopbackNetwork } from '../memory/network.js';
import { MemoryStore } from '../memory/store.js';
import type { Clock } from '../ports/clock.js';
import type { HandlerPort } from '../ports/handler.js';
import type { Pulse } from '../ports/heartbeats.js';
import type { Network } from '../ports/network.js';
import type { Store } from '../ports/store.js';
import type { Trace, TraceEvents } from '../ports/trace.js';
import { DeadLetterBox } from '../runtime/dead-letters.js';
import { pulseEveryMs } from '../runtime/heartbeats.js';
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

/** A node that runs, and holds its process while it works. */
export interface RunningNode {
  readonly node: Node;
  readonly deadLetters: DeadLetterBox;
  /** To be called when something is asked of the node. */
  touch(): void;
  /** Drains and closes; also what SIGTERM and SIGINT do if nothing else listens to them. Idempotent. */
  stop(): Promise<void>;
}

/** Throws CONFIG_INVALID with every fault. */
export const configOf = (given: unknown): ResolvedConfig => resolveConfig(given, systemEnvironment());

/**
 * Builds a node on the machine's clock, randomness and the configured store, and starts it. Rejects as `Node.start` does; with
 * SHUTTING_DOWN once `stopping` is aborted, when nothing of the node is left.
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
    // First of all that holds something: where the port is taken, no thread and no connection is there yet.
    await network.open();
    refuseIf(stopping);
    const node = new Node({
      ...{ config, clock, store, handler, trace, contracts, schemas, route },
      random: new SystemRandom(),
      network: network.port,
      pulse: await pulseOf(config, clock, logger),
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
    // A node whose start fails closes its store and its pulse; one that is stopped closes its network, too.
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
 * Grace periods that another listener of a signal has to close the application. The drain may take one more: by default 30 s in
 * all, after which Kubernetes kills.
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
      // A stop that is under way holds the process until its own end.
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
  // Without the write-ahead log nothing is to outlive the process, so nothing is to leave it either.
  if (redis === undefined || !config.wal.enabled) return new MemoryStore(clock);
  const { RedisStore } = await import('../redis/store.js').catch(explainMissing);
  return new RedisStore({ connection: redis, keyPrefix, storeCallTimeoutMs, clock });
}

/** Undefined where the beats leave from the main loop. */
async function pulseOf(config: ResolvedConfig, clock: Clock, logger: EventLogger): Promise<Pulse | undefined> {
  const { redis, keyPrefix, storeCallTimeoutMs, wal, timing } = config;
  if (redis === undefined || !wal.enabled) return undefined;
  const { BeatThread } = await import('../redis/heartbeat-thread.js').catch(explainMissing);
  const { loopStallLimitMs, nodeTTLMs } = timing;
  const everyMs = pulseEveryMs(config);
  try {
    return new BeatThread({ connection: redis, keyPrefix, storeCallTimeoutMs, everyMs, loopStallLimitMs, clock });
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
  /** Before the node joins: rejects with CONFIG_INVALID if it cannot listen. */
  open(): Promise<unknown>;
  /** Resolves when replies are heard, or soon after if they are not: a lost reply costs a sweep, not the start. */
  ready(): Promise<unknown>;
}

const NETWORK_READY_WAIT_MS = 1000;
/** How long a port is waited for that the process before may still have: as long as a join waits for its lease. */
const PREDECESSOR_TTLS = 3;
/** Of heartbeats, after which every reading of the members names a newcomer. */
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
    // Nobody waits for it: a wrong address costs peers their links, not this node its start.
    void port.selfTest(deadlines.pingMs).then((fault) => fault !== undefined && onNotice(fault));
  };
  return { port, open: () => port.open(PREDECESSOR_TTLS * timing.nodeTTLMs), ready };
}

/** What a missing package is for; it is loaded only where the config asks for it. */
const NEEDED_BY: Readonly<Record<string, string>> = { ioredis: "`store: 'redis'`", '@grpc/grpc-js': '`grpc.enabled`' };

function explainMissing(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  const name = isMissing ? Object.keys(NEEDED_BY).find((known) => message.includes(`'${known}'`)) : undefined;
  if (name === undefined) throw error;
  const text = `${NEEDED_BY[name]} needs the package ${name}, which is not installed: npm install ${name}`;
  throw new AtomicQueuesError('CONFIG_INVALID', text, { cause: error });
}
