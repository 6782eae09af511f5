/**
 * The network of a cluster without gRPC, over Redis pub/sub. Every message is a hint, so nothing is sent twice. Messages that
 * the link cannot take are dropped and counted; the sweep finds the work that a lost hint was about.
 *
 * There are two connections, since a subscriber cannot publish. `listen` moves the subscription to the channel of the new
 * incarnation, and a reconnect subscribes again. All messages of one tick to one target are sent as one publication.
 */
import { InvariantViolation } from '../core/errors.js';
import { Outbox, type OutgoingFrame } from '../core/outbox.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Network, PeerMessage } from '../ports/network.js';
import type { ConnectionOptions } from './connection.js';
import { channelRule, permissionLacking, reasonIn } from './failures.js';
import { decodeFrame, encodeFrame } from './frames.js';
import { OUTBOX_LIMITS } from './outbox-limits.js';
import { type PubSubClient, PubSubLink } from './pubsub-link.js';
import { isReplica } from './server-checks.js';

export interface RedisNetworkOptions {
  /** The same as for the store. */
  readonly connection: ConnectionOptions['connection'];
  /** The same as for the store. Nodes with another prefix use other channels. */
  readonly keyPrefix: string;
  /** Deadline of one call to Redis, ms. */
  readonly callTimeoutMs: number;
  readonly clock: Clock;
  /** Called when a received message could not be handled; it counts as garbage. */
  readonly onFault?: (error: unknown) => void;
}

export interface NetworkStats {
  /** Messages that at least one subscriber received, as Redis reports; without messages to this node itself. */
  readonly sent: number;
  readonly received: number;
  /** Messages that were discarded, failed to be published, or had no subscriber. */
  readonly dropped: number;
  /** Received publications, or messages in them, that are malformed, of another version, or of another store. */
  readonly garbage: number;
  /** True: this node is subscribed to its channel. */
  readonly isListening: boolean;
  /** True: the publishing connection is up. While it is down, messages wait in the bounded outbox. */
  readonly isPublishing: boolean;
  /** Why hints do not get through, if known. */
  readonly problem: string | undefined;
}

type Receive = (message: PeerMessage, from: number) => void;

/** Limit for publications without an answer, in bytes. Further messages wait in the outbox. */
const FLIGHT_BYTES_MAX = 16 * 1024 * 1024;
/** The largest message plus room for its frame, in bytes. */
const FRAME_BYTES_MAX = OUTBOX_LIMITS.targetBytesMax + 64 * 1024;
const SUBSCRIBE_AGAIN_MS = 200;
const CLOSE_WAIT_MS = 500;

export class RedisNetwork implements Network {
  readonly #options: RedisNetworkOptions;
  readonly #publisher: PubSubLink;
  readonly #subscriber: PubSubLink;
  readonly #outbox = new Outbox<string>(OUTBOX_LIMITS, Buffer.byteLength);
  readonly #counts = { sent: 0, received: 0, dropped: 0, garbage: 0 };
  readonly #whenListening = new Set<() => void>();
  #whenLanded: (() => void) | undefined;
  #state: 'new' | 'open' | 'closed' = 'new';
  #closing: Promise<void> | undefined;
  /** Incarnation of this node; 0 before the first `listen` and after `close`. */
  #incarnation = 0;
  #receive: Receive = () => undefined;
  /** Generation of the store, '' if it has none; undefined until it was read from Redis. */
  #scope: string | undefined;
  #subscribed: string | undefined;
  #isSubscribing = false;
  #again: Timer | undefined;
  #isArmed = false;
  #flying = 0;
  #flyingBytes = 0;
  /** The last error of each of the three tasks; undefined after a success. */
  readonly #problems: Partial<Record<'scope' | 'subscribe' | 'publish', string | undefined>> = {};

  constructor(options: RedisNetworkOptions) {
    this.#options = options;
    this.#publisher = new PubSubLink(
      options,
      () => undefined,
      () => void this.#learnScope(),
      (client) => this.#askRole(client),
    );
    this.#subscriber = new PubSubLink(
      options,
      (client) => this.#hear(client),
      () => {
        this.#subscribed = undefined;
        void this.#subscribe();
      },
    );
  }

  stats(): NetworkStats {
    const { sent, received, dropped, garbage } = this.#counts;
    const [isListening, isPublishing] = [this.#isListening, this.#publisher.isUp];
    const problem = this.problem();
    return { sent, received, dropped: dropped + this.#outbox.dropped, garbage, isListening, isPublishing, problem };
  }

  problem(): string | undefined {
    const { scope, subscribe, publish } = this.#problems;
    return this.#publisher.problem ?? this.#subscriber.problem ?? subscribe ?? publish ?? scope;
  }

  #textOf(error: unknown): string {
    const forbidden = permissionLacking(error);
    if (forbidden === undefined) return reasonIn(error);
    const { keyPrefix } = this.#options;
    return `the Redis user may not use the channels of keyPrefix "${keyPrefix}": ${forbidden}; allow them with ${channelRule(keyPrefix)}`;
  }

  /** Resolves with true once this incarnation receives messages, with false if it does not within `timeoutMs`. */
  listening(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#whenListening.delete(end);
        resolve(this.#isListening);
      };
      const timer = this.#options.clock.setTimer(timeoutMs, end);
      this.#whenListening.add(end);
      this.#tellListening();
    });
  }

  // ---- sending -------------------------------------------------------------------------------------------------

  send(to: number, message: PeerMessage): void {
    const from = this.#incarnation;
    if (from === 0) return;
    if (to === from) {
      this.#options.clock.defer(() => {
        if (this.#incarnation === from) this.#receive(message, from);
      });
      return;
    }
    let text: string;
    try {
      text = JSON.stringify(message);
    } catch {
      this.#counts.dropped++;
      return;
    }
    // Sends a full frame at once: a long tick must not overflow the outbox.
    if (this.#outbox.push(to, text)) this.#flush();
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#options.clock.defer(this.#onTick);
  }

  readonly #onTick = (): void => {
    this.#isArmed = false;
    this.#flush();
  };

  #flush(): void {
    const scope = this.#scope;
    const from = this.#incarnation;
    if (scope === undefined || from === 0) return;
    while (this.#flyingBytes < FLIGHT_BYTES_MAX && this.#publisher.isUp) {
      const frame = this.#outbox.take();
      if (frame === undefined) return;
      this.#publish(frame, encodeFrame(scope, from, frame.items));
    }
  }

  #publish({ to, items, bytes }: OutgoingFrame<string>, text: string): void {
    this.#flying++;
    this.#flyingBytes += bytes;
    const landed = (): void => {
      this.#flying--;
      this.#flyingBytes -= bytes;
      if (this.#flying === 0) this.#whenLanded?.();
      this.#flush();
    };
    this.#publisher
      .call((client) => client.publish(this.#channelOf(to), text))
      .then(
        (hearers) => {
          this.#counts[hearers > 0 ? 'sent' : 'dropped'] += items.length;
          this.#problems.publish = undefined;
          landed();
        },
        (error: unknown) => {
          // The publication may have been delivered. It is not sent again: a late hint is worth less than the next one.
          this.#counts.dropped += items.length;
          this.#problems.publish = this.#textOf(error);
          landed();
        },
      );
  }

  /**
   * Reconnects both links if the server is a replica. A demoted primary accepts publications and keeps its connections, but
   * subscribers at its successor do not receive them. The publisher asks for both links: a subscriber may only ping.
   */
  async #askRole(client: PubSubClient): Promise<void> {
    if (!isReplica(await client.info('replication'))) return;
    this.#publisher.leave();
    this.#subscriber.leave();
  }

  /** Reads the store's generation. It excludes messages to the same incarnation number of another store. */
  async #learnScope(): Promise<void> {
    const incarnation = this.#incarnation;
    if (this.#scope === undefined && incarnation !== 0 && this.#publisher.isUp) {
      try {
        const meta = `${this.#options.keyPrefix}:{0}:meta`;
        const scope = (await this.#publisher.call((client) => client.hget(meta, 'generation'))) ?? '';
        if (this.#incarnation !== incarnation) return;
        this.#scope = scope;
        this.#problems.scope = undefined;
        this.#tellListening();
      } catch (error) {
        this.#problems.scope = this.#textOf(error);
        this.#tryAgain();
      }
    }
    this.#flush();
  }

  // ---- listening -----------------------------------------------------------------------------------------------

  listen(incarnation: number, receive: Receive): void {
    if (this.#state === 'closed') return;
    this.#flush();
    this.#outbox.clear();
    this.#incarnation = incarnation;
    this.#receive = receive;
    this.#scope = undefined;
    if (this.#state === 'new') {
      this.#state = 'open';
      this.#publisher.open();
      this.#subscriber.open();
      return;
    }
    void this.#learnScope();
    void this.#subscribe();
  }

  get #isListening(): boolean {
    if (this.#incarnation === 0 || this.#scope === undefined || !this.#subscriber.isUp) return false;
    return this.#subscribed === this.#channelOf(this.#incarnation);
  }

  #channelOf(incarnation: number): string {
    return `${this.#options.keyPrefix}:net:${incarnation}`;
  }

  /** Moves the subscription to the channel of the current incarnation. Only one run is active at a time. */
  async #subscribe(): Promise<void> {
    if (this.#isSubscribing) return;
    this.#isSubscribing = true;
    try {
      while (this.#incarnation !== 0 && this.#subscriber.isUp) {
        const channel = this.#channelOf(this.#incarnation);
        const old = this.#subscribed;
        if (old === channel) break;
        await this.#subscriber.call((client) => client.subscribe(channel));
        this.#subscribed = channel;
        this.#problems.subscribe = undefined;
        this.#tellListening();
        if (old !== undefined) await this.#subscriber.call((client) => client.unsubscribe(old));
      }
    } catch (error) {
      this.#problems.subscribe = this.#textOf(error);
      this.#tryAgain();
    } finally {
      this.#isSubscribing = false;
    }
  }

  #tryAgain(): void {
    if (this.#state === 'closed') return;
    this.#again?.cancel();
    this.#again = this.#options.clock.setTimer(SUBSCRIBE_AGAIN_MS, () => {
      void this.#learnScope();
      void this.#subscribe();
    });
  }

  #tellListening(): void {
    if (this.#isListening || this.#state === 'closed') for (const tell of this.#whenListening) tell();
  }

  #hear(client: PubSubClient): void {
    client.on('messageBuffer', (channel, data) => {
      const incarnation = this.#incarnation;
      if (incarnation === 0 || channel.toString() !== this.#channelOf(incarnation)) return;
      const frame = data.length > FRAME_BYTES_MAX ? undefined : decodeFrame(data.toString());
      if (frame === undefined) this.#counts.garbage++;
      else if (this.#scope === undefined) this.#counts.dropped += frame.messages.length;
      else if (frame.scope !== this.#scope) this.#counts.garbage++;
      else {
        this.#counts.garbage += frame.spoiled;
        this.#deliver(incarnation, frame.messages, frame.from);
      }
    });
  }

  #deliver(incarnation: number, messages: readonly PeerMessage[], from: number): void {
    for (const message of messages) {
      // Handling a message may end this incarnation.
      if (this.#incarnation !== incarnation) return;
      this.#counts.received++;
      try {
        this.#receive(message, from);
      } catch (error) {
        // Any client of Redis can publish, so a message that cannot be handled must not end the process. A broken invariant must.
        if (error instanceof InvariantViolation) throw error;
        this.#counts.garbage++;
        this.#options.onFault?.(error);
      }
    }
  }

  // ---- the end -------------------------------------------------------------------------------------------------

  /** Publishes what was sent, if Redis takes it within 500 ms. Delivers no message from now on. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#flush();
    this.#state = 'closed';
    this.#incarnation = 0;
    this.#receive = () => undefined;
    this.#again?.cancel();
    this.#outbox.clear();
    this.#tellListening();
    this.#subscriber.close();
    if (this.#flying > 0 && this.#publisher.isUp) await this.#landed(CLOSE_WAIT_MS);
    this.#publisher.close();
  }

  #landed(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimer(timeoutMs, resolve);
      this.#whenLanded = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
