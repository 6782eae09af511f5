/** The client side for one address: opens streams, probes, and watches the connection. Each peer has its own, closed with it. */
import { type ChannelCredentials, type ChannelOptions, Client, connectivityState, type Metadata } from '@grpc/grpc-js';
import type { Clock } from '../ports/clock.js';
import { METHODS, type ProbeResponse, readProbeResponse, writeProbeRequest } from './cluster.gen.js';
import { decode } from './frames.js';
import { OpenedStream, type Stream } from './streams.js';
import { Writer } from './wire.js';

export interface ChannelSettings {
  readonly clock: Clock;
  readonly credentials: ChannelCredentials;
  readonly metadata: Metadata;
  readonly options: ChannelOptions;
  /** How long one watch of the connection lasts before it is renewed, ms; 0: no watch. */
  readonly watchMs: number;
}

const asIs = (bytes: Buffer): Buffer => bytes;

export class PeerChannel {
  readonly #settings: ChannelSettings;
  readonly #client: Client;
  readonly #onLost: () => void;
  /** One function per pending probe; ends it. */
  readonly #probes = new Set<(why: string) => void>();
  #isClosed = false;

  /** `onLost`: called when the connection is lost. That alone is no failure: an idle channel may close its connection. */
  constructor(address: string, settings: ChannelSettings, onLost: () => void) {
    this.#settings = settings;
    this.#onLost = onLost;
    this.#client = new Client(address, settings.credentials, settings.options);
    if (settings.watchMs > 0) this.#watch();
  }

  open(): Stream {
    return new OpenedStream(this.#client.makeBidiStreamRequest(METHODS.Link, asIs, asIs, this.#settings.metadata));
  }

  /** Resolves with the answer of the node at this address, or with the reason if there is none within `timeoutMs`. */
  probe(target: number, timeoutMs: number): Promise<ProbeResponse | string> {
    if (this.#isClosed) return Promise.resolve('the channel is closed');
    const { clock, metadata } = this.#settings;
    const request = new Writer(0);
    writeProbeRequest(request, { target });
    return new Promise((resolve) => {
      const end = (outcome: ProbeResponse | string): void => {
        timer.cancel();
        this.#probes.delete(giveUp);
        resolve(outcome);
      };
      const giveUp = (why: string): void => {
        end(why);
        call.cancel();
      };
      const call = this.#client.makeUnaryRequest(METHODS.Probe, asIs, asIs, request.finish(), metadata, (error, bytes) => {
        const answer = bytes === undefined ? undefined : decode(bytes, readProbeResponse);
        end(answer ?? error?.message ?? 'the answer cannot be read');
      });
      // Not a gRPC deadline, which uses the wall clock. `defer` lets an answer count that arrived while this process was blocked.
      const timer = clock.setTimer(timeoutMs, () => clock.defer(() => giveUp(`no answer within ${timeoutMs} ms`)));
      this.#probes.add(giveUp);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const giveUp of this.#probes) giveUp('the channel is closed');
    this.#client.close();
  }

  #watch(): void {
    const channel = this.#client.getChannel();
    const before = channel.getConnectivityState(false);
    const untilMs = this.#settings.clock.wallMs() + this.#settings.watchMs;
    channel.watchConnectivityState(before, untilMs, () => {
      // The callback also runs when this channel is closed, and a watch on a closed channel throws.
      if (this.#isClosed) return;
      const after = channel.getConnectivityState(false);
      this.#watch();
      if (before === connectivityState.READY && after !== connectivityState.READY) this.#onLost();
    });
  }
}
