/**
 * A program of its own that starts and stops applications on Redis, and looks at what each leaves behind: sockets, ports, threads
 * and timers of this process, connections of the server, members of the store, and commands that come after the stop.
 * Prints one line of JSON for each case. With 'peer' instead of a case it is one more member until its input ends.
 */
import 'reflect-metadata';
import { createHook } from 'node:async_hooks';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { Redis } from 'ioredis';
import { type AtomicQueuesConfig, AtomicQueuesModule, EntityType, QueueBus, QueueEntityId } from '../../../src/index.js';
import { RedisStore } from '../../../src/redis/store.js';
import { SystemClock } from '../../../src/system/clock.js';
import { StrandingLink } from '../../redis/stranding-link.js';

export interface StopCase {
  /** The stop begins with this request to Redis, counted from 1; 0: right after the start began; 'work': after some work. */
  readonly atRequest: number | 'work';
  /** Every connection to Redis loses its other end right before the stop, and so does every new one. */
  readonly isStranded: boolean;
}

export interface StopReport {
  /** What `app.init()` ended with: 'started' or an error code. */
  readonly outcome: string;
  readonly stopMs: number;
  /** False if the start made fewer requests than `atRequest`. */
  readonly isReached: boolean;
  readonly faults: readonly string[];
}

export interface StopsOrder {
  readonly redisPort: number;
  readonly config: AtomicQueuesConfig;
  readonly grpcPort: number | undefined;
  readonly cases: readonly StopCase[] | 'peer';
}

const KINDS = new Set([
  'Timeout',
  'TCPWRAP',
  'TCPSERVERWRAP',
  'TCPCONNECTWRAP',
  'WORKER',
  'MESSAGEPORT',
  'HTTP2SESSION',
  'TLSWRAP',
]);
/**
 * Timers of others that end by themselves within a second and hold no process: Node caches the date of HTTP responses, and grpc-js
 * keeps the backoff of a dial.
 */
const OF_OTHERS = /^Timeout of \S+\/(?:server-interceptors|backoff-timeout)\.js/;
/** For what the system closes after a call has returned. */
const CLOSED_WITHIN_MS = 250;
const SILENT_MS = 60;

/** What this process holds, with unreferenced timers, by the place that made it. */
const live = new Map<number, string>();
Error.stackTraceLimit = 40;
createHook({
  init: (id, kind) => void (KINDS.has(kind) && live.set(id, `${kind} of ${placeOf(new Error('made'))}`)),
  destroy: (id) => void live.delete(id),
}).enable();

const placeOf = ({ stack = '' }: Error): string =>
  stack
    .split('\n')
    .map((line) => /(?:src|test|node_modules)\/[^):]+:\d+/.exec(line)?.[0])
    .filter((place) => place !== undefined && !place.includes('process/stops'))
    .slice(0, 4)
    .join(' < ');

@EntityType('account')
class Work {
  constructor(@QueueEntityId() readonly id: string) {}
}

@CommandHandler(Work)
class WorkHandler implements ICommandHandler<Work> {
  execute({ id }: Work): Promise<string> {
    return Promise.resolve(id);
  }
}

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error);

async function create(config: AtomicQueuesConfig): Promise<INestApplication> {
  @Module({ imports: [AtomicQueuesModule.forRoot(config)], providers: [WorkHandler] })
  class App {}
  return NestFactory.create(App, { logger: false, abortOnError: false });
}

class Stops {
  readonly #admin: Redis;
  readonly #commands: string[] = [];

  constructor(readonly order: StopsOrder) {
    this.#admin = new Redis(order.redisPort);
  }

  async run(cases: readonly StopCase[]): Promise<void> {
    const monitor = await this.#monitor();
    for (const one of cases) process.stdout.write(`${JSON.stringify(await this.#play(one))}\n`);
    monitor.destroy();
    this.#admin.disconnect();
  }

  /** Not by ioredis: it fails if a line comes together with the reply that precedes all lines. */
  async #monitor(): Promise<Socket> {
    const socket = connect(this.order.redisPort, '127.0.0.1');
    socket.write('MONITOR\r\n');
    const lines = createInterface(socket);
    lines.on('line', (line) => {
      const [, source, command] = /^\+[\d.]+ \[\d+ (\S+)\] "(\w+)"/.exec(line) ?? [];
      if (source !== undefined) this.#commands.push(`${source} ${command}`);
    });
    await once(lines, 'line');
    return socket;
  }

  async #play({ atRequest, isStranded }: StopCase): Promise<StopReport> {
    await this.#admin.ping();
    const [before, known] = [new Set(live.keys()), await this.#clients()];
    const link = new StrandingLink();
    const port = await link.listen(this.order.redisPort);
    const app = await create({ ...this.order.config, redis: { host: '127.0.0.1', port } });
    const bus = app.get<QueueBus>(QueueBus);
    let stopping: Promise<number> | undefined;
    const stop = (): void => {
      if (isStranded) {
        link.strand();
        link.strandsNew = true;
      }
      stopping ??= timed(app.close());
    };
    let requests = 0;
    link.onRequest = () => void (++requests === atRequest && stop());
    const starting = app.init().then(() => 'started', codeOf);
    if (atRequest === 0) stop();
    const outcome = await starting;
    const isReached = stopping !== undefined || atRequest === 'work';
    if (!isReached || atRequest === 'work') {
      await bus.enqueueAndWait(new Work('a'));
      stop();
    }
    const stopMs = await (stopping ?? Promise.resolve(-1));
    link.onRequest = undefined;
    const faults = await this.#silence(known);
    faults.push(...(await refusals(bus)));
    link.close();
    faults.push(...(await this.#left(before, known)));
    if (!isStranded) faults.push(...(await this.#members()));
    if (this.order.grpcPort !== undefined && (await answers(this.order.grpcPort))) faults.push('the port is listened on');
    return { outcome, stopMs: Math.round(stopMs), isReached, faults };
  }

  async #clients(): Promise<Map<string, string>> {
    const lines = String(await this.#admin.client('LIST'))
      .trim()
      .split('\n');
    return new Map(lines.map((line) => [/ addr=(\S+)/.exec(line)?.[1] ?? '', line]));
  }

  /** Commands that the server takes after the stop. */
  async #silence(known: ReadonlyMap<string, string>): Promise<string[]> {
    await sleep(CLOSED_WITHIN_MS / 10);
    await this.#admin.ping();
    this.#commands.length = 0;
    await sleep(SILENT_MS);
    // Scripts of the peer report themselves without an address.
    const isKnown = (source: string): boolean => source === 'lua' || known.has(source);
    return this.#commands.filter((command) => !isKnown(command.split(' ')[0]!)).map((command) => `after the stop: ${command}`);
  }

  /** What is left of the case in this process and at the server. */
  async #left(before: ReadonlySet<number>, known: ReadonlyMap<string, string>): Promise<string[]> {
    const endMs = performance.now() + CLOSED_WITHIN_MS;
    for (;;) {
      await sleep(5);
      const clients = [...(await this.#clients())].filter(([address]) => !known.has(address));
      // Sessions of HTTP/2 are reported as destroyed when they are collected.
      (globalThis as { gc?: () => void }).gc?.();
      await new Promise((resolve) => setImmediate(resolve));
      const here = [...live].filter(([id, what]) => !before.has(id) && !OF_OTHERS.test(what));
      const left = [...here.map(([, what]) => `left: ${what}`), ...clients.map(([, line]) => `client: ${line}`)];
      if (left.length === 0 || performance.now() > endMs) return left;
    }
  }

  async #members(): Promise<string[]> {
    const { keyPrefix = 'aq', serverId } = this.order.config;
    const store = new RedisStore({
      ...{ connection: { port: this.order.redisPort }, keyPrefix, storeCallTimeoutMs: 2000, clock: new SystemClock() },
      writes: false,
    });
    await store.open();
    const { members } = await store.control({ op: 'members' });
    await store.close();
    const mine = members.filter((member) => member.serverId === serverId && !member.dead);
    return mine.map(({ incarnation }) => `member ${incarnation} is left`);
  }
}

async function timed(doing: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await doing;
  return performance.now() - startMs;
}

async function refusals(bus: QueueBus): Promise<string[]> {
  const calls = [bus.enqueue(new Work('a')), bus.enqueueAndWait(new Work('a')), bus.enqueueBulk([new Work('a')])];
  const outcomes = await Promise.allSettled(calls);
  const isRefused = (one: PromiseSettledResult<unknown>): boolean => {
    if (one.status === 'fulfilled') return false;
    const { code, definite } = one.reason as { code?: string; definite?: boolean };
    return code === 'SHUTTING_DOWN' && definite === true;
  };
  const faults = outcomes.filter((one) => !isRefused(one)).map((one) => `a call: ${JSON.stringify(one)}`);
  return bus.health().state === 'stopped' ? faults : [...faults, `the state is ${bus.health().state}`];
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

async function main(order: StopsOrder): Promise<void> {
  const { cases, config, redisPort } = order;
  if (cases !== 'peer') {
    await new Stops(order).run(cases);
    return;
  }
  const app = await create({ ...config, redis: { host: '127.0.0.1', port: redisPort } });
  await app.init();
  process.stdout.write('up\n');
  process.stdin.resume().on('end', () => void app.close());
}

await main(JSON.parse(process.argv[2] as string) as StopsOrder);
