import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { IGrpcTlsConfig } from '../../src/core/config/types.js';
import { credentialsOf } from '../../src/grpc/security.js';
import { Authority, describeOpenssl } from './certificates.js';
import { GrpcCluster, pause, wake } from './support.js';

describeOpenssl('the network over gRPC with mutual TLS', () => {
  let ours: Authority;
  let theirs: Authority;
  let cluster: GrpcCluster;
  beforeAll(() => {
    ours = new Authority();
    theirs = new Authority();
  });
  afterAll(() => {
    for (const authority of [ours, theirs]) authority.remove();
  });
  beforeEach(() => {
    cluster = new GrpcCluster();
  });
  afterEach(() => cluster.close());

  it('joins nodes with certificates of one authority', async () => {
    const [first, second] = [await cluster.join(1, { tls: ours.issue() }), await cluster.join(2, { tls: ours.issue() })];
    first.network.send(2, wake('there'));
    second.network.send(1, wake('back'));
    await expect.poll(() => [first.got, second.got]).toEqual([['back'], ['there']]);
    expect(first.network.stats().refused).toBe(0);
  });

  it.each<[string, () => IGrpcTlsConfig | undefined]>([
    ['without TLS', () => undefined],
    ['of another authority', () => theirs.issue()],
    ['that trusts ours, but whose certificate is of another', () => ({ ...theirs.issue(), ca: ours.issue().ca })],
  ])('a node %s reaches no other, and none reaches it', async (_, tlsOf) => {
    const [first, second] = [await cluster.join(1, { tls: ours.issue() }), await cluster.join(2, { tls: ours.issue() })];
    const got: string[] = [];
    const stranger = cluster.make({ tls: tlsOf(), authToken: 'x' });
    stranger.listen(3, (what) => got.push(what.kind));
    await stranger.open();
    cluster.tell();
    expect(await stranger.listening(700)).toBe(false);
    stranger.send(1, wake('in vain'));
    first.network.send(3, wake('in vain'));
    first.network.send(2, wake('among friends'));
    await expect.poll(() => second.got).toEqual(['among friends']);
    await pause(700);
    expect([first.got, got]).toEqual([[], []]);
    expect(stranger.stats().problem).toMatch(/no link to s\d at 127\.0\.0\.1/);
    expect(first.network.stats().refusedFor.garbage).toBeGreaterThan(0);
  });

  it('a certificate for another host is not taken', async () => {
    const first = await cluster.join(1, { tls: ours.issue('DNS:elsewhere.example') });
    const second = cluster.make({ tls: ours.issue('DNS:elsewhere.example') });
    second.listen(2, () => undefined);
    await second.open();
    cluster.tell();
    expect(await second.listening(700)).toBe(false);
    expect(first.network.stats().links).toBe(0);
  });

  it('bytes that are no TLS are refused, and the node goes on', async () => {
    const [first, second] = [await cluster.join(1, { tls: ours.issue() }), await cluster.join(2, { tls: ours.issue() })];
    const socket = connect(first.network.port, '127.0.0.1', () => socket.end('x'.repeat(1000)));
    socket.on('error', () => undefined).resume();
    await expect.poll(() => first.network.stats().refusedFor.garbage).toBe(1);
    second.network.send(1, wake('all is well'));
    await expect.poll(() => first.got).toEqual(['all is well']);
  });

  it('material that cannot be used is a config fault that does not print the key', () => {
    const { ca, cert } = ours.issue();
    for (const tls of [
      { ca, cert },
      { ca: 'x', cert: 'secret-key', key: 'secret-key' },
    ]) {
      let error: unknown;
      try {
        credentialsOf(tls);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('grpc.tls') });
      expect(String(error)).not.toContain('secret-key');
    }
  });
});
