import { credentials, Metadata } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { PeerChannel } from '../../src/grpc/channel.js';
import { GrpcNetwork } from '../../src/grpc/network.js';
import { StrandingLink } from '../redis/stranding-link.js';
import { sleep, until } from '../runtime/harness.js';
import { WatchedClock } from '../runtime/watched.js';
import { entityOf, GENERATION, grpcOptions, wake } from './support.js';

const KEEPALIVE = { keepaliveTimeMs: 3000, keepaliveTimeoutMs: 1000 };
const MONITOR = { debounceMs: 300, pingMs: 300, silentMsMax: KEEPALIVE.keepaliveTimeoutMs };
/** Silence before a ping, and how often that is looked at. */
const NOTICED_MS = 750 + 250 + MONITOR.pingMs + 250 + 2 * MONITOR.debounceMs;
const SLACK_MS = 1500;

describe('a connection over gRPC whose other end is gone without a word', () => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  it.each([
    ['the one that dialed sends', true],
    ['the other one sends', false],
  ])('is suspected, given up by its keepalive, and dialed again: %s', async (_, dialerSends) => {
    const link = new StrandingLink();
    const got: Record<'a' | 'b', string[]> = { a: [], b: [] };
    const make = (serverId: 'a' | 'b'): GrpcNetwork => {
      const network = new GrpcNetwork(grpcOptions(serverId, { ...KEEPALIVE, monitor: MONITOR }));
      closing.push(() => network.close());
      return network;
    };
    const [a, b] = [make('a'), make('b')];
    await Promise.all([a.open(), b.open()]);
    const port = await link.listen(a.port);
    closing.push(() => link.close());
    a.listen(1, (what) => got.a.push(entityOf(what)));
    b.listen(2, (what) => got.b.push(entityOf(what)));
    // The higher incarnation dials, through the proxy; the way back is there for probes alone.
    const peers = [
      { incarnation: 1, serverId: 'a', group: 'default', address: `127.0.0.1:${port}` },
      { incarnation: 2, serverId: 'b', group: 'default', address: '127.0.0.1:1' },
    ];
    for (const network of [a, b]) network.update({ generation: GENERATION, storeNowMs: Date.now(), peers });
    await until('they are linked', () => a.stats().links === 1 && b.stats().links === 1);

    const suspected: boolean[] = [];
    b.onSuspect((_incarnation, isSuspect) => suspected.push(isSuspect));
    link.strand();
    const startMs = performance.now();
    let n = 0;
    const [from, to, heard] = dialerSends ? [b, 1, got.a] : [a, 2, got.b];
    await until('it is suspected', () => suspected.includes(true), NOTICED_MS + SLACK_MS);
    await until(
      'it is heard again',
      () => {
        from.send(to, wake(`again ${n++}`));
        return heard.length > 0;
      },
      KEEPALIVE.keepaliveTimeMs + KEEPALIVE.keepaliveTimeoutMs + NOTICED_MS + 2 * SLACK_MS,
    );
    expect(performance.now() - startMs).toBeGreaterThan(KEEPALIVE.keepaliveTimeoutMs);
    await until('no peer is suspected', () => b.link(1) === 'up' && a.link(2) === 'up');
    expect(suspected.at(-1)).toBe(false);
    expect(b.stats()).toMatchObject({ links: 1, channels: 1, problem: undefined });
  });

  it('leaves no timer and no call behind when it is closed during its self test and its probes', async () => {
    const [link, clock] = [new StrandingLink(), new WatchedClock()];
    link.strandsNew = true;
    const port = await link.listen(1);
    closing.push(() => link.close());
    const address = `127.0.0.1:${port}`;
    const monitor = { debounceMs: 5000, pingMs: 5000, silentMsMax: 5000 };
    const network = new GrpcNetwork(grpcOptions('a', { clock, monitor, advertisedAddress: address }));
    closing.push(() => network.close());
    await network.open();
    network.listen(2, () => undefined);
    const peer = { incarnation: 1, serverId: 'b', group: 'default', address };
    network.update({ generation: GENERATION, storeNowMs: Date.now(), peers: [peer] });
    const test = network.selfTest(5000);
    await until('it dials for both', () => link.accepted === 2);
    // The links are given up, and a probe begins.
    await sleep(200);
    const startMs = performance.now();
    await network.close();
    expect(await test).toBeUndefined();
    expect(performance.now() - startMs).toBeLessThan(1500);
    // The two sockets stay: grpc-js does not close one whose other end has sent nothing yet. They hold no process.
    await until('its timers are cancelled', () => clock.pending.size === 0, 500);
    expect(await network.selfTest(5000)).toBeUndefined();
    await sleep(50);
    expect(link.accepted).toBe(2);
    expect([...clock.pending.values()]).toEqual([]);
  });

  it('ends a probe that is under way when its channel is closed, and the socket with it', async () => {
    const [link, clock] = [new StrandingLink(), new WatchedClock()];
    const target = new GrpcNetwork(grpcOptions('a'));
    closing.push(() => target.close());
    await target.open();
    target.listen(1, () => undefined);
    const port = await link.listen(target.port);
    closing.push(() => link.close());
    const settings = { clock, credentials: credentials.createInsecure(), metadata: new Metadata(), options: {}, watchMs: 0 };
    const channel = new PeerChannel(`127.0.0.1:${port}`, settings, () => undefined);
    expect(await channel.probe(1, 2000)).toEqual({ incarnation: 1, isTarget: true });
    link.strand();
    const probe = channel.probe(1, 5000);
    await sleep(50);
    const startMs = performance.now();
    channel.close();
    expect(await probe).toBe('the channel is closed');
    expect(performance.now() - startMs).toBeLessThan(500);
    await until('the socket is closed', () => link.open === 0, 500);
    expect([...clock.pending.values()]).toEqual([]);
  });
});
