import { GrpcNetwork } from '../../src/grpc/network.js';
import type { GrpcNetworkOptions } from '../../src/grpc/options.js';
import type { ClusterSnapshot, Network, NetworkPeer, PeerMessage } from '../../src/ports/network.js';
import { SystemClock } from '../../src/system/clock.js';
import { SystemRandom } from '../../src/system/random.js';

export const GENERATION = 'g1';
const LINK_WAIT_MS = 5000;

export const wake = (entity: string): PeerMessage => ({ kind: 'wake', entity, message: undefined });
export const entityOf = (what: PeerMessage): string => (what.kind === 'wake' ? what.entity : what.kind);
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const grpcOptions = (serverId: string, more: Partial<GrpcNetworkOptions> = {}): GrpcNetworkOptions => ({
  ...{ listenAddress: '127.0.0.1:0', advertisedAddress: '127.0.0.1:1', serverId, serviceGroup: 'default', keyPrefix: 'aq' },
  ...{ payloadBytesMax: 1024 * 1024, keepaliveTimeMs: 10_000, keepaliveTimeoutMs: 5000, messageTtlMs: 1500, newcomerMs: 1500 },
  ...{ connectivityWatchMs: 30_000, monitor: { debounceMs: 500, pingMs: 1000, silentMsMax: 5000 } },
  ...{ clock: new SystemClock(), random: new SystemRandom(), onNotice: () => undefined },
  ...more,
});

export interface Member {
  readonly network: GrpcNetwork;
  readonly info: NetworkPeer;
  readonly got: string[];
  readonly notices: string[];
}

/** A network that knows under which incarnation it listens, which the contract's target has to tell the others. */
class Known extends GrpcNetwork {
  incarnation = 0;
  isOpen = false;
  isGone = false;

  constructor(readonly options: GrpcNetworkOptions) {
    super(options);
  }

  override async open(): Promise<void> {
    if (this.isOpen) return;
    this.isOpen = true;
    await super.open();
  }

  override listen(incarnation: number, receive: (message: PeerMessage, from: number) => void): void {
    this.incarnation = incarnation;
    super.listen(incarnation, receive);
  }

  override close(): Promise<void> {
    this.isGone = true;
    return super.close();
  }

  get info(): NetworkPeer {
    const { serverId, serviceGroup: group } = this.options;
    return { incarnation: this.incarnation, serverId, group, address: `127.0.0.1:${this.port}` };
  }
}

/** Nodes of one process that are told of each other, as readings of a store would tell them. */
export class GrpcCluster {
  readonly #networks: Known[] = [];
  /** Members that live elsewhere. */
  readonly strangers: NetworkPeer[] = [];

  make(more: Partial<GrpcNetworkOptions> = {}): Known {
    const network = new Known(grpcOptions(`s${this.#networks.length + 1}`, more));
    this.#networks.push(network);
    return network;
  }

  /** Opens it, tells everybody, and waits for its links. */
  async listening(network: Network): Promise<void> {
    if (!(network instanceof Known)) throw new Error('not a network of this cluster');
    await network.open();
    this.tell();
    if (!(await network.listening(LINK_WAIT_MS))) throw new Error(`no links: ${JSON.stringify(network.stats())}`);
  }

  snapshot(): ClusterSnapshot {
    const here = this.#networks.filter(({ isGone, incarnation }) => !isGone && incarnation > 0).map(({ info }) => info);
    return { generation: GENERATION, storeNowMs: Date.now(), peers: [...here, ...this.strangers] };
  }

  tell(): void {
    const snapshot = this.snapshot();
    for (const network of this.#networks) if (!network.isGone) network.update(snapshot);
  }

  async join(incarnation: number, more: Partial<GrpcNetworkOptions> = {}): Promise<Member> {
    const notices: string[] = [];
    const network = this.make({ onNotice: (text) => notices.push(text), ...more });
    const got: string[] = [];
    network.listen(incarnation, (what) => got.push(entityOf(what)));
    await this.listening(network);
    return { network, info: network.info, got, notices };
  }

  async close(): Promise<void> {
    await Promise.all(this.#networks.map((network) => network.close()));
  }
}
