import { Logger } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import type { AsyncContext } from '@nestjs/cqrs';
import { publish } from '../core/catalog.js';
import { nearestName } from '../core/config/nearest.js';
import type { ResolvedConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Contract } from '../core/log/control-operations.js';
import { EntityContext } from '../runtime/context.js';
import type { DeadLetterBox } from '../runtime/dead-letters.js';
import type { Node } from '../runtime/node.js';
import { type NodeStatus, statusWithoutNode } from '../runtime/status.js';
import type { EnqueueAndWaitOptions } from './bus-types.js';
import { configOf, type RunningNode, startNode } from './composition.js';
import { noticeOfCopies } from './copies.js';
import { type DeadLetterHost, DeadLetterListeners, DeadLetters } from './dead-letters.js';
import { guardDirectExecution } from './direct-execution.js';
import { type Explored, explore } from './explorer.js';
import { BusHandlers } from './handler-port.js';
import { rethrowHttpException } from './http-exceptions.js';
import type { Catalog } from './introspection.js';
import { faultless } from './logger-trace.js';
import { OutgoingMessages } from './outgoing.js';
import { QueueBus } from './queue-bus.js';
import { MessageRegistry } from './registry.js';
import { type BusHost, Sender } from './sender.js';

/**
 * Coordinates the library in one application. Nest's hooks call `explore`, `start` and `stop`. `explore` runs before every
 * bootstrap hook, so that no entity message can run outside its entity's worker.
 */
export class AtomicQueuesHost implements BusHost, DeadLetterHost {
  readonly bus: QueueBus;
  readonly deadLetters = new DeadLetters(this);
  readonly deadLetterListeners = new DeadLetterListeners((text) => this.#logger.error(text));
  readonly #config: ResolvedConfig;
  readonly #discovery: DiscoveryService;
  readonly #logger = faultless(new Logger('AtomicQueues'));
  #explored: Explored | undefined;
  #outgoing: OutgoingMessages | undefined;
  #running: RunningNode | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #abortStart = new AbortController();

  /** Throws CONFIG_INVALID with every fault of `config`. */
  constructor(config: unknown, discovery: DiscoveryService) {
    if (config === undefined) throw new AtomicQueuesError('CONFIG_INVALID', 'the config is undefined; allowed: an object');
    this.#config = configOf(config);
    this.#discovery = discovery;
    this.bus = new QueueBus(this);
  }

  get registry(): MessageRegistry {
    return this.#explored?.registry ?? NOTHING_YET;
  }

  get outgoing(): OutgoingMessages {
    this.#outgoing ??= new OutgoingMessages(this.registry, this.#config);
    return this.#outgoing;
  }

  get catalog(): Catalog {
    const { registry } = this;
    const node = this.#running?.node;
    if (node === undefined) return registry;
    return {
      types: () => node.directory.types(),
      namesOf: (type) => node.directory.namesOf(type),
      shapeOf: (type, name) => registry.shapeOf(type, name) ?? node.shapes.shapeOf(type, name),
    };
  }

  status(): NodeStatus {
    if (this.#running !== undefined) return this.#running.node.status();
    const state = this.#stopping !== undefined ? 'stopped' : this.#starting !== undefined ? 'starting' : 'new';
    return statusWithoutNode(state, this.#config.serverId, this.#config.serviceGroup);
  }

  node(): Node {
    return this.#runs().node;
  }

  deadLetterBox(): DeadLetterBox {
    return this.#runs().deadLetters;
  }

  #runs(): RunningNode {
    const running = this.#running;
    if (running === undefined) {
      const [text, advice] = this.#stopping === undefined ? NOT_STARTED : [SHUT_DOWN, ''];
      throw new AtomicQueuesError('SHUTTING_DOWN', `${text}: nothing was logged${advice}`);
    }
    running.touch();
    return running;
  }

  /** Finds the handlers and guards the buses. Throws CONFIG_INVALID with every fault. */
  explore(): void {
    this.#explored = explore(this.#discovery, this.#config);
    this.#outgoing = new OutgoingMessages(this.#explored.registry, this.#config);
    const { rethrowHttpExceptions } = this.#config;
    const sender = new Sender(this);
    // `execute` of a bus takes no headers, so these calls carry the headers of the handler that makes them.
    const send = (message: object, options: EnqueueAndWaitOptions, context?: AsyncContext): Promise<unknown> =>
      sender.askObject(message, { ...options, headers: EntityContext.headersToPassOn() }, undefined, context);
    const route = (message: object, context?: AsyncContext): Promise<unknown> => {
      const asked = send(message, {}, context);
      return rethrowHttpExceptions ? asked.catch(rethrowHttpException) : asked;
    };
    const sendForSaga = (message: object, context?: AsyncContext): Promise<unknown> =>
      EntityContext.unchained(() => send(message, { onTimeout: 'keep' }, context));
    guardDirectExecution(this.#explored.buses, this.#config.directExecution, route, sendForSaga);
  }

  /**
   * Starts the node. Rejects with STORE_UNAVAILABLE, CONFIG_INVALID, STORE_LOST. Rejects with SHUTTING_DOWN after a `stop`, or if
   * a `stop` ends this start.
   */
  start(): Promise<void> {
    // Nest closes some kinds of application without waiting for their `init`, which then continues.
    if (this.#stopping !== undefined) return Promise.reject(new AtomicQueuesError('SHUTTING_DOWN', SHUT_DOWN));
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { registry, outgoing } = this;
    for (const notice of [...this.#config.notices, ...(this.#explored?.notices ?? []), noticeOfCopies()])
      if (notice !== undefined) this.#logger.warn(notice);
    const published = registry.types().map((type) => publish(type, registry.shapesOf(type)));
    this.#running = await startNode(
      {
        config: this.#config,
        contracts: published.map(({ type, version }) => this.#contractOf(type, version)),
        schemas: published.map(({ type, text }) => ({ type, text })),
        handler: new BusHandlers(registry, this.#config, (text) => this.#logger.error(text)),
        route: (message, headers) => outgoing.ofSend(message, headers),
        logger: this.#logger,
        onDeadLetter: (event) => this.deadLetterListeners.tell(event),
      },
      this.#abortStart.signal,
    );
    this.#logger.log(this.#summary());
    this.#warnOfTypesThatNobodyHandles();
  }

  #warnOfTypesThatNobodyHandles(): void {
    const known = this.catalog.types();
    for (const type of this.#config.configuredTypes.filter((one) => !known.includes(one))) {
      const nearest = nearestName(type, known);
      const meant = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
      this.#logger.warn(`entities.${type}: nobody here handles this entity type, and no live service does${meant}`);
    }
  }

  /** Drains the node, and ends a start in progress. Resolves when the node has released everything. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#abortStart.abort();
    // A start that was aborted or failed has released everything itself.
    await this.#starting?.catch(() => undefined);
    await this.#running?.stop();
    this.#running = undefined;
  }

  #contractOf(type: string, version: string): Contract {
    const { retry, onInterrupt, workerMaxQueueDepth: depthMax } = this.#config.entitySettings(type);
    const [names, queries] = [this.registry.namesOf(type), this.registry.queriesOf(type)];
    return { type, maxAttempts: retry.maxAttempts, onInterrupt, names, queries, depthMax, version };
  }

  #summary(): string {
    const types = [...this.registry.types()].sort();
    const names = types.map((type) => [...this.registry.namesOf(type)].sort());
    const messages = names.reduce((count, { length }) => count + length, 0);
    const lines = types.map((type, i) => `${type}: ${names[i]?.join(', ')}`);
    const what = types.length === 0 ? 'no entity messages are handled here' : lines.join('; ');
    return `started: ${types.length} entity types, ${messages} messages, store ${this.#config.store}, server ${this.#config.serverId} (${what})`;
  }
}

const NOT_STARTED = [
  'the application has not started yet',
  '; send when every onApplicationBootstrap hook has ended, which is when app.init() or app.listen() has resolved',
] as const;
const SHUT_DOWN = 'the application has been shut down';
const NOTHING_YET = new MessageRegistry();
