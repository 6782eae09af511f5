import { CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../demo/machine.js';
import { AtomicQueuesConfig, AtomicQueuesModule, EntityType, IGrpcConfig, QueueBus, QueueEntityId } from '../../src/index.js';
import { cli } from '../cli/support.js';
import { Authority, describeOpenssl } from '../grpc/certificates.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { LineLogger, startApp } from './app.js';

@EntityType('account')
class Touch {
  constructor(@QueueEntityId() readonly id: string) {}
}

@CommandHandler(Touch)
class TouchHandler implements ICommandHandler<Touch> {
  async execute(): Promise<void> {}
}

/** What the network says is wrong is logged after two node TTLs. */
const TIMING = { heartbeatMs: 100, nodeTTLMs: 500 };

describeRedis(
  'a network between nodes that does not work',
  () => {
    let redis: RedisServer;
    let admin: Redis;
    beforeAll(async () => {
      redis = await startRedis();
      admin = new Redis(redis.url);
    });
    afterAll(async () => {
      admin.disconnect();
      await redis.stop();
    });

    interface Started {
      readonly bus: QueueBus;
      readonly lines: readonly string[];
    }

    async function start(serverId: string, config: AtomicQueuesConfig): Promise<Started> {
      const logger = new LineLogger();
      const at = { host: '127.0.0.1', port: redis.port };
      const queues = [AtomicQueuesModule.forRoot({ serverId, ...config, redis: { ...at, ...config.redis } })];
      const app = await startApp({ queues, providers: [TouchHandler], logger });
      return { bus: app.get(QueueBus), lines: logger.lines };
    }

    const failing = ({ lines }: Started): readonly string[] => lines.filter((line) => line.includes('network-failing'));

    test('for want of channel rights: said in one line, by the health and by doctor, with the rule that allows them', async () => {
      await admin.acl('SETUSER', 'app', 'on', '>pw', '~acl:*', '+@all', 'resetchannels');
      const config = { keyPrefix: 'acl', redis: { username: 'app', password: 'pw' }, grpc: TIMING };
      const started = await start('n1', config);
      const rule = 'ACL SETUSER <user> +publish +subscribe +unsubscribe +ping &acl:*';
      await expect.poll(() => started.bus.health().network, { timeout: 5000 }).toContain(rule);
      expect(started.bus.health()).toMatchObject({ isReady: true, degraded: undefined });
      await expect.poll(() => failing(started), { timeout: 5000 }).toEqual([expect.stringContaining(rule)]);
      expect(failing(started)[0]).toMatch(
        /^warn: network-failing why=the Redis user may not use the channels of keyPrefix "acl"/,
      );
      const told = await cli('doctor', '--redis', `redis://app:pw@127.0.0.1:${redis.port}`, '--prefix', 'acl');
      expect(told.stdout).toMatch(/warn channels +NOPERM/);
      expect(told.stdout).toContain(rule);
      expect(failing(started)).toHaveLength(1);
      await admin.acl('SETUSER', 'app', '&acl:*');
      await expect.poll(() => started.bus.health().network, { timeout: 5000 }).toBeUndefined();
      await expect.poll(() => started.lines, { timeout: 5000 }).toContain('log: network-restored');
      const well = await cli('doctor', '--redis', `redis://app:pw@127.0.0.1:${redis.port}`, '--prefix', 'acl');
      expect(well.stdout).toMatch(/ok +channels +nodes can publish and subscribe/);
    });

    test('for want of the right to publish alone: known with the first message to another node', async () => {
      await admin.acl('SETUSER', 'mute', 'on', '>pw', '~mute:*', '+@all', '-publish', '&*');
      const config = { keyPrefix: 'mute', redis: { username: 'mute', password: 'pw' }, grpc: TIMING };
      const [first, second] = [await start('n1', config), await start('n2', config)];
      for (let i = 0; first.bus.health().network === undefined && i < 200; i++) {
        await Promise.all([first, second].map(({ bus }) => bus.enqueue(new Touch(`${i}`))));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(first.bus.health().network).toContain("the 'publish' command; allow them with ACL SETUSER <user> +publish");
    });

    /** Two nodes over gRPC: what each says of the way to the other. */
    async function overGrpc(keyPrefix: string, one: IGrpcConfig, other: IGrpcConfig): Promise<Started[]> {
      const addressed = async (more: IGrpcConfig): Promise<AtomicQueuesConfig> => {
        const address = `127.0.0.1:${await freePort()}`;
        const addresses = { listenAddress: address, advertisedAddress: address };
        return { keyPrefix, grpc: { enabled: true, ...addresses, ...TIMING, ...more } };
      };
      const nodes = [await start('n1', await addressed(one)), await start('n2', await addressed(other))];
      // Nest has one logger in a process, the one of the application that came last.
      await expect.poll(() => failing(nodes[1]!).length, { timeout: 10_000 }).toBe(2);
      expect(
        failing(nodes[1]!)
          .map((line) => /no link to n\d/.exec(line)?.[0])
          .sort(),
      ).toEqual(['no link to n1', 'no link to n2']);
      for (const { bus } of nodes) expect(bus.health().isReady).toBe(true);
      return nodes;
    }

    test('over gRPC, for another token', async () => {
      const [first, second] = await overGrpc('token', { authToken: 'a' }, { authToken: 'b' });
      for (const { bus } of [first!, second!]) expect(bus.health().network).toContain('give all nodes the same `grpc.authToken`');
    });

    test('over gRPC, for an address that leads nowhere', async () => {
      const nowhere = `127.0.0.1:${await freePort()}`;
      const [first, second] = await overGrpc('where', { advertisedAddress: nowhere }, { advertisedAddress: nowhere });
      expect(second!.bus.health().network).toContain(`no link to n1 at ${nowhere}: `);
      for (const { bus } of [first!, second!]) expect(bus.health().network).toContain('check its `grpc.advertisedAddress`');
    });

    describeOpenssl('and certificates', () => {
      test('over gRPC, for a certificate of another authority', async () => {
        const [ours, theirs] = [new Authority(), new Authority()];
        const nodes = await overGrpc('tls', { tls: ours.issue() }, { tls: theirs.issue() });
        for (const authority of [ours, theirs]) authority.remove();
        for (const { bus } of nodes) expect(bus.health().network).toContain('give all nodes `grpc.tls` of one authority');
      });
    });
  },
  { own: true },
);
