import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../demo/random.js';
import type { Visited } from './app.js';

export interface Answer {
  /** 0: none. */
  readonly status: number;
  readonly connection: string | undefined;
  readonly text: string;
}

/** One request. An agent keeps its connection for the next one. */
export function ask(url: string, { method = 'POST', agent }: { method?: string; agent?: Agent } = {}): Promise<Answer> {
  return new Promise((resolve) => {
    const fails = (error: Error): void => resolve({ status: 0, connection: undefined, text: String(error) });
    const asked = request(url, { method, agent: agent ?? false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', fails).on('end', () => {
        resolve({ status: response.statusCode ?? 0, connection: response.headers.connection, text });
      });
    });
    asked.on('error', fails).end();
  });
}

const CLIENTS = 10;
const ITEMS = 16;
const SLOW_MS = 300;
/** Between two requests of a client: the nodes are to be busy, and the machine is not to be full. */
const PAUSE_MS_MAX = 120;

/** Clients that ask all the time, each on a connection that it keeps. Some requests are slow, some make several calls. */
export class Clients {
  readonly failures: Answer[] = [];
  readonly visits: { readonly id: string; readonly visited: Visited }[] = [];
  readonly #clients: readonly Promise<void>[];
  #isAsking = true;

  constructor(url: string) {
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => this.#run(url, new Random(1, `client ${i}`)));
  }

  /** Resolves when the last request has its answer. */
  async stop(): Promise<void> {
    this.#isAsking = false;
    await Promise.all(this.#clients);
  }

  async #run(url: string, random: Random): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (this.#isAsking) {
      const id = `i${random.between(0, ITEMS - 1)}`;
      const [times, ms] = random.chance(0.1) ? [1, SLOW_MS] : [random.between(1, 3), random.between(0, 20)];
      const answer = await ask(`${url}/items/${id}?times=${times}&ms=${ms}`, { agent });
      if (answer.status === 201) this.visits.push({ id, visited: JSON.parse(answer.text) as Visited });
      else this.failures.push(answer);
      await sleep(random.between(0, PAUSE_MS_MAX));
    }
    agent.destroy();
  }
}
