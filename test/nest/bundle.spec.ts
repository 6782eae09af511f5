/** A minified bundle of the packed package and its next build agree on the names of messages, or do not start. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type BuildOptions, build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';

/** Below build/, so that packages are found from there. */
const DIR = resolve('build', `bundle-${process.pid}`);

/** Two builds of one service: in the second one its classes stand in another order. */
type Build = 'first' | 'second';

interface Variant {
  readonly options: BuildOptions;
  /** Names by decorator. */
  readonly named?: boolean;
  readonly schemas?: boolean;
  /** What classes are called in the source, if not as their messages. */
  readonly classes?: Readonly<Record<Build, Readonly<Record<string, string>>>>;
}

interface MessageSource {
  readonly fields: string;
  readonly schema: string;
}

const MESSAGES: Readonly<Record<string, MessageSource>> = {
  Hold: { fields: '', schema: '{ id: z.string() }' },
  Rename: { fields: 'readonly name: string', schema: '{ id: z.string(), name: z.string() }' },
  Deposit: { fields: 'readonly amount: number', schema: '{ id: z.string(), amount: z.number() }' },
};

const ORDER: Readonly<Record<Build, readonly string[]>> = {
  first: ['Hold', 'Rename', 'Deposit'],
  second: ['Hold', 'Deposit', 'Rename'],
};

function sourceOf(which: Build, { named = false, schemas = false, classes }: Variant): string {
  const classOf = (name: string): string => classes?.[which][name] ?? name;
  const messages = ORDER[which].map((name) => {
    const { fields, schema } = MESSAGES[name] as MessageSource;
    const options = named ? `, { name: '${name}' }` : '';
    const checked = schemas ? `@Schema(z.object(${schema}))` : '';
    return `@EntityType('account'${options}) ${checked} class ${classOf(name)} { constructor(@QueueEntityId() readonly id: string, ${fields}) {} }
      @CommandHandler(${classOf(name)}) class ${name}Handler { execute = (message: object): Promise<string> => run('${name}', message); }`;
  });
  return `
    import 'reflect-metadata';
    import { NestFactory } from '@nestjs/core';
    import { CommandHandler } from '@nestjs/cqrs';
    import { AtomicQueuesModule, EntityType, QueueBus, QueueEntityId, Schema } from 'atomic-queues';
    import { z } from 'zod';
    const say = (what: object): void => console.log(JSON.stringify(what));
    async function run(kind: string, message: object): Promise<string> {
      say({ ran: kind, message });
      if (kind === 'Hold') await new Promise(() => {});
      return 'done';
    }
    ${messages.join('\n')}
    class App {}
    const [, , port, keyPrefix, what] = process.argv;
    const queues = AtomicQueuesModule.forRoot(port === '0' ? { store: 'memory' } : { redis: { host: '127.0.0.1', port: Number(port) }, keyPrefix });
    const root = { module: App, imports: [queues], providers: [HoldHandler, RenameHandler, DepositHandler] };
    try {
      const app = await NestFactory.createApplicationContext(root, { abortOnError: false });
      const bus = app.get(QueueBus);
      say({ started: bus.introspect().messagesFor('account') });
      if (what === 'send') {
        await bus.enqueue(new ${classOf('Hold')}('a'));
        await bus.enqueue(new ${classOf('Rename')}('a', 'bob'));
        say({ sent: true });
      }
    } catch (error) {
      say({ refused: String(error) });
      process.exit(1);
    }`;
}

async function bundle(name: string, which: Build, variant: Variant): Promise<string> {
  const outfile = join(DIR, `${name}-${which}.mjs`);
  await build({
    stdin: { contents: sourceOf(which, variant), resolveDir: resolve('test/nest'), loader: 'ts' },
    ...{ bundle: true, platform: 'node', format: 'esm', packages: 'external', logLevel: 'error', outfile },
    alias: { 'atomic-queues': join(inject('unpacked'), 'dist/esm/index.js') },
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
    ...variant.options,
  });
  return outfile;
}

interface Said {
  readonly started?: readonly string[];
  readonly sent?: true;
  readonly ran?: string;
  readonly message?: object;
  readonly refused?: string;
}

const running = new Set<ChildProcess>();

/** A bundle that runs: what it says of itself, and what Nest logs. */
class Running {
  readonly said: Said[] = [];
  log = '';
  private readonly child: ChildProcess;

  constructor(file: string, port: number, keyPrefix: string, what: 'send' | 'serve') {
    this.child = spawn(process.execPath, [file, String(port), keyPrefix, what], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.child);
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      if (line.startsWith('{')) this.said.push(JSON.parse(line) as Said);
      else this.log += `${line}\n`;
    });
    this.child.stderr!.on('data', (data) => {
      this.log += String(data);
    });
  }

  async says<K extends keyof Said>(field: K): Promise<NonNullable<Said[K]>> {
    const found = (): Said | undefined => this.said.find((one) => one[field] !== undefined);
    await expect
      .poll(found, { timeout: 40_000, message: `${field}, of ${JSON.stringify(this.said)}\n${this.log}` })
      .toBeDefined();
    return found()![field]!;
  }

  async kill(): Promise<void> {
    running.delete(this.child);
    if (this.child.exitCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});
afterAll(() => rmSync(DIR, { recursive: true, force: true }));

const MINIFIED: BuildOptions = { minify: true };
/** Several processes, each with a start of its own, and a take-over. */
const TIMEOUT_MS = 120_000;

describe('a minified bundle on the memory store', { timeout: TIMEOUT_MS }, () => {
  it('starts, and warns of each name', async () => {
    const app = new Running(await bundle('memory', 'first', { options: MINIFIED }), 0, '', 'serve');
    const names = await app.says('started');
    for (const name of names) expect(app.log).toContain(`the name of message "${name}" of entity type "account" looks minified`);
    expect(names).toHaveLength(3);
  });
});

describeRedis('a minified bundle and its next build, on one Redis', () => {
  vi.setConfig({ testTimeout: TIMEOUT_MS });
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  it('do not start where class names are the names: each is named, with what to do', async () => {
    for (const which of ['first', 'second'] as const) {
      const file = await bundle('unnamed', which, { options: MINIFIED });
      const refused = await new Running(file, redis.port, 'unnamed', 'serve').says('refused');
      expect(refused).toContain('[CONFIG_INVALID]');
      expect(refused.match(/looks minified.*@EntityType\('account', \{ name: '\.\.\.' \}\)/g)).toHaveLength(3);
    }
  });

  it.each([
    ['named by their decorators', { options: MINIFIED, named: true }],
    ['that keep the names of classes', { options: { ...MINIFIED, keepNames: true } }],
  ] as const)('agree on messages %s: what waits runs as what it is', async (name, variant) => {
    const prefix = `agree-${variant.options === MINIFIED}`;
    const first = new Running(await bundle(prefix, 'first', variant), redis.port, prefix, 'send');
    await first.says('sent');
    await first.kill();
    const second = new Running(await bundle(prefix, 'second', variant), redis.port, prefix, 'serve');
    expect(await second.says('started'), name).toEqual(['Deposit', 'Hold', 'Rename']);
    expect(await second.says('ran')).toBe('Rename');
    expect(second.log).not.toContain('minified');
  });

  it('start with a warning where only names are short; as they change places, a schema keeps one from running as the other', async () => {
    const classes = { first: { Rename: 't', Deposit: 'e' }, second: { Rename: 'e', Deposit: 't' } };
    const variant = { options: {}, schemas: true, classes };
    const first = new Running(await bundle('short', 'first', variant), redis.port, 'short', 'send');
    await first.says('sent');
    await first.kill();
    const second = new Running(await bundle('short', 'second', variant), redis.port, 'short', 'serve');
    expect(await second.says('started')).toEqual(['Hold', 'e', 't']);
    expect(second.log).toContain('the name of message "t" of entity type "account" looks minified');
    await expect.poll(() => second.log, { timeout: 40_000 }).toMatch(/dead-letter entity=account:a .*reason=failed/);
    expect(second.said.filter(({ ran }) => ran !== undefined)).toEqual([]);
  });
});
