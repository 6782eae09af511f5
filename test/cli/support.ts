/** The command line as a process, and a store with something in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join as joinPath } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { compile, ROOT } from '../../scripts/compile.mjs';
import type { Contract, PublishedSchemas } from '../../src/core/log/control-operations.js';
import type { NewMessage, Outcome, SessionOp } from '../../src/core/log/operations.js';
import { append, message, redisStore, Session } from '../redis/support.js';
import type { Ended } from '../support/command.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const MAIN = joinPath(ROOT, 'build/cli/src/cli/main.js');

let isCompiled: boolean | undefined;

/** Takes a while; to be called before tests that measure time. */
export function compileCli(): void {
  isCompiled ??= compile('cli');
  if (!isCompiled) throw new Error('tsconfig.cli.json does not compile');
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts the command, which the test does not leave behind, with nothing of this process's environment that it would read. */
export function startCli(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  nodeArgs: readonly string[] = [],
  cwd = ROOT,
): Started {
  compileCli();
  const { AQ_REDIS_URL, REDIS_URL, AQ_PREFIX, NODE_OPTIONS, ...rest } = process.env;
  const child = spawn(process.execPath, [...nodeArgs, MAIN, ...args], {
    ...{ env: { ...rest, ...env }, cwd },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, ended: endOf(child) };
}

async function endOf(child: ChildProcess): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

export const cli = (...args: readonly string[]): Promise<Ended> => startCli(args).ended;

export interface JoinOptions {
  readonly serverId?: string;
  readonly group?: string;
  readonly leaseTtlMs?: number;
  readonly contracts?: readonly Contract[];
  readonly schemas?: readonly PublishedSchemas[];
}

const CONTRACTS: readonly Contract[] = ['account', 'order'].map((type) => ({
  ...{ type, maxAttempts: 1, onInterrupt: 'dead-letter' as const, names: ['Deposit'], depthMax: 0 },
}));

/** A member by hand: it does nothing but what it is told. */
export async function joined(port: number, keyPrefix: string, options: JoinOptions = {}): Promise<Session> {
  const { serverId = 'node-1', group = 'bank', leaseTtlMs = 60_000, contracts = CONTRACTS, schemas = [] } = options;
  const store = redisStore(port, { keyPrefix, storeCallTimeoutMs: 5000 });
  await store.open();
  const answer = await store.control({
    ...{ op: 'join', serverId, group, address: 'host:1', token: serverId, schema: 1, generation: 'g', workersMax: 0 },
    settings: {
      ...{ leaseTtlMs, takeoverHoldMs: 0, entryTtlMs: 60_000, resultTtlMs: 60_000, depthMax: 0 },
      ...{ leaderTtlMs: 60_000, leaderDebounceMs: 0 },
    },
    ...{ contracts, schemas },
  });
  if (!answer.ok) throw new Error(`the join was refused: ${answer.code}`);
  return new Session(store, answer, serverId);
}

const PAIRS_IN_A_BATCH = 200;

/** A node that owns an entity: what it appends begins at once. */
export class Writer {
  /** Of the last message; the record is as old as the store, so it counts from 1. */
  #seq = 0;

  private constructor(
    readonly session: Session,
    readonly entity: string,
    readonly fence: number,
  ) {}

  static async open(port: number, keyPrefix: string, entity: string): Promise<Writer> {
    return Writer.of(await joined(port, keyPrefix), entity);
  }

  static async of(session: Session, entity: string): Promise<Writer> {
    const reply = await session.apply({ op: 'claim', entity });
    const [claim] = reply.status === 'applied' ? reply.answers : [];
    if (claim === undefined || !claim.ok || !('fence' in claim)) throw new Error('the claim was refused');
    return new Writer(session, entity, claim.fence);
  }

  /** Makes dead letters. */
  async fail(count: number, more: Partial<NewMessage> = {}): Promise<void> {
    for (let made = 0; made < count; ) {
      const ops: SessionOp[] = [];
      for (let i = 0; i < PAIRS_IN_A_BATCH && made < count; i++, made++) ops.push(this.#begun(more), this.#failed());
      await this.#apply(ops);
    }
  }

  /** Leaves one message running, and `count` behind it. */
  async pile(count: number): Promise<void> {
    await this.#apply(Array.from({ length: count + 1 }, () => this.#begun({})));
  }

  /** Leaves entries of the past. */
  async complete(count: number): Promise<void> {
    const ops = Array.from({ length: count }, () => [
      this.#begun({ given: true }),
      this.#ended({ state: 'completed', result: '1', error: '' }),
    ]);
    await this.#apply(ops.flat());
  }

  async #apply(ops: readonly SessionOp[]): Promise<void> {
    const reply = await this.session.apply(...ops);
    const refused = reply.status === 'applied' ? reply.answers.find((answer) => !answer.ok) : reply;
    if (refused !== undefined) throw new Error(JSON.stringify(refused));
  }

  #begun(more: Partial<NewMessage>): SessionOp {
    const id = `m${++this.#seq}`;
    return append(id, { entity: this.entity, message: message(id, more) });
  }

  #failed(): SessionOp {
    return this.#ended({ state: 'failed', result: '', error: '{"name":"TypeError","message":"no connection"}' });
  }

  #ended(outcome: Outcome): SessionOp {
    return { op: 'finish', entity: this.entity, fence: this.fence, seq: this.#seq, attempt: 1, outcome, sends: [], next: -1 };
  }

  close(): Promise<void> {
    return this.session.store.close();
  }
}

/** The Redis of a suite, and the command line on what is under its prefix `shop`. */
export class SuiteRedis {
  server!: RedisServer;
  admin!: Redis;

  /** It is there before the hooks of the suite that follow, and ends after them. */
  constructor() {
    beforeAll(async () => {
      compileCli();
      this.server = await startRedis();
      this.admin = new Redis(this.server.url);
    });
    afterAll(async () => {
      this.admin.disconnect();
      await this.server.stop();
    });
  }

  /** Options of a command. */
  under(prefix: string): readonly string[] {
    return ['--redis', this.server.url, '--prefix', prefix];
  }

  run(...command: readonly string[]): Promise<Ended> {
    return cli(...command, ...this.under('shop'));
  }

  /** Empties Redis for it. */
  async freshWriter(): Promise<Writer> {
    await this.admin.flushdb();
    return Writer.open(this.server.port, 'shop', 'account:a-1');
  }
}
