/**
 * The server that listens for peers. This class owns the sockets and passes each to the gRPC server. So it can report a taken
 * port as such, count and close connections that make no call, and close without waiting for any peer.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { type ChannelOptions, Server, type ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { AtomicQueuesError } from '../core/errors.js';
import type { Clock } from '../ports/clock.js';
import { METHODS, readProbeRequest, writeProbeResponse } from './cluster.gen.js';
import { decode } from './frames.js';
import type { Token } from './security.js';
import { AcceptedStream, type Stream } from './streams.js';
import { Writer } from './wire.js';

export interface ServerSettings {
  readonly listenAddress: string;
  readonly clock: Clock;
  readonly credentials: ServerCredentials;
  readonly options: ChannelOptions;
  readonly token: Token;
}

export interface ServerEvents {
  /** Called with a stream whose token is right; nothing was read from it yet. */
  link(stream: Stream): void;
  /** Returns the incarnation of this node; 0: none. */
  incarnation(): number;
  refused(why: 'token' | 'garbage', remote: string): void;
}

/** A connection that makes no call within this time is closed, ms. */
const CALL_WITHIN_MS = 5000;
const NOT_ADMITTED = { code: status.UNAUTHENTICATED, details: 'refused' };

const asIs = (bytes: Buffer): Buffer => bytes;
const methodOf = (path: string, isStream: boolean) => ({
  ...{ path, requestStream: isStream, responseStream: isStream },
  ...{ requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs },
});
const SERVICE = { Link: methodOf(METHODS.Link, true), Probe: methodOf(METHODS.Probe, false) };

const remoteOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;

export class PeerServer {
  readonly #settings: ServerSettings;
  readonly #events: ServerEvents;
  readonly #grpc: Server;
  readonly #net: NetServer;
  readonly #sockets = new Map<string, Socket>();
  /** Remote addresses of the connections that made a call. */
  readonly #called = new Set<string>();

  constructor(settings: ServerSettings, events: ServerEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#grpc = new Server(settings.options);
    this.#grpc.addService(SERVICE, {
      Link: (call: ServerDuplexStream<Buffer, Buffer>) => this.#link(call),
      Probe: (call: { request: Buffer; metadata: Parameters<Token['admits']>[0]; getPeer(): string }, answer: Answer) =>
        this.#probe(call, answer),
    });
    const injector = this.#grpc.createConnectionInjector(settings.credentials);
    this.#net = createServer((socket) => {
      this.#watch(socket);
      injector.injectConnection(socket);
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Resolves with the port. Rejects with CONFIG_INVALID if the address cannot be listened on; may then be called again. */
  listen(): Promise<number> {
    const { listenAddress } = this.#settings;
    const colon = listenAddress.lastIndexOf(':');
    const host = listenAddress.slice(0, colon).replace(/^\[|\]$/g, '');
    return new Promise((resolve, reject) => {
      this.#net.removeAllListeners('listening').removeAllListeners('error');
      this.#net.once('error', (error: NodeJS.ErrnoException) => reject(listenError(listenAddress, error)));
      this.#net.listen({ host, port: Number(listenAddress.slice(colon + 1)) }, () => {
        this.#net.removeAllListeners('error').on('error', () => undefined);
        const address = this.#net.address();
        resolve(address === null || typeof address === 'string' ? 0 : address.port);
      });
    });
  }

  /** Stops accepting connections; open ones stay. */
  refuseNew(): void {
    if (this.#net.listening) this.#net.close();
  }

  /** Closes all connections at once. */
  close(): void {
    this.refuseNew();
    this.#grpc.forceShutdown();
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  #watch(socket: Socket): void {
    const remote = remoteOf(socket);
    this.#sockets.set(remote, socket);
    const timer = this.#settings.clock.setTimer(CALL_WITHIN_MS, () => {
      if (!this.#called.has(remote)) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      timer.cancel();
      this.#sockets.delete(remote);
      // A connection that sent no bytes is a TCP health check.
      if (!this.#called.delete(remote) && socket.bytesRead > 0) this.#events.refused('garbage', remote);
    });
  }

  #link(call: ServerDuplexStream<Buffer, Buffer>): void {
    const remote = call.getPeer();
    if (this.#admits(call.metadata, remote)) {
      this.#events.link(new AcceptedStream(call, () => this.#sockets.get(remote)?.destroy()));
      return;
    }
    call.on('error', () => undefined);
    call.emit('error', NOT_ADMITTED);
  }

  #probe(call: { request: Buffer; metadata: Parameters<Token['admits']>[0]; getPeer(): string }, answer: Answer): void {
    if (!this.#admits(call.metadata, call.getPeer())) {
      answer(NOT_ADMITTED);
      return;
    }
    const target = decode(call.request, readProbeRequest)?.target;
    const incarnation = this.#events.incarnation();
    const writer = new Writer(0);
    writeProbeResponse(writer, { incarnation, isTarget: target === incarnation && incarnation !== 0 });
    answer(null, writer.finish());
  }

  #admits(metadata: Parameters<Token['admits']>[0], remote: string): boolean {
    if (this.#sockets.has(remote)) this.#called.add(remote);
    if (this.#settings.token.admits(metadata)) return true;
    this.#events.refused('token', remote);
    return false;
  }
}

type Answer = (error: typeof NOT_ADMITTED | null, bytes?: Buffer) => void;

function listenError(listenAddress: string, error: NodeJS.ErrnoException): AtomicQueuesError {
  const why = error.code === 'EADDRINUSE' ? 'the port is taken by another process' : error.message;
  return new AtomicQueuesError('CONFIG_INVALID', `grpc.listenAddress ${listenAddress}: cannot listen there, ${why}`, {
    cause: error,
    details: { listenAddress, cause: error.code ?? error.message },
  });
}
