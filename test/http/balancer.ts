import { Agent, createServer, type IncomingMessage, type OutgoingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const POLL_MS = 100;
/** Polls in a row that are not 200 before a node is left out. */
const FALL = 2;

interface Backend {
  readonly url: string;
  readonly agent: Agent;
  readonly timer: NodeJS.Timeout;
  misses: number;
}

/** Of a poll; 0: no answer. */
const statusOf = (url: string): Promise<number> =>
  new Promise((resolve) => {
    const asked = request(url, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', () => resolve(0)).end();
  });

/** Headers of one connection, which are no business of the next one. */
function passedOn({ headers }: IncomingMessage): OutgoingHttpHeaders {
  const { connection: _, 'keep-alive': _keepAlive, ...rest } = headers;
  return rest;
}

/**
 * A load balancer as they are: keeps connections to its nodes, asks each for `/ready` every POLL_MS, gives a request to the next
 * node that was ready when it was last asked, and never tries a request again. What a node does not answer is a 502.
 */
export class Balancer {
  readonly #backends = new Set<Backend>();
  readonly #server: Server;
  #turn = 0;

  constructor() {
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (asked, answered) => {
      const ready = [...this.#backends].filter(({ misses }) => misses < FALL);
      const backend = ready[this.#turn++ % ready.length];
      if (backend === undefined) {
        answered.writeHead(504).end('no node is ready');
        return;
      }
      const { agent } = backend;
      const { method, headers } = asked;
      const passed = request(`${backend.url}${asked.url}`, { method, headers: passedOn({ headers } as never), agent }, (got) => {
        answered.writeHead(got.statusCode ?? 502, passedOn(got));
        got.pipe(answered);
      });
      passed.on('error', (error) => {
        if (!answered.headersSent) answered.writeHead(502);
        answered.end(String(error));
      });
      asked.pipe(passed);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  add(url: string): void {
    const timer = setInterval(() => {
      void statusOf(`${url}/ready`).then((status) => {
        backend.misses = status === 200 ? 0 : backend.misses + 1;
      });
    }, POLL_MS);
    const backend: Backend = { url, agent: new Agent({ keepAlive: true }), timer, misses: 0 };
    this.#backends.add(backend);
  }

  remove(url: string): void {
    for (const backend of this.#backends) {
      if (backend.url !== url) continue;
      clearInterval(backend.timer);
      backend.agent.destroy();
      this.#backends.delete(backend);
    }
  }

  close(): void {
    for (const { url } of this.#backends) this.remove(url);
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
