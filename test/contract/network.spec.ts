import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { escapeId } from '../../src/core/ids.js';
import { recordOf } from '../../src/core/log/operations.js';
import { LoopbackHub, LoopbackNetwork } from '../../src/memory/network.js';
import type { Network, PeerMessage, PetitionRefusal } from '../../src/ports/network.js';
import { RedisNetwork } from '../../src/redis/network.js';
import { SystemClock } from '../../src/system/clock.js';
import { GrpcCluster } from '../grpc/support.js';
import { message } from '../redis/support.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';

/** Makes networks that reach each other, and tells when one hears what is sent to its incarnation. */
interface Target {
  make(): Network;
  listening(network: Network): Promise<void>;
}

interface Peer {
  readonly network: Network;
  /** What it heard, as [from, message]. */
  readonly got: [number, PeerMessage][];
}

const wake = (entity: string): PeerMessage => ({ kind: 'wake', entity, message: undefined });
const entitiesOf = ({ got }: Peer): string[] => got.map(([, what]) => (what.kind === 'wake' ? what.entity : what.kind));

const ODD_ID = escapeId('a:b\n{x}\u0000%😀\u001f');
const REFUSALS: readonly PetitionRefusal[] = [
  ...(['NOT_MASTER', 'MASTER_REBUILDING', 'NO_MASTER', 'PETITION_LIMIT_EXCEEDED'] as const),
  ...(['MAX_HOPS_EXCEEDED', 'STALE_EPOCH', 'CIRCUIT_OPEN', 'DECLINED'] as const),
];
const KINDS: readonly PeerMessage[] = [
  wake('account:a-1'),
  wake(`account:${ODD_ID}`),
  {
    kind: 'wake',
    entity: 'account:é',
    message: recordOf(message(ODD_ID, { payload: JSON.stringify('\u2028😀\\"\n'), headers: '{"k":"v"}' }), 7, 2, 1.5, 1e15, '{}'),
  },
  { kind: 'wake', entity: 'account:big', message: recordOf(message('m', { payload: 'é'.repeat(32 * 1024) }), 1, 1, 0, 0, '') },
  { kind: 'reply', entity: 'account:a', id: ODD_ID, seq: 7, state: 'completed', detail: '{"a":[1,null,"\\u0000"]}' },
  { kind: 'reply', entity: 'account:a', id: 'x', seq: 7, state: 'completed', detail: '' },
  { kind: 'reply', entity: 'account:a', id: 'x', seq: 7, state: 'failed', detail: '{"name":"Error","message":"no"}' },
  { kind: 'reply', entity: 'account:a', id: 'x', seq: 7, state: 'interrupted', detail: '' },
  { kind: 'petition', ticket: 1, entity: `account:${ODD_ID}`, source: 3, hops: 2 },
  { kind: 'placed', ticket: 2 ** 31, owner: 2 ** 40, refusal: undefined },
  ...REFUSALS.map((refusal): PeerMessage => ({ kind: 'placed', ticket: 1, owner: 0, refusal })),
  { kind: 'assign', ticket: 3, entity: 'account:a', epoch: Number.MAX_SAFE_INTEGER },
  { kind: 'assigned', ticket: 3, refusal: 'STALE_EPOCH' },
  { kind: 'assigned', ticket: 0, refusal: undefined },
  { kind: 'list-workers', ticket: 4, epoch: 5 },
  { kind: 'workers', ticket: 4, entities: ['account:a', `account:${ODD_ID}`, ''], last: false },
  { kind: 'workers', ticket: 4, entities: [], last: true },
  {
    kind: 'handover',
    epoch: 6,
    rows: [
      ['account:a', 1],
      [`account:${ODD_ID}`, 2 ** 40],
    ],
  },
];

/** The contract of the port, of which only a healthy network is asked that it delivers. */
function keepsTheContract(start: () => Target): void {
  let target: Target;
  let peers: Peer[];

  beforeEach(() => {
    target = start();
    peers = [];
  });
  afterEach(async () => {
    for (const { network } of peers) await network.close();
  });

  async function join(incarnation: number): Promise<Peer> {
    const peer: Peer = { network: target.make(), got: [] };
    peers.push(peer);
    peer.network.listen(incarnation, (what, from) => peer.got.push([from, what]));
    await target.listening(peer.network);
    return peer;
  }

  it('delivers later, with the sender, to whom it is addressed and to nobody else', async () => {
    const [first, second, third] = [await join(1), await join(2), await join(3)];
    first.network.send(2, wake('a'));
    first.network.send(2, wake('b'));
    second.network.send(1, wake('c'));
    second.network.send(2, wake('to itself'));
    expect([first, second, third].flatMap(({ got }) => got)).toEqual([]);
    await expect.poll(() => second.got.length).toBe(3);
    await expect.poll(() => first.got).toEqual([[2, wake('c')]]);
    expect(second.got.filter(([from]) => from === 1)).toEqual([
      [1, wake('a')],
      [1, wake('b')],
    ]);
    expect(second.got.filter(([from]) => from === 2)).toEqual([[2, wake('to itself')]]);
    first.network.send(3, wake('last'));
    await expect.poll(() => third.got).toEqual([[1, wake('last')]]);
  });

  it('keeps every kind of message exactly', async () => {
    const [first, second] = [await join(1), await join(2)];
    for (const what of KINDS) first.network.send(2, what);
    await expect.poll(() => second.got.length).toBe(KINDS.length);
    expect(second.got).toEqual(KINDS.map((what) => [1, what]));
  });

  it('loses what is for an incarnation that is gone or never was, and goes on', async () => {
    const [first, second] = [await join(1), await join(2)];
    await second.network.close();
    first.network.send(2, wake('to the gone'));
    first.network.send(99, wake('to nobody'));
    const third = await join(3);
    first.network.send(3, wake('to the living'));
    await expect.poll(() => entitiesOf(third)).toEqual(['to the living']);
    expect(second.got).toEqual([]);
  });

  it('a new incarnation hears what is for it, and not what is for the one before', async () => {
    const [first, second] = [await join(1), await join(2)];
    second.network.listen(4, (what, from) => second.got.push([from, what]));
    await target.listening(second.network);
    first.network.send(2, wake('to the old'));
    first.network.send(4, wake('to the new'));
    await expect.poll(() => entitiesOf(second)).toEqual(['to the new']);
    second.network.send(1, wake('answer'));
    await expect.poll(() => first.got).toEqual([[4, wake('answer')]]);
    expect(entitiesOf(second)).toEqual(['to the new']);
  });

  it('closed: says and hears nothing more, itself included, and may be closed again', async () => {
    const [first, second] = [await join(1), await join(2)];
    second.network.send(2, wake('on its way to itself'));
    await Promise.all([second.network.close(), second.network.close()]);
    await second.network.close();
    second.network.send(1, wake('from the closed'));
    second.network.send(2, wake('to itself'));
    first.network.send(2, wake('to the closed'));
    const third = await join(3);
    third.network.send(1, wake('from the living'));
    await expect.poll(() => entitiesOf(first)).toEqual(['from the living']);
    expect(second.got).toEqual([]);
  });

  it('says nothing before it listens, and may be closed without ever having listened', async () => {
    const first = await join(1);
    const mute = target.make();
    mute.send(1, wake('from nobody'));
    await mute.close();
    const second = await join(2);
    second.network.send(1, wake('from somebody'));
    await expect.poll(() => entitiesOf(first)).toEqual(['from somebody']);
  });
}

describe('the network in one process', () => {
  keepsTheContract(() => {
    const hub = new LoopbackHub();
    return { make: () => new LoopbackNetwork(hub, new SystemClock()), listening: () => Promise.resolve() };
  });
});

describe('the network over gRPC', () => {
  keepsTheContract(() => {
    const cluster = new GrpcCluster();
    return { make: () => cluster.make(), listening: (network) => cluster.listening(network) };
  });
});

describeRedis('the network over Redis pub/sub', () => {
  let server: RedisServer;
  let prefixes = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  keepsTheContract(() => {
    const keyPrefix = `aq-${process.pid}-${++prefixes}`;
    return {
      make: () =>
        new RedisNetwork({ connection: { port: server.port }, keyPrefix, callTimeoutMs: 5000, clock: new SystemClock() }),
      async listening(network) {
        if (!(network instanceof RedisNetwork)) throw new Error('not a network over Redis');
        if (!(await network.listening(5000))) throw new Error(`not listening: ${JSON.stringify(network.stats())}`);
      },
    };
  });
});
