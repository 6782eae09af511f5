/**
 * A link to a server whose connections can lose their other end without a word: no end and no reset comes, and what is written
 * vanishes. It can also keep back or replace the reply to one request.
 */
import { createServer, connect as dial, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
  isStranded: boolean;
  /** What the client writes still arrives. */
  arrives: boolean;
}

export interface KeptReply {
  /** Of the request, in lower case. */
  readonly to: RegExp;
  /** 'hang': the reply never comes; 'break': the connection ends instead; else the text is the reply. */
  readonly how: 'hang' | 'break' | { readonly reply: string };
}

export class StrandingLink {
  /** Where new connections lead. */
  target = 0;
  accepted = 0;
  /** Set for the next request that matches; undefined once it has been met. */
  keeps: KeptReply | undefined;
  /** Called before anything is done with what a client has written. */
  onRequest: (() => void) | undefined;
  /** New connections are stranded from their start. */
  strandsNew = false;
  readonly #pairs = new Set<Pair>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  /** Connections that the client has not ended. A stranded one stays half closed: its other end takes part in nothing. */
  get open(): number {
    return this.#pairs.size;
  }

  async listen(target: number): Promise<number> {
    this.target = target;
    const server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    return address.port;
  }

  /** Strands every connection that stands; new ones work. `arrives`: what is written still arrives, and only replies are lost. */
  strand(arrives = false): void {
    for (const pair of this.#pairs) Object.assign(pair, { isStranded: true, arrives });
  }

  /** Ends every connection that stands. */
  reset(): void {
    for (const { client } of this.#pairs) client.destroy();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
  }

  #accept(client: Socket): void {
    this.accepted++;
    const upstream = dial(this.target, '127.0.0.1');
    const pair: Pair = { client, upstream, isStranded: this.strandsNew, arrives: false };
    this.#pairs.add(pair);
    let kept: KeptReply['how'] | undefined;
    for (const socket of [client, upstream]) this.#sockets.add(socket.on('error', () => undefined));
    client.on('end', () => {
      this.#pairs.delete(pair);
      upstream.destroy();
      if (!pair.isStranded) client.end();
    });
    client.on('close', () => {
      this.#pairs.delete(pair);
      upstream.destroy();
    });
    upstream.on('close', () => {
      if (!pair.isStranded) client.destroy();
    });
    client.on('data', (data) => {
      this.onRequest?.();
      if (this.keeps?.to.test(data.toString('latin1').toLowerCase()) === true) {
        kept = this.keeps.how;
        this.keeps = undefined;
      }
      if (!pair.isStranded || pair.arrives) upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (pair.isStranded || kept === 'hang') return;
      if (kept === undefined) client.write(data);
      else if (kept === 'break') client.destroy();
      else client.write(kept.reply);
      kept = undefined;
    });
  }
}
