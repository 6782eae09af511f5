import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Identity } from '../core/log/control-operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { Pulse, PulseListener } from '../ports/heartbeats.js';
import { StoreCallError } from '../ports/store.js';
import type { RedisConnectionConfig } from './connection.js';
import { BeatCells } from './heartbeat-cells.js';
import type { BeatNews, BeatOrder, BeatWorkerData } from './heartbeat-worker.js';

export interface BeatThreadOptions {
  readonly connection: RedisConnectionConfig;
  readonly keyPrefix: string;
  /** Deadline of one beat, ms. */
  readonly storeCallTimeoutMs: number;
  /** Pause between two beats, ms. */
  readonly everyMs: number;
  /** A main loop that has not turned for so long gets no beats, ms. */
  readonly loopStallLimitMs: number;
  readonly clock: Clock;
  /** The compiled heartbeat-worker; default: the one beside this file. */
  readonly workerUrl?: URL;
}

interface Run {
  readonly order: Extract<BeatOrder, { kind: 'begin' }>;
  readonly cells: BeatCells;
  readonly listener: PulseListener;
}

const RESTART_MS = { first: 50, max: 2000 };
/** Turns of the main loop that are counted within the limit, so that one that is merely late is not taken for a stall. */
const TURNS_PER_LIMIT = 4;

/**
 * Beats from a thread of their own (heartbeat-worker.ts). The thread never holds the process. If it crashes it is started again;
 * until its next acknowledged beat the lease runs down, so the node stops by itself rather than on a guess.
 */
export class BeatThread implements Pulse {
  readonly #options: BeatThreadOptions;
  readonly #workerUrl: URL;
  readonly #data: BeatWorkerData;
  readonly #turnEveryMs: number;
  #worker: Worker | undefined;
  #run: Run | undefined;
  #runs = 0;
  #crashes = 0;
  #closed = false;
  #turnTimer: Timer | undefined;
  #restartTimer: Timer | undefined;

  /**
   * Starts the thread, which connects at once. Throws if there can be none: its file is missing (a bundle holds only what is
   * imported), the options cannot be handed to a thread (functions among those of TLS), or threads are forbidden.
   */
  constructor(options: BeatThreadOptions) {
    const { connection, keyPrefix, storeCallTimeoutMs, everyMs, loopStallLimitMs, clock } = options;
    this.#options = options;
    this.#workerUrl = options.workerUrl ?? workerBeside(import.meta.url);
    const path = fileURLToPath(this.#workerUrl);
    if (!existsSync(path)) throw new Error(`there is no ${path}: ${BUNDLED}`);
    this.#turnEveryMs = Math.min(everyMs, loopStallLimitMs / TURNS_PER_LIMIT);
    // In this order: a pause between the two lets the thread's clock be slow, so the lease ends early rather than late.
    const nowMs = clock.monotonicMs();
    const originNs = process.hrtime.bigint() - BigInt(Math.floor(nowMs * 1e6));
    this.#data = { connection, keyPrefix, storeCallTimeoutMs, everyMs, loopStallLimitMs, originNs };
    this.#start();
  }

  begin(member: Identity, listener: PulseListener): void {
    this.end();
    // A join may succeed after the stop has given up on it.
    if (this.#closed) return;
    // Cells of its own: a beat of the former incarnation that is still in flight proves nothing for this one.
    const cells = new BeatCells();
    const order = { kind: 'begin', run: ++this.#runs, member, buffer: cells.buffer } as const;
    this.#run = { order, cells, listener };
    this.#turn();
    this.#tell(order);
  }

  end(): void {
    if (this.#run === undefined) return;
    this.#run = undefined;
    this.#turnTimer?.cancel();
    this.#tell({ kind: 'end' });
  }

  lastProvedMs(): number {
    return this.#run?.cells.provedMs ?? Number.NEGATIVE_INFINITY;
  }

  async close(): Promise<void> {
    this.end();
    this.#closed = true;
    this.#restartTimer?.cancel();
    await this.#worker?.terminate();
  }

  #tell(order: BeatOrder): void {
    this.#worker?.postMessage(order);
  }

  readonly #turn = (): void => {
    this.#run?.cells.turned();
    this.#turnTimer = this.#options.clock.setTimer(this.#turnEveryMs, this.#turn);
  };

  #start(): void {
    // Without the flags of this process: they are for its program (loaders, --input-type), and some forbid a thread.
    const worker = new Worker(this.#workerUrl, { workerData: this.#data, name: 'atomic-queues-beats', execArgv: [] });
    this.#worker = worker;
    let why = 'it ended';
    worker.on('message', (news: BeatNews) => this.#hear(news));
    worker.on('error', (error) => {
      why = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', (code) => this.#crashed(`${why} (exit code ${code})`));
    worker.unref();
    if (this.#run !== undefined) worker.postMessage(this.#run.order);
  }

  #crashed(why: string): void {
    this.#worker = undefined;
    if (this.#closed) return;
    const delayMs = Math.min(RESTART_MS.first * 2 ** this.#crashes++, RESTART_MS.max);
    this.#restartTimer = this.#options.clock.setTimer(delayMs, () => this.#restart());
    this.#run?.listener.failed(new StoreCallError(`the thread that sends the beats has crashed: ${why}`, false));
  }

  #restart(): void {
    try {
      this.#start();
    } catch (error) {
      this.#crashed(String(error));
    }
  }

  #hear(news: BeatNews): void {
    const run = this.#run;
    if (run === undefined || news.run !== run.order.run) return;
    switch (news.kind) {
      case 'answered':
        this.#crashes = 0;
        run.listener.answered(news.answer, news.heartbeat, news.sentMs, news.receivedMs);
        return;
      case 'ended':
        this.end();
        run.listener.ended(news.why);
        return;
      case 'failed':
        run.listener.failed(new StoreCallError(news.why, news.refused, news.permanent));
    }
  }
}

const BUNDLED = 'a bundle holds only what is imported, so leave the package atomic-queues out of it, as an external';

/** The thread's file beside a module, whose URL some bundles do not know. */
export function workerBeside(moduleUrl: string | undefined): URL {
  if (moduleUrl === undefined || !URL.canParse(moduleUrl)) throw new Error(`its file cannot be found: ${BUNDLED}`);
  return new URL('./heartbeat-worker.js', moduleUrl);
}
