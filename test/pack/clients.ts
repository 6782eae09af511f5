/** Two applications that share nothing but a Redis, and speak gRPC: the second one has only what `npx atomic-queues generate` wrote. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../demo/machine.js';
import { lastLine } from '../support/command.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { NODE_TYPES, NPM_FLAGS, userEnv } from './apps.js';

const LIMIT_MS = 180_000;

const queuesOf = (serviceGroup: string): string => `AtomicQueuesModule.forRoot({
  redis: { url: process.env.AQ_REDIS_URL! },
  serviceGroup: '${serviceGroup}',
  grpc: { enabled: true, listenAddress: process.env.ADDRESS!, advertisedAddress: process.env.ADDRESS! },
})`;

const SERVICE = `
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { AtomicQueuesModule, EntityType, QueueEntityId, ReplySchema, Schema } from 'atomic-queues';
import { z } from 'zod';

@EntityType('account')
@Schema(z.object({ accountId: z.string(), amount: z.number().positive(), hang: z.boolean().optional() }))
@ReplySchema(z.object({ balance: z.number() }))
class Deposit {
  constructor(@QueueEntityId() readonly accountId: string, readonly amount: number, readonly hang?: boolean) {}
}

@CommandHandler(Deposit)
class DepositHandler implements ICommandHandler<Deposit> {
  async execute({ amount, hang }: Deposit): Promise<{ balance: number }> {
    console.log('runs', amount);
    if (hang && process.env.HANG) await new Promise(() => setInterval(() => undefined, 1000));
    return { balance: amount };
  }
}

@Module({
  imports: [${queuesOf('bank')}],
  providers: [DepositHandler],
})
class BankModule {}

void NestFactory.createApplicationContext(BankModule, { logger: false }).then(() => {
  setInterval(() => undefined, 1000);
  console.log('ready');
});
`;

const CLIENT = `
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesError, AtomicQueuesModule, QueueBus } from 'atomic-queues';
import { Deposit, type DepositReply } from './generated/index.js';

@Module({
  imports: [${queuesOf('shop')}],
})
class ShopModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(ShopModule, { logger: false });
  const bus: QueueBus = app.get(QueueBus);
  const headers = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
  if (process.argv[2] === 'hang') await bus.enqueue(new Deposit({ accountId: 'a-2', amount: 7, hang: true }), { headers });
  else {
    const reply: DepositReply = await bus.enqueueAndWait(new Deposit({ accountId: 'a-1', amount: 5 }));
    const { balance } = await bus.enqueueAndWait(new Deposit({ accountId: 'a-1', amount: reply.balance + 1 }));
    const links = bus.health().peers.map(({ serviceGroup, link }) => serviceGroup + ' ' + link);
    const refused = await bus.enqueue(new Deposit({ accountId: 'a-1', amount: -1 })).catch((error: AtomicQueuesError) => error.code);
    console.log('balance', balance, refused, ...links);
  }
  await app.close();
}
void main();
`;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(cwd: string, env: NodeJS.ProcessEnv, command: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((done) => {
    execFile(command, args, { cwd, env: { ...userEnv, ...env }, timeout: LIMIT_MS }, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
}

/** A service as a process; ends with the test. */
class Service {
  readonly child: ChildProcess;
  stdout = '';

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, ['service.js'], {
      cwd,
      env: { ...userEnv, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
  }

  async said(text: string): Promise<void> {
    while (!this.stdout.includes(text)) {
      if (this.child.exitCode !== null) throw new Error(`the service ended: ${this.stdout}`);
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill(signal);
    await ended;
  }
}

export function describeClients(tarball: string): void {
  describeRedis('the packed package, from one service to another', () => {
    let dir = '';
    let redis: RedisServer;
    let env: NodeJS.ProcessEnv = {};
    const services: Service[] = [];

    const tsc = (...files: readonly string[]): Promise<Ended> => {
      writeFileSync(
        join(dir, 'tsconfig.json'),
        JSON.stringify({
          compilerOptions: {
            ...{ strict: true, target: 'es2022', module: 'nodenext', moduleResolution: 'nodenext', outDir: '.', rootDir: 'src' },
            ...{
              experimentalDecorators: true,
              emitDecoratorMetadata: true,
              types: ['node'],
              typeRoots: [NODE_TYPES],
            },
          },
          files: files.map((name) => `src/${name}`),
        }),
      );
      return run(dir, {}, process.execPath, 'node_modules/typescript/bin/tsc', '-p', '.');
    };
    const client = async (...args: readonly string[]) =>
      run(dir, { ...env, ADDRESS: `127.0.0.1:${await freePort()}` }, process.execPath, 'client.js', ...args);
    const npx = (...args: readonly string[]) => run(dir, env, 'npx', '--no', 'atomic-queues', ...args);

    async function startService(more: NodeJS.ProcessEnv = {}): Promise<Service> {
      const service = new Service(dir, { ...env, ADDRESS: `127.0.0.1:${await freePort()}`, ...more });
      services.push(service);
      await service.said('ready');
      return service;
    }

    beforeAll(async () => {
      dir = mkdtempSync(join(tmpdir(), 'aq-clients-'));
      redis = await startRedis();
      env = { AQ_REDIS_URL: redis.url };
      writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'app', version: '1.0.0', private: true, type: 'module' }));
      mkdirSync(join(dir, 'src'));
      writeFileSync(join(dir, 'src/service.ts'), SERVICE);
      writeFileSync(join(dir, 'src/client.ts'), CLIENT);
      const nest = ['@nestjs/common@^12', '@nestjs/core@^12', '@nestjs/cqrs@^12'];
      const others = ['ioredis@^6', '@grpc/grpc-js@^1.14', 'zod@^4', 'typescript@6.0.3'];
      const installed = await run(dir, {}, 'npm', 'install', ...NPM_FLAGS, ...nest, ...others, tarball);
      expect(installed.stderr).toBe('');
      expect(await tsc('service.ts')).toMatchObject({ code: 0, stdout: '' });
    }, LIMIT_MS);

    afterAll(async () => {
      for (const { child } of services) child.kill('SIGKILL');
      await redis.stop();
      rmSync(dir, { recursive: true, force: true });
    });

    it(
      'generates clients that compile under strict and get a typed reply',
      async () => {
        const service = await startService();
        const generated = await npx('generate', '--classes', '-o', 'src/generated');
        expect(generated).toMatchObject({ code: 0, stderr: '' });
        expect(readdirSync(join(dir, 'src/generated'))).toEqual(['account.ts', 'index.ts']);
        const first = readFileSync(join(dir, 'src/generated/account.ts'), 'utf8');
        const again = await npx('generate', '--classes', '-o', 'src/generated', '--json');
        expect(lastLine(again)).toMatchObject({ written: 0 });
        expect(readFileSync(join(dir, 'src/generated/account.ts'), 'utf8')).toBe(first);
        expect(await tsc('client.ts')).toMatchObject({ code: 0, stdout: '' });
        expect((await client()).stdout).toBe('balance 6 SCHEMA_VIOLATION bank up\n');
        expect(service.stdout).toBe('ready\nruns 5\nruns 6\n');
        await service.end('SIGTERM');
      },
      LIMIT_MS,
    );

    it(
      'keeps what was not generated, and says what it cannot write or does not find',
      async () => {
        const service = await startService();
        mkdirSync(join(dir, 'mine'));
        writeFileSync(join(dir, 'mine/account.ts'), 'export const mine = 1;');
        const kept = await npx('generate', '--ts', '-o', 'src/service.ts');
        expect(kept).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: cannot write into src\/service\.ts: /) });
        const foreign = await npx('generate', '--classes', '-o', 'mine');
        expect(foreign.code).toBe(1);
        expect(foreign.stderr).toMatch(/^error: not generated, so kept: mine\/account\.ts; nothing was written/);
        expect(readdirSync(join(dir, 'mine'))).toEqual(['account.ts']);
        expect(await npx('generate', '--classes', '-o', 'mine', '--force')).toMatchObject({ code: 0 });
        const unknown = await npx('generate', '--ts', '-o', 'x', '--entities', 'acount');
        expect(unknown).toMatchObject({
          code: 1,
          stderr: 'error: no live service handles entity type "acount"; did you mean "account"?\n',
        });
        expect(await npx('generate', '--ts', '--classes', '-o', 'x')).toMatchObject({ code: 2 });
        const told = await npx('introspect');
        expect(told.stdout).toBe('account (bank)\n  Deposit { accountId, amount, hang? } -> { balance }\n');
        await service.end('SIGTERM');
      },
      LIMIT_MS,
    );

    it(
      'shows what a kill -9 interrupted, and replays it once',
      async () => {
        const victim = await startService({ HANG: '1' });
        expect(await client('hang')).toMatchObject({ code: 0 });
        await victim.said('runs 7');
        await victim.end('SIGKILL');
        const heir = await startService();
        type Page = { readonly letters: readonly object[] };
        let page: Page = { letters: [] };
        while (page.letters.length === 0) page = lastLine<Page>(await npx('dlq', 'list', '--json'));
        expect(page.letters).toEqual([
          {
            ...{
              id: '1',
              entityType: 'account',
              entityId: 'a-2',
              name: 'Deposit',
              payload: { accountId: 'a-2', amount: 7, hang: true },
            },
            ...{
              messageId: expect.any(String),
              sequence: expect.any(Number),
              attempts: 1,
              reason: 'interrupted',
              incarnation: expect.any(Number),
            },
            error: { name: 'Interrupted', message: 'the node that ran the handler was lost' },
            headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
            ...{ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', enqueuedAtMs: expect.any(Number), diedAtMs: expect.any(Number) },
            ...{ late: null, replayOf: null, replayedAs: null },
          },
        ]);
        expect(heir.stdout).toBe('ready\n');
        expect(await npx('dlq', 'replay', '--id', '1')).toMatchObject({ code: 0 });
        await heir.said('runs 7');
        expect(await npx('dlq', 'replay', '--id', '1')).toMatchObject({
          code: 1,
          stderr: 'error: dead letter 1 was replayed already\n',
        });
        await new Promise((done) => setTimeout(done, 500));
        expect(heir.stdout.match(/runs 7/g)).toHaveLength(1);
        await heir.end('SIGTERM');
      },
      LIMIT_MS,
    );
  });
}
