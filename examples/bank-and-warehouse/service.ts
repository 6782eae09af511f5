/** How both services start: a Nest application context in a service group of its own, ended by SIGTERM. */
import { Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AtomicQueuesConfig, AtomicQueuesModule } from '../../src/index.js';
import { ServiceOptions } from './contracts.js';

export const configOf = (serviceGroup: string, { redisUrl, address }: ServiceOptions): AtomicQueuesConfig => ({
  redis: { url: redisUrl },
  keyPrefix: 'bank-and-warehouse',
  serviceGroup,
  serverId: `${serviceGroup}-1`,
  grpc: { enabled: true, listenAddress: address, advertisedAddress: address },
});

export async function startService(serviceGroup: string, providers: Provider[]): Promise<void> {
  class ServiceModule {}
  const options = JSON.parse(process.argv[2] ?? '{}') as ServiceOptions;
  const imports = [AtomicQueuesModule.forRoot(configOf(serviceGroup, options))];
  const app = await NestFactory.createApplicationContext(
    { module: ServiceModule, imports, providers },
    { logger: ['warn', 'error'] },
  );
  process.on('SIGTERM', () => void app.close().then(() => process.exit(0)));
  // Whoever ends the example ends its services with it.
  process.on('disconnect', () => process.exit(1));
  process.send?.('ready');
}
