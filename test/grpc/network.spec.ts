import { connect, createServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordOf } from '../../src/core/log/operations.js';
import { type Frame, type Hello, METHODS, RefusedReason } from '../../src/grpc/cluster.gen.js';
import { decodeFrame, encodeFrame } from '../../src/grpc/frames.js';
import { PROTOCOL } from '../../src/grpc/handshake.js';
import { message } from '../redis/support.js';
import { GENERATION, GrpcCluster, pause, wake } from './support.js';

const asIs = (bytes: Buffer): Buffer => bytes;

/** Speaks the protocol by hand. */
class Stranger {
  readonly frames: (Frame | undefined)[] = [];
  ended = '';
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;

  constructor(address: string, metadata = new Metadata()) {
    this.#client = new Client(address, credentials.createInsecure());
    this.#call = this.#client.makeBidiStreamRequest(METHODS.Link, asIs, asIs, metadata);
    this.#call.on('data', (bytes: Buffer) => this.frames.push(decodeFrame(bytes)));
    this.#call.on('error', (error) => {
      this.ended = error.message;
    });
    this.#call.on('status', ({ code, details }) => {
      this.ended ||= `${code} ${details}`;
    });
  }

  say(bytes: Buffer): void {
    this.#call.write(bytes);
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

const hello = (more: Partial<Hello> = {}): Buffer =>
  encodeFrame({
    case: 'hello',
    value: {
      ...{ protocol: PROTOCOL, keyPrefix: 'aq', generation: GENERATION, frameBytesMax: 1024 },
      sender: { incarnation: 7, serverId: 'seven', group: 'default' },
      target: { incarnation: 1, serverId: 's1', group: 'default' },
      ...more,
    },
  });

describe('the network over gRPC', () => {
  let cluster: GrpcCluster;
  let closing: (() => unknown)[];
  beforeEach(() => {
    cluster = new GrpcCluster();
    closing = [];
  });
  afterEach(async () => {
    for (const close of closing) await close();
    await cluster.close();
  });

  function stranger(address: string, metadata?: Metadata): Stranger {
    const made = new Stranger(address, metadata);
    closing.push(() => made.close());
    return made;
  }

  it('is one stream and one connection for each pair, whoever opened it', async () => {
    const members = [await cluster.join(1), await cluster.join(2), await cluster.join(3)];
    for (const from of members) for (const to of members) from.network.send(to.info.incarnation, wake('x'));
    await expect.poll(() => members.map(({ got }) => got.length)).toEqual([3, 3, 3]);
    await pause(700);
    const stats = members.map(({ network }) => network.stats());
    expect(stats.map(({ links }) => links)).toEqual([2, 2, 2]);
    expect(stats.map(({ connections }) => connections)).toEqual([2, 1, 0]);
    expect(stats.map(({ sent, received, dropped, garbage }) => [sent, received, dropped, garbage])).toEqual(
      Array.from({ length: 3 }, () => [2, 2, 0, 0]),
    );
  });

  it('a newcomer is heard before anybody knew of it, and hears the answer', async () => {
    const old = await cluster.join(1);
    const fresh = cluster.make();
    const got: string[] = [];
    fresh.listen(2, (what) => got.push(what.kind));
    await fresh.open();
    fresh.update({ ...cluster.snapshot(), peers: [old.info, fresh.info] });
    fresh.send(1, wake('early'));
    await pause(200);
    expect(old.got).toEqual([]);
    cluster.tell();
    await expect.poll(() => old.got).toEqual(['early']);
    old.network.send(2, wake('answer'));
    await expect.poll(() => got).toEqual(['wake']);
    expect(old.network.stats().refused).toBe(0);
  });

  it('carries a payload of 1 MiB, whatever its characters are', async () => {
    const [first, second] = [await cluster.join(1), await cluster.join(2)];
    for (const [entity, payload] of [
      ['ascii', 'x'.repeat(1024 * 1024)],
      ['é', 'é'.repeat(512 * 1024)],
    ] as const)
      first.network.send(2, { kind: 'wake', entity, message: recordOf(message('m', { payload }), 1, 1, 0, 0, '') });
    first.network.send(2, wake('after'));
    await expect.poll(() => second.got).toEqual(['ascii', 'é', 'after']);
    first.network.send(2, wake('x'.repeat(5 * 1024 * 1024)));
    first.network.send(2, wake('still there'));
    await expect.poll(() => second.got.at(-1)).toBe('still there');
    expect(first.network.stats().dropped).toBe(1);
  });

  it('a burst of 20,000 arrives whole and in order, and is counted', async () => {
    const [first, second] = [await cluster.join(1), await cluster.join(2)];
    for (let i = 0; i < 20_000; i++) {
      first.network.send(2, wake(`${i}`));
      if (i % 5000 === 4999) await pause(20);
    }
    await expect.poll(() => second.got.length, { timeout: 5000 }).toBe(20_000);
    expect(second.got).toEqual(Array.from({ length: 20_000 }, (_, i) => `${i}`));
    expect(first.network.stats()).toMatchObject({ sent: 20_000, dropped: 0, expired: 0 });
  });

  it('moves many messages a second', async () => {
    const [first, second] = [await cluster.join(1), await cluster.join(2)];
    const what = recordOf(message('id-of-a-message', { payload: 'x'.repeat(200) }), 12_345, 1, 0, 1.7e12, '');
    const count = 100_000;
    const startMs = performance.now();
    for (let i = 0; i < count; ) {
      for (let n = 0; n < 32; n++, i++) first.network.send(2, { kind: 'wake', entity: 'account:a-1234', message: what });
      await new Promise((resolve) => setImmediate(resolve));
      while (i - second.got.length > 4000) await pause(1);
    }
    await expect.poll(() => second.got.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(count);
    const perSecond = Math.round(count / ((performance.now() - startMs) / 1000));
    process.stdout.write(`gRPC, both ends in one process, payloads of 200 B, frames of 32: ${perSecond} messages/s\n`);
    expect(perSecond).toBeGreaterThan(5000);
  });

  it('drops what is too old: in the outbox, and on arrival', async () => {
    const first = await cluster.join(1, { messageTtlMs: 300 });
    const second = await cluster.join(2, { messageTtlMs: 300 });
    // The second one's store time is ahead: to it everything is late.
    second.network.update({ ...cluster.snapshot(), storeNowMs: Date.now() + 1000 });
    first.network.send(2, wake('late'));
    await expect.poll(() => second.network.stats().expired).toBe(1);
    cluster.tell();
    first.network.send(2, wake('in time'));
    await expect.poll(() => second.got).toEqual(['in time']);
    // Nobody is there for this one until it is too old.
    const { info } = second;
    await second.network.close();
    cluster.strangers.push(info);
    cluster.tell();
    await expect.poll(() => first.network.stats().links).toBe(0);
    first.network.send(2, wake('never'));
    await pause(400);
    expect(first.network.stats().links).toBe(0);
    expect(second.got).toEqual(['in time']);
  });

  it('bounds what waits for a peer that is not there, dropping the oldest', async () => {
    const first = await cluster.join(1, { messageTtlMs: 60_000 });
    const port = await closedPort();
    cluster.strangers.push({ incarnation: 9, serverId: 'nine', group: 'default', address: `127.0.0.1:${port}` });
    cluster.tell();
    for (let i = 0; i < 10_500; i++) first.network.send(9, wake(`${i}`));
    expect(first.network.stats().dropped).toBe(500);
    first.network.send(8, wake('to one that died before anybody met it'));
    expect(first.network.stats().dropped).toBe(501);
    cluster.strangers.length = 0;
    cluster.tell();
    expect(first.network.stats()).toMatchObject({ dropped: 10_501, peers: 0, channels: 0 });
  });

  it('a port that opens three seconds late is linked within two more', async () => {
    const first = await cluster.join(1);
    const port = await closedPort();
    const late = cluster.make({ listenAddress: `127.0.0.1:${port}` });
    late.listen(2, () => undefined);
    cluster.strangers.push({ incarnation: 2, serverId: 's2', group: 'default', address: `127.0.0.1:${port}` });
    first.network.update(cluster.snapshot());
    await expect.poll(() => first.network.link(2), { timeout: 2500 }).toBe('suspect');
    expect(first.network.stats().problem).toMatch(/ECONNREFUSED/);
    await pause(2000);
    cluster.strangers.length = 0;
    const startMs = performance.now();
    await late.open();
    // It opens nothing itself: it does not know of anybody yet.
    late.update({ ...cluster.snapshot(), peers: [first.info, late.info] });
    expect(await first.network.listening(2000)).toBe(true);
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(first.network.link(2)).toBe('up');
  });

  it('says which port is taken, and by a name that does not resolve', async () => {
    const first = await cluster.join(1);
    const taken = cluster.make({ listenAddress: `127.0.0.1:${first.network.port}` });
    await expect(taken.open()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/grpc\.listenAddress 127\.0\.0\.1:\d+: .*port is taken/),
    });
    const nowhere = cluster.make({ listenAddress: 'no-such-host.invalid:1' });
    await expect(nowhere.open()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('no-such-host'),
    });
  });

  it('tests its advertised address', async () => {
    const [first, second] = [await cluster.join(1), await cluster.join(2)];
    const withAddress = async (incarnation: number, advertisedAddress: string) =>
      (await cluster.join(incarnation, { advertisedAddress })).network.selfTest(500);
    expect(await withAddress(3, `127.0.0.1:${await closedPort()}`)).toMatch(/does not lead to this node: .*ECONNREFUSED/);
    expect(await withAddress(4, second.info.address)).toContain('another node answers there (incarnation 2)');
    const port = await closedPort();
    const right = await cluster.join(5, { listenAddress: `127.0.0.1:${port}`, advertisedAddress: `127.0.0.1:${port}` });
    expect(await right.network.selfTest(500)).toBeUndefined();
    expect(first.network.stats().refused).toBe(0);
  });

  describe('refuses', () => {
    it.each<[string, Partial<Hello>, keyof typeof RefusedReason]>([
      ['another protocol', { protocol: PROTOCOL + 1 }, 'PROTOCOL'],
      ['another keyPrefix', { keyPrefix: 'other' }, 'KEY_PREFIX'],
      ['another store', { generation: 'g2' }, 'GENERATION'],
      ['who looks for the incarnation before', { target: { incarnation: 3, serverId: 's1', group: 'default' } }, 'TARGET'],
      ['who looks for another serverId', { target: { incarnation: 1, serverId: 's2', group: 'default' } }, 'TARGET'],
      ['who looks for another group', { target: { incarnation: 1, serverId: 's1', group: 'other' } }, 'TARGET'],
      ['a sender that died', { sender: { incarnation: 4, serverId: 'four', group: 'default' } }, 'SENDER'],
      ['a false serverId', { sender: { incarnation: 7, serverId: 'eight', group: 'default' } }, 'SENDER'],
      ['a false group', { sender: { incarnation: 7, serverId: 'seven', group: 'other' } }, 'SENDER'],
      ['nobody', { sender: undefined }, 'NO_HELLO'],
    ])('%s', async (_, more, reason) => {
      const first = await cluster.join(1);
      cluster.strangers.push({ incarnation: 7, serverId: 'seven', group: 'default', address: '127.0.0.1:1' });
      first.network.update(cluster.snapshot());
      const visitor = stranger(first.info.address);
      visitor.say(hello(more));
      visitor.say(
        encodeFrame({
          case: 'batch',
          value: { expiresAtMs: 1e15, messages: [{ case: 'wake', value: { entity: 'x', message: undefined } }] },
        }),
      );
      await expect.poll(() => visitor.frames).toEqual([{ case: 'refused', value: { reason: RefusedReason[reason] } }]);
      await expect.poll(() => visitor.ended).not.toBe('');
      expect(first.got).toEqual([]);
      expect(first.network.stats()).toMatchObject({ refused: 1 });
      expect(first.notices).toEqual([expect.stringContaining('gRPC: refused')]);
    });

    it('a newcomer of whom no reading tells within its time, and welcomes who says who he is', async () => {
      const first = await cluster.join(1, { newcomerMs: 300 });
      cluster.strangers.push({ incarnation: 7, serverId: 'seven', group: 'other', address: '127.0.0.1:1' });
      first.network.update(cluster.snapshot());
      const [unknown, known] = [stranger(first.info.address), stranger(first.info.address)];
      unknown.say(hello({ sender: { incarnation: 8, serverId: 'eight', group: 'default' } }));
      known.say(hello({ sender: { incarnation: 7, serverId: 'seven', group: 'other' } }));
      await expect.poll(() => known.frames[0]?.case).toBe('welcome');
      const refused = { case: 'refused', value: { reason: RefusedReason.SENDER } };
      await expect.poll(() => unknown.frames, { timeout: 4000 }).toEqual([refused]);
      // An answer to a ping, and the end of whoever goes on with garbage.
      known.say(encodeFrame({ case: 'ping', value: 42 }));
      await expect.poll(() => known.frames.at(-1)).toEqual({ case: 'pong', value: 42 });
      known.say(Buffer.from('garbage'));
      await expect.poll(() => known.ended).not.toBe('');
      expect(first.network.stats()).toMatchObject({ garbage: 1, links: 0 });
    });

    it('a wrong token, or none, without saying why', async () => {
      const [first, second] = [await cluster.join(1, { authToken: 'sésame' }), await cluster.join(2, { authToken: 'sésame' })];
      first.network.send(2, wake('among friends'));
      await expect.poll(() => second.got).toEqual(['among friends']);
      for (const value of [undefined, '', 'Bearer', 'Bearer wrong', `Bearer ${'x'.repeat(4000)}`]) {
        const metadata = new Metadata();
        if (value !== undefined) metadata.set('authorization', value);
        const visitor = stranger(first.info.address, metadata);
        visitor.say(hello());
        await expect.poll(() => visitor.ended).toBe('16 UNAUTHENTICATED: refused');
        expect(visitor.frames).toEqual([]);
      }
      expect(first.network.stats().refusedFor).toEqual({ token: 5 });
      expect(first.notices).toEqual([expect.stringContaining('its token is wrong')]);
      const outsider = cluster.make({ authToken: 'open barley' });
      outsider.listen(3, () => undefined);
      await outsider.open();
      cluster.tell();
      expect(await outsider.listening(500)).toBe(false);
      expect(outsider.stats().problem).toMatch(/UNAUTHENTICATED/);
      outsider.send(1, wake('in vain'));
      await pause(200);
      expect(first.got).toEqual([]);
    });

    it('bytes that are not gRPC, and who says nothing, and goes on', async () => {
      const [first, second] = [await cluster.join(1), await cluster.join(2)];
      const http2 = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
      const garbage = ['\u0000\u0001\u0002', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(100_000), `${http2}${'\u00ff'.repeat(5000)}`];
      for (const text of garbage) {
        const socket = connect(first.network.port, '127.0.0.1', () => socket.end(text, 'latin1'));
        socket.on('error', () => undefined).resume();
        closing.push(() => socket.destroy());
      }
      const mute = connect(first.network.port, '127.0.0.1').resume();
      closing.push(() => mute.destroy());
      await expect.poll(() => first.network.stats().refusedFor.garbage, { timeout: 8000 }).toBe(garbage.length);
      await expect.poll(() => mute.destroyed || mute.readableEnded, { timeout: 8000 }).toBe(true);
      expect(first.network.stats().refusedFor.garbage).toBe(garbage.length);
      expect(first.notices).toHaveLength(1);
      second.network.send(1, wake('all is well'));
      await expect.poll(() => first.got).toEqual(['all is well']);
      expect(first.network.stats().connections).toBe(1);
    });
  });

  it('a stranger at the address of a dead peer gets nothing, and the peer is suspected', async () => {
    const [first, second] = [await cluster.join(1), await cluster.join(2)];
    await second.network.close();
    const other = await new GrpcCluster().join(12, { listenAddress: second.info.address, serverId: 'other', keyPrefix: 'other' });
    closing.push(() => other.network.close());
    // The members still list the dead one.
    cluster.strangers.push(second.info);
    cluster.tell();
    first.network.send(2, wake('for the dead'));
    await expect.poll(() => first.network.link(2), { timeout: 3000 }).toBe('suspect');
    await expect.poll(() => first.network.stats().rejected, { timeout: 3000 }).toBeGreaterThan(0);
    expect(other.got).toEqual([]);
    expect(other.network.stats().refusedFor.keyPrefix).toBeGreaterThan(0);
  });

  it('a peer that ends is suspected within a second, and no longer once it is back or gone', async () => {
    const [first, second] = [await cluster.join(1), await cluster.join(2)];
    const told: [number, boolean][] = [];
    first.network.onSuspect((incarnation, isSuspect) => told.push([incarnation, isSuspect]));
    cluster.strangers.push(second.info);
    const startMs = performance.now();
    await second.network.close();
    await expect.poll(() => told).toEqual([[2, true]]);
    expect(performance.now() - startMs).toBeLessThan(1000 + 400);
    cluster.strangers.length = 0;
    cluster.tell();
    expect(told).toEqual([
      [2, true],
      [2, false],
    ]);
  });

  it('nobody is suspected while all is quiet, whatever is asked of the channels', async () => {
    const [first, second] = [await cluster.join(1), await cluster.join(2)];
    const told: number[] = [];
    for (const { network } of [first, second]) network.onSuspect((incarnation) => told.push(incarnation));
    for (let i = 0; i < 30; i++) {
      cluster.tell();
      await pause(100);
    }
    expect(told).toEqual([]);
    expect(first.network.stats()).toMatchObject({ links: 1, problem: undefined });
  });

  it('300 peers that come and go leave no channel, link, connection or socket', async () => {
    const first = await cluster.join(1);
    await pause(50);
    const socketsBefore = sockets();
    for (let i = 0; i < 60; i++) {
      const fresh = await Promise.all(Array.from({ length: 5 }, (_, n) => cluster.join(2 + i * 5 + n)));
      for (const { network } of fresh) network.send(1, wake('hello'));
      await Promise.all(fresh.map(({ network }) => network.close()));
      cluster.tell();
    }
    expect(first.network.stats()).toMatchObject({ peers: 0, links: 0, channels: 0, refused: 0 });
    await expect.poll(() => first.network.stats().connections).toBe(0);
    await expect.poll(sockets).toBe(socketsBefore);
    expect(first.got.length).toBe(300);
  });

  it('closes within a second, whatever the peers do', async () => {
    const first = await cluster.join(1);
    cluster.strangers.push({ incarnation: 7, serverId: 'seven', group: 'default', address: '127.0.0.1:1' });
    first.network.update(cluster.snapshot());
    const visitor = stranger(first.info.address);
    visitor.say(hello());
    await expect.poll(() => visitor.frames[0]?.case).toBe('welcome');
    const startMs = performance.now();
    await first.network.close();
    expect(performance.now() - startMs).toBeLessThan(1000);
    await expect.poll(() => visitor.ended).not.toBe('');
  });
});

const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'TCPServerWrap').length;

/** A port that nobody listens on. */
function closedPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
