/** The composition root: the only file that knows which adapter stands behind which port. */

import type { ResolvedConfig } from '../core/config/types.js';
import { resolveConfig } from '../core/config.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Contract } from '../core/log/control-operations.js';
import { LoopbackHub, LoopbackNetwork } from '../memory/network.js';
import { MemoryStore } from '../memory/store.js';
import type { Clock } from '../ports/clock.js';
import type { HandlerPort } from '../ports/handler.js';
import type { Network } from '../ports/network.js';
import type { Pulse } from '../ports/pulse.js';
import type { Store } from '../ports/store.js';
import type { Trace } from '../ports/trace.js';
import { Node, type NodeOptions, pulseEveryMs } from '../runtime/node.js';
import { SystemClock } from '../system/clock.js';
import { KeepAlive } from '../system/keep-alive.js';
import { exitOnLeaseLost, systemEnvironment } from '../system/process.js';
import { SystemRandom } from '../system/random.js';
import { onTermination } from '../system/signals.js';
import { type EventLogger, LoggerTrace } from './logger-trace.js';

export interface Parts {
  readonly config: ResolvedConfig;
  readonly contracts: readonly Contract[];
  readonly handler: HandlerPort;
  readonly route: NodeOptions['route'];
  readonly logger: EventLogger;
}

/** A node that runs, and holds its process while it works. */
export interface RunningNode {
  readonly node: Node;
  /** To be called when something is asked of the node. */
  touch(): void;
  /** Drains and closes; also what SIGTERM and SIGINT do. Idempotent. */
  stop(): Promise<void>;
}

/** Throws CONFIG_INVALID with every fault. */
export const configOf = (given: unknown): ResolvedConfig => resolveConfig(given, systemEnvironment());

/** Builds a node on the machine's clock, randomness and the configured store, and starts it. Rejects as `Node.start` does. */
export async function startNode(parts: Parts): Promise<RunningNode> {
  const { config, contracts, handler, route, logger } = parts;
  const clock = new SystemClock();
  const trace = new LoggerTrace(logger, config.verbose);
  const network = await networkOf(config, clock, trace);
  const node = new Node({
    config,
    clock,
    random: new SystemRandom(),
    store: await storeOf(config, clock),
    network: network.port,
    pulse: await pulseOf(config, clock, logger),
    handler,
    trace,
    contracts,
    route,
    onClosed: (why) => {
      logger.error(`the node has closed: ${why.message}`);
      if (why.code === 'FENCED' && config.onLeaseLost === 'exit') exitOnLeaseLost();
    },
  });
  const running = await Running.start(node);
  await network.ready();
  return running;
}

class Running implements RunningNode {
  #isChanging = false;
  #stopping: Promise<void> | undefined;
  readonly #keepAlive = new KeepAlive(() => this.#isBusy());
  #unlisten = (): void => {};

  static async start(node: Node): Promise<Running> {
    const running = new Running(node);
    await running.#start();
    return running;
  }

  private constructor(readonly node: Node) {}

  touch(): void {
    this.#keepAlive.touch();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    this.#isChanging = true;
    this.touch();
    try {
      await this.node.start();
      this.#unlisten = onTermination(() => this.stop());
    } catch (error) {
      this.#keepAlive.close();
      throw error;
    } finally {
      this.#isChanging = false;
    }
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
  const { BeatThread } = await import('../redis/beat-thread.js').catch(explainMissing);
  const { loopStallLimitMs, nodeTTLMs } = timing;
  const everyMs = pulseEveryMs(config);
  try {
    return new BeatThread({ connection: redis, keyPrefix, storeCallTimeoutMs, everyMs, loopStallLimitMs, clock });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    logger.warn(
      `the lease has no thread of its own (${why}): a handler that blocks the loop for nearly nodeTTLMs (${nodeTTLMs}) loses it`,
    );
    return undefined;
  }
}

interface ReadyNetwork {
  readonly port: Network;
  /** Resolves when replies are heard, or soon after if they are not: a lost reply costs a sweep, not the start. */
  ready(): Promise<unknown>;
}

const NETWORK_READY_WAIT_MS = 1000;

async function networkOf(config: ResolvedConfig, clock: Clock, trace: Trace): Promise<ReadyNetwork> {
  const { redis, keyPrefix, storeCallTimeoutMs: callTimeoutMs } = config;
  if (redis === undefined || !config.wal.enabled || config.grpc.enabled)
    return { port: new LoopbackNetwork(new LoopbackHub(), clock), ready: () => Promise.resolve() };
  const { RedisNetwork } = await import('../redis/network.js').catch(explainMissing);
  const onFault = (error: unknown): void => trace.emit('loop-failed', { loop: 'network', error });
  const port = new RedisNetwork({ connection: redis, keyPrefix, callTimeoutMs, clock, onFault });
  return { port, ready: () => port.listening(NETWORK_READY_WAIT_MS) };
}

function explainMissing(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  const isMissing = (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && message.includes('ioredis');
  if (!isMissing) throw error;
  throw new AtomicQueuesError(
    'CONFIG_INVALID',
    "`store: 'redis'` needs the package ioredis, which is not installed: npm install ioredis",
    {
      cause: error,
    },
  );
}
