/** The process of one node: a Nest application with the library, the workload's handlers and its clients. A driver starts it. */
import 'reflect-metadata';
import dns from 'node:dns';
import { connect } from 'node:net';
import { INestApplicationContext, LoggerService, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesConfig, AtomicQueuesError, AtomicQueuesModule, EntityContext, QueueBus, QueueHealth } from 'atomic-queues';
import { configOf } from '../sim/plan.js';
import { hostMs } from './clock.js';
import { FencedHandler, messageOf, PlainHandler, RetriedHandler } from './messages.js';
import { Performer, Surroundings } from './performer.js';
import { RecordedEvent, Recorder } from './record.js';
import { BankAnswer, FromNode, Lines, NodeOptions, NodeStatus, placeNameOf, Send, Told, ToNode } from './wire.js';

@Module({})
class ChaosApp {}

/**
 * Slack in ms on top of the timeouts that the config promises: timers of a busy machine fire late, and the runtime's own have a
 * coarse resolution.
 */
const SLACK_MS = 1500;
/**
 * Timeout in ms of a call from a handler to another entity. It ends a deadlock of two handlers that call each other. Until then
 * the messages behind them count as not recovered.
 */
const ASK_TIMEOUT_MS = 1000;
const HOST = Symbol.for('atomic-queues:host');

/** Maps an event of the library's log to the node state that the history records. */
const STATES = {
  joined: 'joined',
  suspended: 'suspended',
  resumed: 'resumed',
  'lease-lost': 'lease-lost',
  'store-lost': 'store-lost',
  degraded: 'degraded',
  recovered: 'recovered',
} as const;

class ChaosNode {
  private readonly recorder: Recorder;
  private readonly lines: Lines<ToNode, FromNode>;
  private readonly asked = new Map<number, (answer: BankAnswer) => void>();
  private asks = 0;
  private incarnation = 0;
  private app: INestApplicationContext | undefined;

  constructor(private readonly options: NodeOptions) {
    const { recordPath, originMs, control, name, run } = options;
    this.recorder = new Recorder(recordPath, originMs);
    const socket = connect(control.port, control.host);
    // When the harness ends, its nodes end too.
    socket.on('error', () => process.exit(1)).on('close', () => process.exit(1));
    this.lines = new Lines(socket, (message) => this.heard(message));
    this.lines.send({ kind: 'hello', name, run });
  }

  record(event: Record<string, unknown> & { kind: RecordedEvent['kind'] }): void {
    this.recorder.add({ node: this.options.name, incarnation: this.incarnation, ...event } as RecordedEvent);
  }

  async start(): Promise<void> {
    this.record({ kind: 'node', state: 'starting' });
    const around: Surroundings = {
      node: this.options.name,
      incarnation: () => this.incarnation,
      record: (event) => this.recorder.add(event),
      bank: (ask) => {
        const n = ++this.asks;
        this.lines.send({ kind: 'ask', n, ask });
        return new Promise((resolve) => this.asked.set(n, resolve));
      },
      send: (context: EntityContext, target) => void context.enqueue(messageOf(target)),
      ask: (target) => this.bus.enqueueAndWait(messageOf(target), { timeoutMs: ASK_TIMEOUT_MS }),
    };
    this.app = await NestFactory.createApplicationContext(
      {
        module: ChaosApp,
        imports: [AtomicQueuesModule.forRoot(this.config())],
        providers: [{ provide: Performer, useValue: new Performer(around) }, PlainHandler, FencedHandler, RetriedHandler],
      },
      { logger: this.logger(), abortOnError: false },
    );
    this.lines.send({ kind: 'ready' });
  }

  private config(): AtomicQueuesConfig {
    const { settings, serverId, redisUrl, keyPrefix, grpc } = this.options;
    const { store: _, grpc: timing, ...rest } = configOf(settings, serverId, 'default');
    const network = grpc === undefined ? {} : { enabled: true, listenAddress: grpc.listen, advertisedAddress: grpc.advertise };
    return {
      ...rest,
      redis: { url: redisUrl },
      keyPrefix,
      verbose: true,
      grpc: { ...(timing as object), ...network, peerMonitorEnabled: true },
    };
  }

  private logger(): LoggerService {
    const take = (message: unknown): void => this.logged(String(message));
    return { log: take, warn: take, error: take, debug: take, verbose: take };
  }

  private logged(text: string): void {
    const event = /^[a-z-]+/.exec(text)?.[0] ?? '';
    const field = (name: string): string => new RegExp(` ${name}=(.*?)(?= [a-zA-Z]+=|$)`, 's').exec(text)?.[1] ?? '';
    if (event === 'joined') this.incarnation = Number(field('incarnation'));
    if (event in STATES) {
      const why = field('why');
      this.record({ kind: 'node', state: STATES[event as keyof typeof STATES], ...(why === '' ? {} : { why }) });
    } else if (event === 'commanded' && field('accepted') === 'true')
      this.record({ kind: 'epoch', group: 'default', epoch: Number(field('epoch')), what: 'accept' });
    else if (event === 'blocked') this.record({ kind: 'blocked', entity: field('entity') });
    else if (event === 'dead-letter') this.record({ kind: 'reported', event, entity: field('entity'), id: field('id') });
    else if (text.startsWith('the node has closed')) this.record({ kind: 'node', state: 'closed', why: text });
    else if (event === 'loop-failed') this.record({ kind: 'defect', what: `a loop of the runtime failed: ${text}` });
  }

  private get bus(): QueueBus {
    return (this.app as INestApplicationContext).get(QueueBus);
  }

  private heard(message: ToNode): void {
    switch (message.kind) {
      case 'answer':
        this.asked.get(message.n)?.(message.answer);
        this.asked.delete(message.n);
        return;
      case 'send':
        void this.call(message.send).then((told) => this.lines.send({ kind: 'told', n: message.n, told }));
        return;
      case 'status':
        this.lines.send({ kind: 'status', n: message.n, status: this.status() });
        return;
      case 'block':
        for (const untilMs = hostMs() + message.ms; hostMs() < untilMs; );
        return;
      case 'close':
        void this.close();
    }
  }

  private status(): NodeStatus {
    try {
      const host = (this.app as INestApplicationContext).get<{ node(): { status(): QueueHealth } }>(HOST);
      const { state, running, waiting, owned, suspended, degraded, peers } = host.node().status();
      const links = Object.fromEntries(peers.map(({ serverId, link }) => [placeNameOf(serverId), link]));
      return { state, running, waiting, owned, suspended, degraded: degraded !== undefined, wallMs: Date.now(), links };
    } catch {
      return {
        state: 'closed',
        running: 0,
        waiting: 0,
        owned: 0,
        suspended: false,
        degraded: false,
        wallMs: Date.now(),
        links: {},
      };
    }
  }

  private async close(): Promise<void> {
    this.record({ kind: 'node', state: 'draining' });
    await this.app?.close();
    this.record({ kind: 'node', state: 'stopped' });
    process.exit(0);
  }

  private async call({ entity, job, how, id, onTimeout, timeoutMs, probe }: Send): Promise<Told> {
    const { settings } = this.options;
    const waitMs = timeoutMs ?? settings.replyTimeoutMs;
    const promiseMs = how === 'enqueue' ? settings.enqueueTimeoutMs : waitMs + settings.storeCallTimeoutMs;
    const at = { incarnation: this.incarnation, call: job.c };
    const { op, amount } = job;
    this.record({ kind: 'invoke', ...at, how, entity, op, amount, id: id ?? '', probe, deadlineMs: promiseMs + SLACK_MS });
    const sinceMs = hostMs();
    const tookMs = (): number => hostMs() - sinceMs;
    try {
      if (how === 'enqueue') {
        const receipt = await this.bus.enqueue(messageOf({ entity, job }), { id });
        this.record({ kind: 'ok', ...at, id: receipt.id, seq: receipt.sequence, tookMs: tookMs() });
      } else {
        const result = await this.bus.enqueueAndWait(messageOf({ entity, job }), { id, timeoutMs, onTimeout });
        this.record({ kind: 'ok', ...at, result: JSON.stringify(result), tookMs: tookMs() });
      }
      return { outcome: 'ok', code: '' };
    } catch (error) {
      return this.failed(at, error, tookMs());
    }
  }

  private failed(at: { incarnation: number; call: string }, error: unknown, tookMs: number): Told {
    const code = error instanceof AtomicQueuesError ? error.code : 'OTHER';
    const definite = error instanceof AtomicQueuesError && error.definite;
    if (code === 'OTHER') this.record({ kind: 'defect', what: `a call failed with ${String(error)}` });
    const isTold = definite || code === 'HANDLER_FAILED' || code === 'INTERRUPTED';
    if (isTold) this.record({ kind: 'fail', ...at, code, definite, tookMs });
    else this.record({ kind: 'unknown', ...at, code, tookMs });
    return { outcome: isTold ? 'fail' : 'unknown', code };
  }

  startFailed(error: unknown): void {
    this.record({ kind: 'node', state: 'start-failed', why: String(error) });
  }
}

/** Makes this process resolve the host name of each peer to the proxy of its own link to that peer. */
function resolveBy(hosts: Readonly<Record<string, string>>): void {
  const lookup = dns.promises.lookup as (host: string, options: { all?: boolean }) => Promise<unknown>;
  dns.promises.lookup = (async (host: string, options: { all?: boolean } = {}) => {
    const address = hosts[host];
    if (address === undefined) return lookup(host, options);
    return options.all === true ? [{ address, family: 4 }] : { address, family: 4 };
  }) as typeof dns.promises.lookup;
}

const options = JSON.parse(process.argv[2] ?? '{}') as NodeOptions;
resolveBy(options.hosts);
const node = new ChaosNode(options);
const told = (what: string) => (error: unknown) =>
  node.record({ kind: 'defect', what: `${what}: ${String((error as Error)?.stack ?? error)}` });
process.on('unhandledRejection', told('an unhandled rejection'));
process.on('uncaughtException', (error) => {
  told('an uncaught exception')(error);
  process.exit(1);
});
try {
  await node.start();
} catch (error) {
  node.startFailed(error);
  process.exit(3);
}
