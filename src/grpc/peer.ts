/**
 * One live member, and the link to it. Either node may open the link. The higher incarnation joined later, so it knows of the
 * other first and opens at once; the lower one opens only if no link comes. If both did, the link opened by the higher
 * incarnation stays, and each node ends its surplus link.
 */
import type { Clock, Timer } from '../ports/clock.js';
import type { NetworkPeer } from '../ports/network.js';
import type { Random } from '../ports/random.js';
import { adviceOn } from './advice.js';
import type { PeerChannel } from './channel.js';
import type { Batch, Hello } from './cluster.gen.js';
import { decodeFrame, encodeFrame } from './frames.js';
import { reasonText } from './handshake.js';
import { Link } from './link.js';
import { Monitor, type MonitorSettings } from './monitor.js';
import type { Stream } from './streams.js';

export interface PeerHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly monitoring: MonitorSettings | undefined;
  /** How long to wait for a welcome, ms; a newcomer may have to wait for one. */
  readonly welcomeMs: number;
  openChannel(address: string, onLost: () => void): PeerChannel;
  helloTo(peer: NetworkPeer): Hello;
  /** Called when the link is up, or has room again. */
  ready(peer: Peer): void;
  batch(batch: Batch, peer: Peer): void;
  garbage(): void;
  /** Called when the other node refused the link. */
  rejected(why: string): void;
  suspected(incarnation: number, isSuspect: boolean): void;
}

/** How long the lower incarnation waits for the higher one to open the link, ms. */
const PATIENCE_MS = 500;
const BACKOFF_MS_MIN = 100;
export const BACKOFF_MS_MAX = 1000;

export class Peer {
  readonly #host: PeerHost;
  readonly #me: number;
  readonly #links = new Set<Link>();
  readonly #monitor: Monitor | undefined;
  #current: Link | undefined;
  #channel: PeerChannel | undefined;
  #opening: Stream | undefined;
  #next: Timer | undefined;
  #backoffMs = BACKOFF_MS_MIN;
  #isClosed = false;
  /** Why there is no link, if known. */
  problem: string | undefined;

  constructor(
    readonly info: NetworkPeer,
    me: number,
    host: PeerHost,
  ) {
    this.#me = me;
    this.#host = host;
    if (host.monitoring !== undefined) this.#monitor = this.#newMonitor(host.monitoring);
    this.#openIn(this.#isOpener ? 0 : PATIENCE_MS);
  }

  get link(): Link | undefined {
    return this.#current;
  }

  get hasChannel(): boolean {
    return this.#channel !== undefined;
  }

  get isSuspect(): boolean {
    return this.#monitor?.isSuspect ?? false;
  }

  tick(): void {
    this.#monitor?.tick();
  }

  /** Adopts a stream that this peer opened and that was welcomed. */
  accept(stream: Stream, frameBytesMax: number): void {
    this.#adopt(stream, this.info.incarnation, frameBytesMax);
  }

  /** Stops sending; frames that were sent are still delivered. */
  end(): void {
    this.#stop();
    for (const link of this.#links) link.end();
  }

  get isFlying(): boolean {
    return [...this.#links].some((link) => link.isFlying);
  }

  /** Releases the links and the channel at once. */
  close(): void {
    this.#stop();
    for (const link of [...this.#links]) link.destroy();
    this.#links.clear();
    this.#current = undefined;
    this.#channel?.close();
    this.#channel = undefined;
  }

  #stop(): void {
    this.#isClosed = true;
    this.#monitor?.close();
    this.#next?.cancel();
    const opening = this.#opening;
    this.#opening = undefined;
    opening?.destroy();
  }

  // ---- opening -------------------------------------------------------------------------------------------------

  get #isOpener(): boolean {
    return this.#me > this.info.incarnation;
  }

  #openIn(delayMs: number): void {
    this.#next?.cancel();
    this.#next = this.#host.clock.setTimer(delayMs, () => this.#open());
  }

  #open(): void {
    if (this.#isClosed || this.#opening !== undefined || this.#current !== undefined) return;
    const stream = this.#channelThere().open();
    this.#opening = stream;
    const timer = this.#host.clock.setTimer(this.#host.welcomeMs, () => failed('no welcome'));
    const isStillThis = (): boolean => {
      timer.cancel();
      if (this.#opening !== stream) return false;
      this.#opening = undefined;
      return true;
    };
    const failed = (why: string): void => {
      if (!isStillThis()) return;
      stream.destroy();
      this.#failed(why);
    };
    stream.handlers = {
      closed: failed,
      data: (bytes) => {
        const frame = decodeFrame(bytes);
        if (frame?.case === 'welcome') {
          if (isStillThis()) this.#adopt(stream, this.#me, frame.value.frameBytesMax);
          return;
        }
        if (frame?.case === 'refused') {
          const why = reasonText(frame.value.reason);
          this.#host.rejected(why);
          failed(`it refuses this node: ${why}`);
          return;
        }
        this.#host.garbage();
        failed('it speaks another language');
      },
    };
    stream.write(encodeFrame({ case: 'hello', value: this.#host.helloTo(this.info) }), () => undefined);
  }

  #failed(why: string): void {
    this.problem = this.#noLink(why);
    if (this.#isClosed) return;
    // Half of the delay is random, so that nodes that lost the same peer do not all reconnect at the same time.
    this.#openIn(this.#backoffMs * (0.5 + this.#host.random.next() / 2));
    this.#backoffMs = Math.min(BACKOFF_MS_MAX, this.#backoffMs * 2);
    this.#monitor?.trouble();
  }

  #noLink(why: string): string {
    const { serverId, address } = this.info;
    return `no link to ${serverId} at ${address}: ${why.replace(/\.? Resolution note: $/, '')}${adviceOn(why)}`;
  }

  #channelThere(): PeerChannel {
    this.#channel ??= this.#host.openChannel(this.info.address, () => this.#monitor?.trouble());
    return this.#channel;
  }

  // ---- the link ------------------------------------------------------------------------------------------------

  #adopt(stream: Stream, openedBy: number, frameBytesMax: number): void {
    const link = new Link(stream, openedBy, frameBytesMax, {
      batch: (batch) => this.#host.batch(batch, this),
      heard: () => this.#monitor?.heard(),
      garbage: () => {
        this.#host.garbage();
        link.destroy();
      },
      drained: () => {
        if (this.#current === link) this.#host.ready(this);
      },
      closed: (why) => this.#lost(link, why),
    });
    this.#links.add(link);
    this.#choose(link);
    this.#backoffMs = BACKOFF_MS_MIN;
    this.problem = undefined;
    this.#monitor?.heard();
    this.#host.ready(this);
  }

  #choose(link: Link): void {
    const before = this.#current;
    if (before?.openedBy === link.openedBy) {
      // A node opens another link only after it has lost its first one.
      this.#current = link;
      before.destroy();
      return;
    }
    const high = Math.max(this.#me, this.info.incarnation);
    const loser = before === undefined ? undefined : link.openedBy === high ? before : link;
    if (loser !== link) this.#current = link;
    if (loser?.openedBy === this.#me) loser.end();
    // The lower incarnation stops opening. The higher one continues, since the other node will also prefer that link.
    if (this.#current?.openedBy === this.info.incarnation && !this.#isOpener) {
      const opening = this.#opening;
      this.#opening = undefined;
      opening?.destroy();
    }
  }

  #lost(link: Link, why: string): void {
    this.#links.delete(link);
    if (this.#current !== link) return;
    [this.#current] = this.#links;
    if (this.#current !== undefined || this.#isClosed) return;
    this.problem = this.#noLink(why);
    this.#openIn(this.#isOpener ? BACKOFF_MS_MIN * this.#host.random.next() : PATIENCE_MS);
    this.#monitor?.trouble();
  }

  #newMonitor(settings: MonitorSettings): Monitor {
    return new Monitor(settings, {
      ping: () => {
        this.#current?.ping();
        return this.#current !== undefined;
      },
      probe: async (timeoutMs) => {
        if (this.#isClosed) return false;
        const answer = await this.#channelThere().probe(this.info.incarnation, timeoutMs);
        return typeof answer !== 'string' && answer.isTarget;
      },
      cut: () => this.#current?.destroy(),
      changed: (isSuspect) => this.#host.suspected(this.info.incarnation, isSuspect),
    });
  }
}
