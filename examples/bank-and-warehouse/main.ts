/**
 * npm run example: starts Redis and both services as processes, and is itself the shop, a service without
 * handlers. Customers buy more tea than there is; what is not there is refunded. Exit 0: money and tea add up, 1: they do not.
 */
import 'reflect-metadata';
import { ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import { startLocalRedis } from '../../demo/local-redis.js';
import { findRedisServer, freePort } from '../../demo/machine.js';
import { AtomicQueuesModule, QueueBus } from '../../src/index.js';
import { ServiceOptions } from './contracts.js';
import { configOf } from './service.js';

const CUSTOMERS = ['ann', 'bob', 'cleo'];
const CENTS_EACH = 100_00;
const TEA = { cents: 20_00, stock: 9 };
const ORDERS_EACH = 5;
const SETTLE_MS = 15_000;

class Shop {}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function startProcess(service: string, options: ServiceOptions): Promise<ChildProcess> {
  const child = fork(new URL(`./${service}.js`, import.meta.url), [JSON.stringify(options)]);
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error(`the ${service} did not start`))),
  ]);
  return child;
}

async function endProcess(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Everything by name: the shop has no class of the bank or the warehouse. */
async function trade(bus: QueueBus): Promise<boolean> {
  await bus.enqueue('item', 'Restock', 'tea', { count: TEA.stock });
  await Promise.all(CUSTOMERS.map((name) => bus.enqueueAndWait('account', 'Deposit', name, { cents: CENTS_EACH })));
  const orders = CUSTOMERS.flatMap((name) => Array<string>(ORDERS_EACH).fill(name));
  await Promise.all(orders.map((name) => bus.enqueueAndWait('account', 'Buy', name, { sku: 'tea', count: 1, cents: TEA.cents })));
  say(`${orders.length} orders of one tea each were paid, and there are ${TEA.stock}`);

  const balances = (): Promise<number[]> =>
    Promise.all(CUSTOMERS.map((name) => bus.enqueueAndWait<number>('account', 'GetBalance', name, {})));
  const owedCents = CUSTOMERS.length * CENTS_EACH - TEA.stock * TEA.cents;
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const endMs = performance.now() + SETTLE_MS;
  let now = await balances();
  // Refunds are on their way from the warehouse to the bank, and nobody waits for them.
  for (; sum(now) !== owedCents && performance.now() < endMs; now = await balances()) await sleep(20);
  const { stock, reserved } = await bus.enqueueAndWait<{ stock: number; reserved: number }>('item', 'GetItem', 'tea', {});
  for (const [index, name] of CUSTOMERS.entries()) say(`${name} has ${((now[index] ?? 0) / 100).toFixed(2)}`);
  say(`${reserved} teas are reserved, ${stock} are left; ${orders.length - reserved} orders were refunded`);
  return sum(now) === owedCents && reserved === TEA.stock && stock === 0;
}

async function main(): Promise<number> {
  const binary = findRedisServer();
  if (binary === undefined) {
    say('neither redis-server nor valkey-server is on PATH');
    return 2;
  }
  const redis = await startLocalRedis(binary, 'everysec');
  const options = async (): Promise<ServiceOptions> => ({ redisUrl: redis.url, address: `127.0.0.1:${await freePort()}` });
  const services = [await startProcess('bank', await options()), await startProcess('warehouse', await options())];
  const imports = [AtomicQueuesModule.forRoot(configOf('shop', await options()))];
  const shop = await NestFactory.createApplicationContext({ module: Shop, imports }, { logger: ['warn', 'error'] });
  try {
    const holds = await trade(shop.get(QueueBus));
    say(holds ? 'Held: money and tea add up.' : 'VIOLATED: money and tea do not add up.');
    return holds ? 0 : 1;
  } finally {
    await shop.close();
    await Promise.all(services.map(endProcess));
    await redis.stop();
  }
}

process.exitCode = await main();
