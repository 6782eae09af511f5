/** The process that is killed: a Nest application on Redis, with its own callers inside. Started by process.ts. */
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { LoggerService, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { AtomicQueuesConfig, AtomicQueuesModule, QueueBus } from '../../src/index.js';
import { Driver, Resend } from './driver.js';
import { Ledger } from './ledger.js';
import { AccountHandler, OrderHandler, Performer } from './messages.js';
import { TYPES } from './plan.js';
import { RecordWriter, recordPath } from './record.js';

/** What process.ts hands over as JSON. */
export interface AppOptions {
  readonly redisUrl: string;
  readonly keyPrefix: string;
  readonly serverId: string;
  readonly run: number;
  readonly seed: number;
  readonly dir: string;
  /** 'load' sends until it is killed; 'drain' sends only what is to be sent again. */
  readonly role: 'load' | 'drain';
  readonly nodeTTLMs: number;
  /** File with the messages to send again. */
  readonly resendsPath: string;
}

/** What the app tells its parent. */
export type AppNews = 'ready' | 'resent';

const STALL_CHECK_MS = 20;
const STALL_MS = 100;

@Module({})
class KillApp {}

const HANDLER_WAITS_MS = { backoffDelay: 20, maxDelay: 20 };

function configOf({ redisUrl, keyPrefix, serverId, nodeTTLMs }: AppOptions): AtomicQueuesConfig {
  const { account, order } = TYPES;
  return {
    redis: { url: redisUrl },
    keyPrefix,
    serverId,
    maxConcurrentHandlers: 16,
    enqueueTimeoutMs: 2000,
    entities: {
      account: { workerIdleTimeout: 100, onInterrupt: account.onInterrupt, retry: { maxAttempts: account.maxAttempts } },
      order: {
        workerIdleTimeout: 100,
        onInterrupt: order.onInterrupt,
        workerMaxQueueDepth: order.depthMax,
        retry: { maxAttempts: order.maxAttempts, backoff: 'fixed', ...HANDLER_WAITS_MS },
      },
    },
    // Short, so that a campaign of a hundred kills takes minutes: what is tested is the order of events, not their length.
    grpc: {
      nodeTTLMs,
      heartbeatMs: nodeTTLMs / 5,
      leaseMarginMs: Math.round(nodeTTLMs / 7),
      takeoverHoldMs: 150,
      reconcileIntervalMs: 100,
      leaderTTLMs: nodeTTLMs,
      leaderRenewalMs: nodeTTLMs / 5,
      leaderDebounceMs: nodeTTLMs / 5,
    },
  };
}

/** Nest's logger: what the library warns about belongs to the record. */
function loggerInto(record: RecordWriter): LoggerService {
  const take =
    (level: 'warn' | 'error') =>
    (message: unknown): void =>
      record.write({ kind: 'logged', level, text: String(message) });
  return { log: () => undefined, warn: take('warn'), error: take('error'), debug: () => undefined, verbose: () => undefined };
}

function watchLoop(record: RecordWriter): void {
  let lastMs = performance.now();
  setInterval(() => {
    const forMs = Math.round(performance.now() - lastMs - STALL_CHECK_MS);
    lastMs = performance.now();
    if (forMs > STALL_MS) record.write({ kind: 'stall', forMs });
  }, STALL_CHECK_MS).unref();
}

const tell = (news: AppNews): void => void process.send?.(news);

async function main(options: AppOptions): Promise<void> {
  const { run, seed, serverId } = options;
  const record = new RecordWriter(recordPath(options.dir, run), run);
  record.write({ kind: 'boot', serverId });
  // Whoever ends the campaign ends its app with it.
  process.on('disconnect', () => process.exit(1));
  watchLoop(record);
  const redis = new Redis(options.redisUrl);
  const app = await NestFactory.createApplicationContext(
    {
      module: KillApp,
      imports: [AtomicQueuesModule.forRoot(configOf(options))],
      providers: [
        { provide: RecordWriter, useValue: record },
        { provide: Ledger, useValue: new Ledger(redis) },
        Performer,
        AccountHandler,
        OrderHandler,
      ],
    },
    { logger: loggerInto(record), abortOnError: false },
  );
  // Closing in good order is part of what is tested: the exit code tells whether it went well.
  process.on('SIGTERM', () => {
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        record.write({ kind: 'logged', level: 'error', text: `close failed: ${String(error)}` });
        process.exit(1);
      },
    );
  });
  record.write({ kind: 'ready' });
  tell('ready');
  const resends = JSON.parse(readFileSync(options.resendsPath, 'utf8')) as Resend[];
  const driver = new Driver({ bus: app.get(QueueBus), record, seed, run, resends });
  if (options.role === 'load') await driver.load();
  await driver.resendAll();
  tell('resent');
}

await main(JSON.parse(process.argv[2] ?? '{}') as AppOptions);
