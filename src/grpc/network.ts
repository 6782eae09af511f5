/**
 * The network of a cluster over gRPC: one stream per pair of nodes, and one frame for all messages of one tick to one node. Every
 * message is a hint, so nothing is sent twice. Messages without room, without a link in time or without a live target are dropped
 * and counted; the sweep finds the work that a lost hint was about.
 *
 *   update -> Peer -> PeerChannel (opens) | PeerServer (accepts) -> handshake -> Link          <- how a link is established
 *   send -> Outbox -> flush -> Link ... Link -> batch -> receive                               <- the path of a message
 *
 *   (1) A link carries no message before both nodes have identified each other in full. A stranger at a reused address gets none.
 *   (2) A batch is processed only before its expiry in store time. A frozen node ignores old messages when it resumes.
 *   (3) The channel, links, timers and waiting messages of a peer are released when the members no longer list it.
 */
import type { ChannelOptions } from '@grpc/grpc-js';
import { AtomicQueuesError, InvariantViolation } from '../core/errors.js';
import { Outbox } from '../core/outbox.js';
import type { Timer } from '../ports/clock.js';
import type { ClusterSnapshot, Network, NetworkPeer, PeerLink, PeerMessage } from '../ports/network.js';
import { type ChannelSettings, PeerChannel } from './channel.js';
import type { Batch, Member } from './cluster.gen.js';
import { encodeFrame } from './frames.js';
import { PROTOCOL } from './handshake.js';
import type { Link } from './link.js';
import { fromWire, sizeOf, toWire } from './messages.js';
import { TICK_MS } from './monitor.js';
import { channelOptions, type GrpcNetworkOptions, type GrpcNetworkStats, outboxLimits, type Waiting } from './options.js';
import { BACKOFF_MS_MAX, Peer, type PeerHost } from './peer.js';
import { Reception } from './reception.js';
import { Refusals } from './refusals.js';
import { type Credentials, credentialsOf, Token } from './security.js';
import { PeerServer } from './server.js';

type Receive = (message: PeerMessage, from: number) => void;

/** Messages whose expiry times differ by at most this share a frame, which carries the earliest of them, ms. */
const EXPIRY_SPREAD_MS = 250;
const LISTEN_AGAIN_MS = 100;
const CLOSE_WAIT_MS = 400;
const CLOSE_POLL_MS = 10;

export class GrpcNetwork implements Network {
  readonly #options: GrpcNetworkOptions;
  readonly #grpc: ChannelOptions;
  readonly #credentials: Credentials;
  readonly #token: Token;
  readonly #refusals: Refusals;
  readonly #server: PeerServer;
  readonly #reception: Reception;
  readonly #outbox: Outbox<Waiting>;
  readonly #peers = new Map<number, Peer>();
  readonly #counts = { sent: 0, received: 0, dropped: 0, expired: 0, garbage: 0, rejected: 0 };
  readonly #selfTests = new Set<PeerChannel>();
  readonly #whenLinked = new Set<() => void>();
  readonly #suspectListeners: ((incarnation: number, isSuspect: boolean) => void)[] = [];
  readonly #dirty = new Set<number>();
  readonly #frameBytesMax: number;
  #isArmed = false;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  /** Incarnation of this node; 0 before the first `listen` and after `close`. */
  #incarnation = 0;
  #receive: Receive = () => undefined;
  #generation: string | undefined;
  #storeOffsetMs = 0;
  #highestRead = 0;
  #tick: Timer | undefined;
  #port = 0;

  /** Throws CONFIG_INVALID if the TLS material is unusable. */
  constructor(options: GrpcNetworkOptions) {
    this.#options = options;
    const limits = outboxLimits(options.payloadBytesMax);
    this.#frameBytesMax = limits.targetBytesMax;
    this.#outbox = new Outbox<Waiting>(limits, ({ bytes }) => bytes);
    this.#grpc = channelOptions(options, this.#frameBytesMax, BACKOFF_MS_MAX);
    this.#credentials = credentialsOf(options.tls);
    this.#token = new Token(options.authToken);
    this.#refusals = new Refusals(options.clock, options.onNotice);
    const { listenAddress, clock, newcomerMs } = options;
    this.#reception = new Reception({
      clock,
      newcomerMs,
      frameBytesMax: this.#frameBytesMax,
      refusals: this.#refusals,
      standpoint: () => this.#standpoint(),
      welcome: (incarnation, stream, frameBytesMax) => this.#peers.get(incarnation)?.accept(stream, frameBytesMax),
    });
    this.#server = new PeerServer(
      { listenAddress, clock, credentials: this.#credentials.server, options: this.#grpc, token: this.#token },
      {
        link: (stream) => this.#reception.take(stream),
        incarnation: () => this.#incarnation,
        refused: (why, remote) =>
          this.#refusals.note(why, `${remote}: ${why === 'token' ? 'its token is wrong' : 'it made no call that gRPC knows'}`),
      },
    );
  }

  /**
   * Begins to listen. Rejects with CONFIG_INVALID if the address cannot be listened on. Retries a taken port for `waitMs`, since
   * the previous process may still be draining.
   */
  async open(waitMs = 0): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + waitMs;
    while (this.#port === 0 && !this.#isClosed) {
      try {
        this.#port = await this.#server.listen();
      } catch (error) {
        const isTaken = error instanceof AtomicQueuesError && error.details.cause === 'EADDRINUSE';
        if (!isTaken || clock.monotonicMs() >= untilMs) throw error;
        await new Promise<void>((resolve) => clock.setTimer(LISTEN_AGAIN_MS, resolve));
      }
    }
    if (this.#isClosed) this.#server.close();
  }

  /** The port of the listening socket; 0 before `open`. */
  get port(): number {
    return this.#port;
  }

  stats(): GrpcNetworkStats {
    const peers = [...this.#peers.values()];
    const { dropped, ...counts } = this.#counts;
    return {
      ...counts,
      dropped: dropped + this.#outbox.dropped,
      refused: this.#refusals.total,
      refusedFor: { ...this.#refusals.counts },
      peers: peers.length,
      links: peers.filter(({ link }) => link !== undefined).length,
      channels: peers.filter(({ hasChannel }) => hasChannel).length,
      connections: this.#server.connections,
      problem: this.problem(),
    };
  }

  problem(): string | undefined {
    const problems = [...this.#peers.values()].map(({ problem }) => problem).filter((problem) => problem !== undefined);
    return problems.length > 1 ? `${problems[0]} (and ${problems.length - 1} other peers)` : problems[0];
  }

  link(incarnation: number): PeerLink {
    const peer = this.#peers.get(incarnation);
    if (peer?.isSuspect === true) return 'suspect';
    return peer?.link === undefined ? 'down' : 'up';
  }

  onSuspect(listener: (incarnation: number, isSuspect: boolean) => void): void {
    this.#suspectListeners.push(listener);
  }

  /** Resolves with true once there is a link to every peer, with false if there is not within `timeoutMs`. */
  listening(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#whenLinked.delete(end);
        resolve(this.#isLinked);
      };
      const timer = this.#options.clock.setTimer(timeoutMs, end);
      this.#whenLinked.add(end);
      this.#tellLinked();
    });
  }

  /** Probes the advertised address. Resolves with what is wrong, or with undefined if this node answers there. */
  async selfTest(timeoutMs: number): Promise<string | undefined> {
    if (this.#isClosed) return undefined;
    const { advertisedAddress } = this.#options;
    const channel = new PeerChannel(advertisedAddress, { ...this.#channelSettings(), watchMs: 0 }, () => undefined);
    this.#selfTests.add(channel);
    const answer = await channel.probe(this.#incarnation, timeoutMs);
    this.#selfTests.delete(channel);
    channel.close();
    if (this.#isClosed || (typeof answer !== 'string' && answer.isTarget)) return undefined;
    const why = typeof answer === 'string' ? answer : `another node answers there (incarnation ${answer.incarnation})`;
    return `grpc.advertisedAddress ${advertisedAddress} does not lead to this node: ${why}; peers may not reach it`;
  }

  // ---- members -------------------------------------------------------------------------------------------------

  listen(incarnation: number, receive: Receive): void {
    if (this.#isClosed) return;
    this.#forgetPeers();
    this.#outbox.clear();
    this.#incarnation = incarnation;
    this.#receive = receive;
  }

  update({ generation, storeNowMs, peers }: ClusterSnapshot): void {
    const { clock } = this.#options;
    if (this.#incarnation === 0) return;
    this.#generation = generation;
    this.#storeOffsetMs = storeNowMs - clock.monotonicMs();
    const present = new Set<number>();
    for (const peer of peers) {
      present.add(peer.incarnation);
      this.#highestRead = Math.max(this.#highestRead, peer.incarnation);
      if (peer.incarnation !== this.#incarnation && !this.#peers.has(peer.incarnation)) this.#meet(peer);
    }
    for (const [incarnation, peer] of this.#peers) if (!present.has(incarnation)) this.#part(incarnation, peer);
    for (const to of this.#outbox.targets()) {
      if (this.#peers.has(to)) continue;
      // The target is a newcomer that the next membership snapshot may list, or it is gone.
      const isNew = to > this.#highestRead && (this.#outbox.oldest(to)?.untilMs ?? 0) > clock.monotonicMs();
      if (!isNew) this.#outbox.drop(to);
    }
    this.#reception.readAgain();
    this.#armTick();
    this.#tellLinked();
  }

  #meet(info: NetworkPeer): void {
    this.#peers.set(info.incarnation, new Peer(info, this.#incarnation, this.#host));
  }

  #part(incarnation: number, peer: Peer): void {
    const wasSuspect = peer.isSuspect;
    this.#peers.delete(incarnation);
    this.#dirty.delete(incarnation);
    peer.close();
    this.#outbox.drop(incarnation);
    if (wasSuspect) this.#tellSuspect(incarnation, false);
  }

  #forgetPeers(): void {
    for (const [incarnation, peer] of [...this.#peers]) this.#part(incarnation, peer);
  }

  #standpoint() {
    const { keyPrefix } = this.#options;
    return {
      ...{ keyPrefix, self: this.#self(), generation: this.#generation, highestRead: this.#highestRead },
      peerOf: (incarnation: number) => this.#peers.get(incarnation)?.info,
    };
  }

  #self(): Member {
    const { serverId, serviceGroup: group } = this.#options;
    return { incarnation: this.#incarnation, serverId, group };
  }

  get #host(): PeerHost {
    const { clock, random, newcomerMs, monitor } = this.#options;
    return {
      clock,
      random,
      monitoring: monitor === undefined ? undefined : { clock, ...monitor },
      welcomeMs: newcomerMs + 2 * BACKOFF_MS_MAX,
      openChannel: (address, onLost) => new PeerChannel(address, this.#channelSettings(), onLost),
      helloTo: ({ incarnation, serverId, group }) => ({
        ...{ protocol: PROTOCOL, keyPrefix: this.#options.keyPrefix, generation: this.#generation ?? '' },
        ...{ sender: this.#self(), target: { incarnation, serverId, group }, frameBytesMax: this.#frameBytesMax },
      }),
      ready: (peer) => {
        this.#flush(peer);
        this.#tellLinked();
      },
      batch: (batch, peer) => this.#take(batch, peer.info.incarnation),
      garbage: () => {
        this.#counts.garbage++;
      },
      rejected: () => {
        this.#counts.rejected++;
      },
      suspected: (incarnation, isSuspect) => this.#tellSuspect(incarnation, isSuspect),
    };
  }

  #channelSettings(): ChannelSettings {
    const { clock, monitor, connectivityWatchMs } = this.#options;
    return {
      ...{ clock, credentials: this.#credentials.client, metadata: this.#token.metadata, options: this.#grpc },
      watchMs: monitor === undefined ? 0 : connectivityWatchMs,
    };
  }

  get #isLinked(): boolean {
    if (this.#incarnation === 0 || this.#generation === undefined) return false;
    return [...this.#peers.values()].every(({ link }) => link !== undefined);
  }

  #tellLinked(): void {
    if (this.#whenLinked.size > 0 && (this.#isLinked || this.#isClosed)) for (const tell of [...this.#whenLinked]) tell();
  }

  #tellSuspect(incarnation: number, isSuspect: boolean): void {
    for (const tell of this.#suspectListeners) tell(incarnation, isSuspect);
  }

  /** Arms one timer for all peers; none while there is no peer. */
  #armTick(): void {
    if (this.#tick !== undefined || this.#peers.size === 0 || this.#options.monitor === undefined) return;
    this.#tick = this.#options.clock.setTimer(TICK_MS, () => {
      this.#tick = undefined;
      for (const peer of this.#peers.values()) peer.tick();
      this.#armTick();
    });
  }

  // ---- sending -------------------------------------------------------------------------------------------------

  send(to: number, message: PeerMessage): void {
    const from = this.#incarnation;
    if (from === 0) return;
    const { clock, messageTtlMs } = this.#options;
    if (to === from) {
      clock.defer(() => {
        if (this.#incarnation === from) this.#deliver(message, from);
      });
      return;
    }
    const peer = this.#peers.get(to);
    if (peer === undefined && to <= this.#highestRead) {
      this.#counts.dropped++;
      return;
    }
    const isWhole = this.#outbox.push(to, { message, bytes: sizeOf(message), untilMs: clock.monotonicMs() + messageTtlMs });
    if (peer === undefined) return;
    // Sends a full frame at once: a long tick must not overflow the outbox.
    if (isWhole) this.#flush(peer);
    this.#dirty.add(to);
    if (this.#isArmed) return;
    this.#isArmed = true;
    clock.defer(this.#onTick);
  }

  readonly #onTick = (): void => {
    this.#isArmed = false;
    for (const to of this.#dirty) {
      const peer = this.#peers.get(to);
      if (peer !== undefined) this.#flush(peer);
    }
    this.#dirty.clear();
  };

  #flush({ info, link }: Peer): void {
    while (link !== undefined && !link.isFull) {
      const frame = this.#outbox.takeFor(info.incarnation);
      if (frame === undefined) return;
      const nowMs = this.#options.clock.monotonicMs();
      let batch: Waiting[] = [];
      for (const waiting of frame.items) {
        if (waiting.untilMs <= nowMs) this.#counts.expired++;
        else {
          if (batch.length > 0 && waiting.untilMs > batch[0]!.untilMs + EXPIRY_SPREAD_MS) {
            this.#send(link, batch);
            batch = [];
          }
          batch.push(waiting);
        }
      }
      if (batch.length > 0) this.#send(link, batch);
    }
  }

  #send(link: Link, batch: readonly Waiting[]): void {
    const expected = batch.reduce((sum, { bytes }) => sum + bytes, 64);
    let bytes: Buffer;
    try {
      const messages = batch.map(({ message }) => toWire(message));
      bytes = encodeFrame({ case: 'batch', value: { expiresAtMs: batch[0]!.untilMs + this.#storeOffsetMs, messages } }, expected);
    } catch (error) {
      this.#counts.dropped += batch.length;
      this.#options.onFault?.(error);
      return;
    }
    if (bytes.length > link.frameBytesMax) {
      this.#counts.dropped += batch.length;
      return;
    }
    link.send(bytes, (isTaken) => {
      this.#counts[isTaken ? 'sent' : 'dropped'] += batch.length;
    });
  }

  // ---- receiving -----------------------------------------------------------------------------------------------

  #take({ expiresAtMs, messages }: Batch, from: number): void {
    const incarnation = this.#incarnation;
    if (this.#options.clock.monotonicMs() + this.#storeOffsetMs > expiresAtMs) {
      this.#counts.expired += messages.length;
      return;
    }
    for (const wire of messages) {
      // Handling a message may end this incarnation.
      if (this.#incarnation !== incarnation || incarnation === 0) return;
      const message = fromWire(wire);
      if (message === undefined) this.#counts.garbage++;
      else {
        this.#counts.received++;
        this.#deliver(message, from);
      }
    }
  }

  #deliver(message: PeerMessage, from: number): void {
    try {
      this.#receive(message, from);
    } catch (error) {
      // A peer's message must not end this process. A broken invariant must.
      if (error instanceof InvariantViolation) throw error;
      this.#counts.garbage++;
      this.#options.onFault?.(error);
    }
  }

  // ---- the end -------------------------------------------------------------------------------------------------

  /** Sends what is in the outbox, if the peers take it within 400 ms. Delivers no message from now on. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const peer of this.#peers.values()) this.#flush(peer);
    this.#isClosed = true;
    this.#incarnation = 0;
    this.#receive = () => undefined;
    this.#tick?.cancel();
    this.#outbox.clear();
    this.#tellLinked();
    for (const channel of this.#selfTests) channel.close();
    this.#server.refuseNew();
    this.#reception.close();
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + CLOSE_WAIT_MS;
    for (const peer of this.#peers.values()) peer.end();
    while (
      clock.monotonicMs() < untilMs &&
      [...this.#peers.values()].some(({ isFlying, link }) => isFlying || link !== undefined)
    )
      await new Promise<void>((resolve) => clock.setTimer(CLOSE_POLL_MS, resolve));
    this.#forgetPeers();
    this.#server.close();
  }
}
