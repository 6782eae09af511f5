/** The way to one address: opens streams, probes, and watches the connection. Made for one peer, and gone with it. */
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
  /** The watch is set anew so often, ms; 0: no watch. */
  readonly watchMs: number;
}

const asIs = (bytes: Buffer): Buffer => bytes;

export class PeerChannel {
  readonly #settings: ChannelSettings;
  readonly #client: Client;
  readonly #onLost: () => void;
  /** Ends one probe each. */
  readonly #probes = new Set<(why: string) => void>();
  #isClosed = false;

  /** `onLost`: there was a connection, and now there is none. That alone is no failure: an idle channel may end so. */
  constructor(address: string, settings: ChannelSettings, onLost: () => void) {
    this.#settings = settings;
    this.#onLost = onLost;
    this.#client = new Client(address, settings.credentials, settings.options);
    if (settings.watchMs > 0) this.#watch();
  }

  open(): Stream {
    return new OpenedStream(this.#client.makeBidiStreamRequest(METHODS.Link, asIs, asIs, this.#settings.metadata));
  }

  /** Who answers there; why not, if nobody does within `timeoutMs`. */
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
      // Not a deadline of gRPC: that rests on the wall clock. An answer that came while this process stood still counts.
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
      // Told of its own closing too, and a watch on a closed channel throws.
      if (this.#isClosed) return;
      const after = channel.getConnectivityState(false);
      this.#watch();
      if (before === connectivityState.READY && after !== connectivityState.READY) this.#onLost();
    });
  }
}
